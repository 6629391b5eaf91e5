/** Actions, approvals and parked commands. Numbers A… are those of src/api/data/actions.ts. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../../src/base/errors.ts';
import type { Disposed } from '../../../../src/fibric/commands/receipt.ts';
import { ALLOWED, type DataHouse, openDataHouse } from '../../../support/api/data-house.ts';
import { waitFor } from '../../../support/wait-for.ts';

let house: DataHouse;
let token: string;
let other: string;
beforeEach(async () => {
  house = await openDataHouse();
  await house.api.tenant('t_a');
  await house.api.tenant('t_b');
  token = await house.api.token('t_a');
  other = await house.api.token('t_b');
  house.api.memory.addConnection('t_a', 'kustomer-prod');
});
afterEach(() => house.close());

const CONVERSATION = '65aa000000000000000000c1';
const ACTION = {
  connection: 'kustomer-prod',
  capability: 'conversation.note.write',
  args: { conversation_id: CONVERSATION, body: 'hello' },
  idempotency_key: 'k1',
  operator: 'triage',
};
const post = (url: string, body: unknown, as = token, headers = {}) =>
  house.api.call('POST', url, { token: as, body, headers });

describe('sending an action', () => {
  it('A2 gives its receipt, and publishes it in its lane', async () => {
    const { status, body } = await post('/v1/actions', ACTION);
    expect([status, body.status, body.receipt.outcome]).toEqual([200, 'disposed', 'applied']);
    const [sent] = house.published;
    expect(sent?.key).toBe(CONVERSATION);
    expect(sent?.command).toMatchObject({
      command_id: body.command_id,
      tenant_id: 't_a',
      mode: 'dry_run',
      entity_key: `conversation:${CONVERSATION}`,
      operator: 'triage',
    });
    expect(body.receipt.command_id).toBe(body.command_id);
    const found = await house.api.call('GET', body.receipt_url, { token });
    expect(found.body.data.map((one: { id: string }) => one.id)).toEqual([body.receipt.id]);
    expect((await house.api.call('GET', body.receipt_url, { token: other })).body.data).toEqual([]);
  });

  it('A2 each of many at once gets its own', async () => {
    const actions = Array.from({ length: 20 }, (_, i) => ({ ...ACTION, idempotency_key: `k${i}` }));
    const answers = await Promise.all(actions.map((action) => post('/v1/actions', action)));
    expect(answers.map(({ body }) => body.receipt.idempotency_key)).toEqual(actions.map((one) => one.idempotency_key));
  });

  it('refuses the name under which connectors are tried', async () => {
    const { status, body } = await post('/v1/actions', { ...ACTION, operator: 'connector-test' });
    expect([status, body.error.code]).toEqual([400, 'invalid_parameter']);
    expect(body.error.message).toContain('reserved');
    expect(
      (await house.api.call('GET', `/v1/read/conversations/${CONVERSATION}?operator=connector-test`, { token })).status,
    ).toBe(400);
    expect(house.published).toEqual([]);
  });

  it('A1 tells everything that is wrong at once, and publishes nothing', async () => {
    const wrong = { ...ACTION, args: { conversation_id: 'x', body: '' }, operator: '', idempotency_key: '' };
    const { status, body } = await post('/v1/actions', wrong);
    expect([status, body.error.code]).toEqual([422, 'validation_failed']);
    expect(body.error.problems.map((one: { field: string }) => one.field).sort()).toEqual(
      ['args.body', 'args.conversation_id', 'idempotency_key', 'operator'].sort(),
    );
    const unknown = await post('/v1/actions', { ...ACTION, capability: 'conversation.delete' });
    expect([unknown.status, unknown.body.error.problems[0].field]).toEqual([422, 'capability']);
    const late = await post('/v1/actions', { ...ACTION, deadline: '2020-01-01T00:00:00Z' });
    expect([late.status, late.body.error.problems[0].code]).toEqual([422, 'deadline_passed']);
    expect(house.published).toEqual([]);
  });

  it('a connection that is missing and one of another tenant are the same', async () => {
    house.api.memory.addConnection('t_b', 'theirs');
    const answers = await Promise.all(
      ['nothing', 'theirs'].map((connection) => post('/v1/actions', { ...ACTION, connection })),
    );
    expect(answers.map(({ status, body }) => [status, body.error.message])).toEqual([
      [404, 'no such connection'],
      [404, 'no such connection'],
    ]);
    expect((await post('/v1/actions', { ...ACTION, tenant_id: 't_b' })).body.error.code).toBe('tenant_mismatch');
    expect(house.published).toEqual([]);
  });

  it('A3 without a receipt in time it says where that will be', async () => {
    house.house.sink = async () => undefined;
    const { status, body, headers } = await post('/v1/actions', { ...ACTION, wait_ms: 50 });
    expect([status, body.status, body.receipt]).toEqual([202, 'pending', null]);
    expect(headers['location']).toBe(`/v1/receipts?command_id=${body.command_id}`);
    const asked = await post('/v1/actions', { ...ACTION, wait_ms: 0 });
    expect([asked.status, asked.body.status]).toEqual([202, 'pending']);
    expect((await post('/v1/actions', { ...ACTION, wait_ms: 60_001 })).status).toBe(400);
  });

  it('A3 held for a person it says so at once, with the approval', async () => {
    house.house.sink = async (command) => void house.hold('t_a', command);
    const { status, body } = await post('/v1/actions', { ...ACTION, mode: 'live', wait_ms: 20_000 });
    const [waiting] = [...house.waits.values()];
    expect([status, body.status, body.approval_id]).toEqual([202, 'held', waiting?.id]);
  });

  it('another tenant’s receipt of the same command id is none', async () => {
    house.house.sink = async (command) => {
      await house.topics('t_b');
      await house.receipt('t_b', { command: { ...command, tenant_id: 't_b' } });
    };
    expect((await post('/v1/actions', { ...ACTION, wait_ms: 100 })).status).toBe(202);
  });

  it('sent again under one Idempotency-Key it is published once', async () => {
    const headers = { 'idempotency-key': 'once' };
    const first = await post('/v1/actions', ACTION, token, headers);
    const again = await post('/v1/actions', ACTION, token, headers);
    expect(again.body).toEqual(first.body);
    expect(house.published).toHaveLength(1);
  });
});

describe('what waits for a person', () => {
  const COMMAND = { command_id: 'cmd_1', capability: 'conversation.note.write' };
  const get = (url: string, as = token) => house.api.call('GET', url, { token: as });

  it('is listed newest first, with what would be done, for its tenant only', async () => {
    const first = house.hold('t_a', COMMAND, { sinceMs: 1000 });
    const second = house.hold('t_a', COMMAND, { sinceMs: 2000, expiresAtMs: 3000 });
    house.hold('t_a', COMMAND, { kind: 'parked', expiresAtMs: null });
    house.hold('t_b', COMMAND);
    const { body } = await get('/v1/approvals');
    expect(body.data.map((one: { id: string }) => one.id)).toEqual([second.id, first.id]);
    expect(body.data[1]).toMatchObject({
      object: 'approval',
      state: 'waiting',
      capability: 'conversation.note.write',
      args: { conversation_id: 'c1', body: 'hello' },
      operator: 'triage',
      connection: 'kustomer-prod',
      policy: { name: 'guard', version: 2 },
      rule: 'ask',
      held_at: '1970-01-01T00:00:01.000Z',
    });
    expect((await get('/v1/approvals?state=expired')).body.data.map((one: { id: string }) => one.id)).toEqual([
      second.id,
    ]);
    expect((await get('/v1/approvals?state=waiting')).body.data.map((one: { id: string }) => one.id)).toEqual([
      first.id,
    ]);
    expect((await get('/v1/parked')).body.data).toMatchObject([{ object: 'parked', state: 'parked' }]);
    expect((await get(`/v1/approvals/${first.id}`)).body.id).toBe(first.id);
    expect((await get(`/v1/approvals/${first.id}`, other)).status).toBe(404);
    const { next_cursor } = (await get('/v1/approvals?limit=1')).body;
    expect((await get(`/v1/approvals?limit=1&cursor=${next_cursor}`)).body.data[0].id).toBe(first.id);
  });

  it('approved it runs: the answer has its receipt', async () => {
    const one = house.hold('t_a', COMMAND);
    house.house.answered = async (tenantId, id) => {
      house.settle(tenantId, id);
      await house.topics('t_a');
      await house.receipt('t_a', { receiptId: one.receiptId });
    };
    const { status, body } = await post(`/v1/approvals/${one.id}/approve`, { note: 'seen' });
    expect([status, body.state, body.receipt.id]).toEqual([200, 'approved', one.receiptId]);
    expect(house.answers).toMatchObject([{ tenantId: 't_a', id: one.id, answer: 'approve' }]);
    expect(house.answers[0]?.by).toMatch(/^key_/);
  });

  it('one that was decided is told with its receipt when it is answered again', async () => {
    await house.topics('t_a', 't_b');
    const over = { outcome: 'refused', verdict: { decision: 'BLOCK', rule: 'ask', tier: 2 } } as const;
    const refusedFor = (code: ErrorCode) => ({ ...over, error: { code, message: 'over', nextStep: 'None.' } }) as const;
    const approved = { ...ALLOWED, verdict: { decision: 'ALERT', rule: 'ask', tier: 2 } } as Disposed;
    for (const [disposed, said] of [
      [approved, 'approved'],
      [refusedFor('confirmation_rejected'), 'rejected'],
      [refusedFor('confirmation_expired'), 'expired'],
    ] as const) {
      const one = house.hold('t_a', COMMAND);
      house.settle('t_a', one.id);
      await house.receipt('t_a', { receiptId: one.receiptId, disposed });
      for (const verb of ['approve', 'reject']) {
        const { status, body } = await post(`/v1/approvals/${one.id}/${verb}`, {});
        expect([status, body.error.code]).toEqual([409, 'state_conflict']);
        expect(body.error.message).toBe(`the approval was ${said} already; its receipt is ${one.receiptId}`);
        expect((await post(`/v1/approvals/${one.id}/${verb}`, {}, other)).status).toBe(404);
      }
    }
    // The receipt of what nobody was asked about makes no approval of it.
    const never = `rc_${'a'.repeat(32)}`;
    await house.receipt('t_a', { receiptId: never });
    for (const id of [`apr_${'a'.repeat(32)}`, never, `apr_${'b'.repeat(32)}`]) {
      expect((await post(`/v1/approvals/${id}/approve`, {})).status).toBe(404);
    }
    expect(house.answers).toEqual([]);
  });

  it('rejected it says so; where somebody else was quicker, what they said', async () => {
    const rejected = {
      outcome: 'refused',
      verdict: { decision: 'BLOCK', rule: 'ask', tier: 2 },
      error: { code: 'confirmation_rejected', message: 'rejected', nextStep: 'None.' },
    } as const;
    await house.topics('t_a');
    for (const [answer, disposed, state] of [
      ['reject', rejected, 'rejected'],
      ['reject', undefined, 'approved'],
      ['approve', rejected, 'rejected'],
    ] as const) {
      const one = house.hold('t_a', COMMAND);
      house.house.answered = async (tenantId, id) => {
        await house.receipt('t_a', { receiptId: one.receiptId, ...(disposed !== undefined && { disposed }) });
        house.settle(tenantId, id);
      };
      expect((await post(`/v1/approvals/${one.id}/${answer}`, {})).body.state).toBe(state);
    }
  });

  it('an expired one cannot be approved, another tenant’s is not there, and a parked one is no approval', async () => {
    const expired = house.hold('t_a', COMMAND, { expiresAtMs: Date.now() - 1 });
    const { status, body } = await post(`/v1/approvals/${expired.id}/approve`, {});
    expect([status, body.error.code]).toEqual([409, 'state_conflict']);
    const held = house.hold('t_a', COMMAND);
    const parked = house.hold('t_a', COMMAND, { kind: 'parked' });
    for (const verb of ['approve', 'reject']) {
      expect((await post(`/v1/approvals/${held.id}/${verb}`, {}, other)).status).toBe(404);
      expect((await post(`/v1/approvals/${parked.id}/${verb}`, {})).status).toBe(404);
    }
    expect((await post(`/v1/receipts/${held.receiptId}/resolve`, { outcome: 'applied' })).status).toBe(404);
    expect((await post(`/v1/receipts/${parked.receiptId}/resolve`, { outcome: 'applied' }, other)).status).toBe(404);
    expect(house.answers).toEqual([]);
  });

  it('a parked one is settled by its receipt, and sent again as a new command', async () => {
    await house.topics('t_a');
    const one = house.hold('t_a', COMMAND, { kind: 'parked', expiresAtMs: null });
    await house.receipt('t_a', { receiptId: one.receiptId });
    const path = `/v1/receipts/${one.receiptId}/resolve`;
    for (const body of [
      { outcome: 'applied', resend: true },
      { outcome: 'not_applied', vendor_id: 'n1' },
    ]) {
      expect((await post(path, body)).status).toBe(422);
    }
    const { status, body } = await post(path, { outcome: 'not_applied', resend: true });
    expect([status, body.state, body.receipt.id]).toEqual([200, 'not_applied', one.receiptId]);
    expect(body.command_id).toMatch(/^cmd_/);
    await waitFor(() => house.answers.length === 1, { message: 'one answer' });
  });

  it('needs the right to approve', async () => {
    const one = house.hold('t_a', COMMAND);
    const reader = await house.api.token('t_a', ['read_only']);
    const { status, body } = await post(`/v1/approvals/${one.id}/approve`, {}, reader);
    expect([status, body.error.code]).toEqual([403, 'insufficient_scope']);
    expect((await get('/v1/approvals', reader)).status).toBe(200);
  });
});

describe('reading', () => {
  const get = (url: string, as = token) => house.api.call('GET', url, { token: as });
  const refusing = (code: string, status: number | null, retryAtMs: number | null = null) => {
    house.house.reads = {
      conversation: async () => ({
        ok: false,
        refusal: { code: code as never, status, message: 'Kustomer said no', retryAtMs },
      }),
      customer: async () => {
        throw new Error('not asked');
      },
    };
  };

  it('gives the conversation with its messages, through the only connection there is', async () => {
    house.house.reads = {
      ...house.house.reads,
      conversation: async ({ name }, id) => ({
        ok: true,
        value: {
          conversation: { conversation_id: id, via: name },
          messages: [{ message_id: 'm1' }],
          messagesComplete: true,
        },
      }),
    };
    const { status, body } = await get(`/v1/read/conversations/${CONVERSATION}`);
    expect([status, body.conversation_id, body.via, body.messages]).toEqual([
      200,
      CONVERSATION,
      'kustomer-prod',
      [{ message_id: 'm1' }],
    ]);
    house.api.memory.addConnection('t_a', 'second');
    expect((await get(`/v1/read/conversations/${CONVERSATION}`)).status).toBe(400);
    expect((await get(`/v1/read/conversations/${CONVERSATION}?connection=second`)).body.via).toBe('second');
    expect((await get(`/v1/read/conversations/${CONVERSATION}?connection=second`, other)).status).toBe(404);
  });

  it('R1 needs a scope of its own: what stands in Kustomer is the customers’', async () => {
    refusing('kustomer_refused', 404);
    house.house.reads = { ...house.house.reads, customer: house.house.reads.conversation as never };
    const urls = [`/v1/read/conversations/${CONVERSATION}`, '/v1/read/customers/c1'];
    const codes = async (scopes: readonly string[]) => {
      const by = await house.api.token('t_a', scopes);
      return Promise.all(urls.map(async (url) => (await get(url, by)).body.error.code));
    };
    const refused = ['insufficient_scope', 'insufficient_scope'];
    expect(await codes(['read_only'])).toEqual(refused);
    expect(await codes(['connectors:read', 'connectors:write', 'actions:write', 'events:read'])).toEqual(refused);
    expect(await codes(['customers:read', 'connectors:write'])).toEqual(['not_found', 'not_found']);
    expect(await codes(['admin'])).toEqual(['not_found', 'not_found']);
  });

  it('R2 under no name is for who may administer connections; others name an operator with the grant', async () => {
    refusing('kustomer_refused', 404);
    const operate = await house.api.token('t_a', ['operate']);
    const url = `/v1/read/conversations/${CONVERSATION}`;
    const nameless = await get(url, operate);
    expect([nameless.status, nameless.body.error.code]).toEqual([403, 'insufficient_scope']);
    expect(nameless.body.error.message).toContain('conversation.read');
    expect((await get(`${url}?operator=triage`, operate)).body.error.code).toBe('grant_missing');
    const [connection] = house.api.memory.connectors.list('t_a');
    await house.api.memory.grants.grant({
      ...{ tenantId: 't_a', connectionId: connection?.connection.connectionId ?? '', by: 'test' },
      ...{ operator: 'triage', capability: 'conversation.read' },
    });
    expect((await get(`${url}?operator=triage`, operate)).body.error.code).toBe('not_found');
    expect((await get('/v1/read/customers/c1?operator=triage', operate)).body.error.code).toBe('grant_missing');
  });

  it('as an operator needs the grant', async () => {
    refusing('kustomer_refused', 404);
    const url = `/v1/read/conversations/${CONVERSATION}?operator=triage`;
    expect((await get(url)).body.error.code).toBe('grant_missing');
    const [connection] = house.api.memory.connectors.list('t_a');
    await house.api.memory.grants.grant({
      tenantId: 't_a',
      connectionId: connection?.connection.connectionId ?? '',
      operator: 'triage',
      capability: 'conversation.read',
      by: 'test',
    });
    expect((await get(url)).body.error.code).toBe('not_found');
    expect((await get('/v1/read/customers/c1?operator=triage')).body.error.code).toBe('grant_missing');
  });

  it('what Kustomer refuses is told with what to do', async () => {
    const answer = async () => {
      const { status, body, headers } = await get(`/v1/read/conversations/${CONVERSATION}`);
      return { status, code: body.error.code, message: body.error.message, retryAfter: headers['retry-after'] };
    };
    refusing('kustomer_permission', 401);
    expect(await answer()).toMatchObject({ status: 502, code: 'connector_upstream_error' });
    expect((await answer()).message).toMatch(/connectors add/);
    refusing('kustomer_permission', 403);
    expect((await answer()).message).toMatch(/lacks that permission/);
    refusing('kustomer_rate_limited', 429, house.log.clock.nowMs() + 7_000);
    expect(await answer()).toMatchObject({ status: 429, code: 'rate_limited', retryAfter: '7' });
    refusing('kustomer_unanswered', 500);
    expect(await answer()).toMatchObject({ status: 502, code: 'connector_upstream_error' });
  });
});
