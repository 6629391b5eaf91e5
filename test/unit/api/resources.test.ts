/** Connectors, capabilities, grants and policies as the API shows them. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { MAX_CONNECTORS } from '../../../src/api/connectors/install.ts';
import { MAX_GRANTS } from '../../../src/api/grants.ts';
import { MAX_POLICY_NAMES } from '../../../src/api/policies/change.ts';
import type { WireReceipt } from '../../../src/fibric/commands/receipt-fields.ts';
import { CONNECTOR_TEST } from '../../../src/fibric/policy/grants.ts';
import { type Api, startApi } from '../../support/api/harness.ts';

const KEY = 'eyJhbGciOiJIUzI1NiJ9.canary.canary';
const NOTE = { conversation_id: 'cnv_63k1', body: 'connectivity check' };
/** As the connect guide prints it. */
const GUIDE = `# governs writes back into Kustomer. default is deny.
policy: support-writes
rules:
  - allow: conversation.note.write
    limit:
      per: hour
      max: 100
    single_flight: conversation_id # one write in flight per conversation
  - allow: conversation.status.write
    limit:
      per: hour
      max: 25
default: deny
`;

let api: Api;
let token: string;
beforeEach(async () => {
  api = await startApi();
  await api.tenant('t_a');
  token = await api.token('t_a');
});
afterEach(() => api.server.close());

const call = (method: string, url: string, body?: unknown) =>
  api.call(method, url, { token, ...(body !== undefined && { body }) });
const install = (more: object = {}) =>
  call('POST', '/v1/connectors', {
    ...{ listing: 'cn-kustomer', name: 'kustomer-prod', role: 'support', api_key: KEY },
    config: { subdomain: 'acme' },
    ...more,
  });

describe('listings', () => {
  it('are found by words, with everything the guide names', async () => {
    const found = await call('GET', '/v1/listings?q=Kustomer%20notes');
    const [listing] = found.body.data;
    expect(listing.tools.map((one: { name: string }) => one.name)).toEqual(
      expect.arrayContaining([
        'note.write',
        'status.write',
        'assignment.write',
        'call.status.write',
        'conversation.read',
        'customer.read',
      ]),
    );
    const guide = listing.events.filter((one: { extended: boolean }) => !one.extended);
    expect(guide.map((one: { event_type: string; kind: string }) => `${one.event_type} ${one.kind}`).sort()).toEqual([
      'conversation.created webhook',
      'conversation.message.created webhook',
      'conversation.satisfaction.updated webhook',
      'conversation.sla.breached poll',
      'conversation.status.changed webhook',
      'customer.updated poll',
    ]);
    const names = listing.config.map((one: { name: string }) => one.name);
    expect(names.slice(0, 3)).toEqual(['subdomain', 'poll_interval', 'backfill_since']);
    expect((await call('GET', '/v1/listings?q=magento')).body.data).toEqual([]);
    expect((await call('GET', '/v1/listings/cn-magento')).status).toBe(404);
  });
});

describe('connectors', () => {
  it('are installed with what the guide gives them, and shown without their key', async () => {
    const made = await install({ config: { subdomain: 'acme', poll_interval: '5m', backfill_since: '2026-01-31' } });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      ...{
        object: 'connector',
        listing: 'cn-kustomer',
        name: 'kustomer-prod',
        role: 'support',
        kind: 'saas',
        transport: 'mcp',
      },
      auth: { type: 'api_key', hint: '1a2b3c4d' },
      config: { subdomain: 'acme', poll_interval: '5m', backfill_since: '2026-01-31T00:00:00.000Z' },
      probe: { status: 'ready', checks: [{ name: 'authentication', ok: true, status: 'ok' }] },
    });
    expect(made.text).not.toContain('canary');
    const again = await install();
    expect([again.status, again.body.created, again.body.id]).toEqual([200, false, made.body.id]);
    for (const ref of ['kustomer-prod', made.body.id]) {
      expect((await call('GET', `/v1/connectors/${ref}`)).body.name).toBe('kustomer-prod');
    }
    expect((await call('DELETE', '/v1/connectors/kustomer-prod')).body.id).toBe(made.body.id);
    expect((await call('GET', '/v1/connectors')).body.data).toEqual([]);
  });

  it('a credential in the configuration is refused with an explanation, and not repeated', async () => {
    for (const config of [
      { subdomain: 'acme', api_key: 'canary-1234' },
      { subdomain: 'acme', token: 'canary-1234' },
      { subdomain: 'acme', kustomer_api_key: 'canary-1234' },
      { subdomain: KEY },
      { subdomain: 'acme', note: `Bearer ${KEY}` },
      { subdomain: 'acme', Password: 'canary-1234' },
    ]) {
      const refused = await install({ config });
      expect([config, refused.status, refused.body.error.code]).toEqual([config, 422, 'credential_in_config']);
      expect(refused.text).not.toContain('canary');
      expect(refused.body.error.message).toContain('api_key');
    }
    expect((await call('GET', '/v1/connectors')).body.data).toEqual([]);
  });

  it('unknown parameters and wrong types are named, all at once', async () => {
    const refused = await install({ config: { subdomain: 7, poll: 'x', extended_events: 'yes' } });
    const fields = refused.body.error.problems.map((one: { field: string }) => one.field);
    expect([refused.status, fields]).toEqual([422, ['config.subdomain', 'config.poll', 'config.extended_events']]);
  });

  it('the probe tells the three failures of the guide apart', async () => {
    const rows = [
      [[{ name: 'authentication', ok: false, code: 'unauthorized' }], 'error'],
      [[{ name: 'authentication', ok: null, code: 'rate_limited' }], 'degraded'],
      [
        [
          { name: 'authentication', ok: true, code: 'ok' },
          { name: 'write_notes', ok: false, code: 'missing_permission' },
        ],
        'degraded',
      ],
      [
        [
          { name: 'authentication', ok: true, code: 'ok' },
          { name: 'change_conversations', ok: false, code: 'optional_missing_permission' },
        ],
        'ready',
      ],
    ] as const;
    for (const [checks, status] of rows) {
      api.memory.checks = checks.map((one) => ({ ...one, message: 'so it is', nextStep: null }));
      expect([status, (await install()).body.probe.status]).toEqual([status, status]);
    }
  });
});

describe('capabilities and grants', () => {
  it('installing exposes everything and grants nothing', async () => {
    await install();
    const { data } = (await call('GET', '/v1/capabilities')).body;
    expect(data.map((one: { capability: string }) => one.capability).sort()).toEqual([
      'call.status.write',
      'conversation.assignment.write',
      'conversation.note.write',
      'conversation.read',
      'conversation.status.write',
      'customer.read',
    ]);
    for (const one of data)
      expect(one).toMatchObject({
        connector: 'cn-kustomer',
        connection: 'kustomer-prod',
        status: 'ready',
        granted_to: [],
      });
  });

  it('are given and taken one by one, and asked twice nothing changes', async () => {
    await install();
    const grant = (capability: string) => call('PUT', '/v1/grants', { operator: 'triage', capability });
    await grant('conversation.read');
    const both = await grant('conversation.note.write');
    expect(both.body.capabilities).toEqual(['conversation.note.write', 'conversation.read']);
    expect((await grant('conversation.note.write')).body.capabilities).toEqual(both.body.capabilities);
    const revoke = (capability: string) => call('DELETE', `/v1/grants?operator=triage&capability=${capability}`);
    expect((await revoke('conversation.read')).body.capabilities).toEqual(['conversation.note.write']);
    expect((await revoke('conversation.read')).body.capabilities).toEqual(['conversation.note.write']);
    expect((await revoke('conversation.note.write')).body).toMatchObject({ capabilities: [], updated_at: null });
    expect((await call('GET', '/v1/grants')).body.data).toEqual([]);
  });

  it('a name that is no capability is told with those that are', async () => {
    await install();
    const refused = await call('PUT', '/v1/grants', { operator: 'triage', capability: 'conversations.read' });
    expect([refused.status, refused.body.error.code]).toEqual([400, 'invalid_parameter']);
    expect(refused.body.error.message).toContain('conversation.read');
  });

  it('of several connections none is guessed', async () => {
    await install();
    await install({ name: 'other' });
    const body = { operator: 'triage', capability: 'conversation.read' };
    expect((await call('PUT', '/v1/grants', body)).body.error.code).toBe('invalid_parameter');
    expect((await call('PUT', '/v1/grants', { ...body, connection: 'other' })).body.connection).toBe('other');
  });
});

describe('what a tenant can have is bounded: every process holds it in memory', () => {
  it('connectors; those there are can be changed all the same', async () => {
    for (let n = 0; n < MAX_CONNECTORS; n += 1) api.memory.addConnection('t_a', `c${n}`);
    const refused = await install();
    expect([refused.status, refused.body.error.code]).toEqual([409, 'state_conflict']);
    expect((await install({ name: 'c7' })).status).toBe(200);
  });

  it('grants', async () => {
    const { connectionId } = api.memory.addConnection('t_a', 'prod');
    for (let n = 0; n < MAX_GRANTS; n += 1) {
      const request = { tenantId: 't_a', connectionId, operator: `o${n}`, capability: 'customer.read', by: 'me' };
      await api.memory.grants.grant(request);
    }
    const grant = (operator: string) => call('PUT', '/v1/grants', { operator, capability: 'conversation.read' });
    expect((await grant('one-more')).body.error.code).toBe('state_conflict');
    expect((await grant('o1')).body.capabilities).toEqual(['conversation.read', 'customer.read']);
  });

  it('names of policies, deleted ones too', async () => {
    const apply = (name: string) => call('POST', '/v1/policies', { document: GUIDE.replace('support-writes', name) });
    for (let n = 0; n < MAX_POLICY_NAMES; n += 1) {
      expect((await apply(`p${n}`)).status).toBe(201);
      await api.memory.policies.delete('t_a', `p${n}`);
    }
    expect((await apply('one-more')).body.error.code).toBe('state_conflict');
    expect((await apply('p3')).body.change).toBe('activated');
  });
});

describe('policies', () => {
  it("the guide's applies as it is printed, and comes back as YAML that says the same", async () => {
    const applied = await call('POST', '/v1/policies', { document: GUIDE });
    expect(applied.status).toBe(201);
    expect(applied.body).toMatchObject({ name: 'support-writes', version: 1, status: 'active', change: 'created' });
    expect(applied.body.id).toMatch(/^grd_/);
    expect(parse(applied.body.document)).toEqual(parse(GUIDE));
    const same = await call('POST', '/v1/policies', { document: `# other words\n${GUIDE}` });
    expect([same.status, same.body.version, same.body.change]).toEqual([200, 1, 'unchanged']);
    const next = await call('POST', '/v1/policies', { document: GUIDE.replace('100', '50') });
    expect([next.status, next.body.version, next.body.change]).toEqual([200, 2, 'changed']);
    const first = await call('GET', '/v1/policies/support-writes?version=1');
    expect(first.body.rules[0].limit.max).toBe(100);
    const versions = await call('GET', '/v1/policies/support-writes/versions');
    expect(versions.body.data.map((one: { version: number }) => one.version)).toEqual([2, 1]);
    expect((await call('GET', '/v1/policies/support-writes?version=3')).status).toBe(404);
  });

  it('everything that is wrong is told, with line and column', async () => {
    const document =
      'policy: Support Writes\nrules:\n  - allow: conversation.notes.write\n  - permit: x\ndefault: allow\n';
    const refused = await call('POST', '/v1/policies', { document });
    expect([refused.status, refused.body.error.code]).toEqual([422, 'policy_invalid']);
    const { problems } = refused.body.error;
    expect(problems.length).toBeGreaterThanOrEqual(4);
    for (const problem of problems) {
      expect(problem).toMatchObject({
        line: expect.any(Number),
        column: expect.any(Number),
        remedy: expect.any(String),
      });
    }
    const validated = await call('POST', '/v1/policies/validate', { document });
    expect(validated.body).toMatchObject({ valid: false, problems });
    expect((await call('POST', '/v1/policies/validate', { document: GUIDE })).body).toMatchObject({
      valid: true,
      name: 'support-writes',
    });
    expect((await call('GET', '/v1/policies')).body.data).toEqual([]);
  });

  it('are put out of force and deleted; what a receipt cites can still be read', async () => {
    await call('POST', '/v1/policies', { document: GUIDE });
    expect((await call('POST', '/v1/policies/support-writes/disable', {})).body).toMatchObject({
      status: 'disabled',
      change: 'disabled',
    });
    expect((await call('GET', '/v1/policies?status=active')).body.data).toEqual([]);
    expect((await call('DELETE', '/v1/policies/support-writes')).body.status).toBe('deleted');
    expect((await call('GET', '/v1/policies/support-writes')).status).toBe(404);
    expect((await call('GET', '/v1/policies/support-writes?version=1')).body.status).toBe('deleted');
    expect((await call('DELETE', '/v1/policies/support-writes')).status).toBe(404);
    expect((await call('POST', '/v1/policies', { document: GUIDE })).body).toMatchObject({
      status: 'active',
      version: 1,
    });
  });

  it('say of an action what they would say, with the rule', async () => {
    await install();
    const evaluate = () =>
      call('POST', '/v1/policies/evaluate', { capability: 'conversation.note.write', args: NOTE, operator: 'triage' });
    expect((await evaluate()).body).toMatchObject({ decision: 'BLOCK', cause: 'no_policy', policy: null });
    await call('POST', '/v1/policies', { document: GUIDE });
    expect((await evaluate()).body).toMatchObject({ decision: 'BLOCK', cause: 'not_granted' });
    await call('PUT', '/v1/grants', { operator: 'triage', capability: 'conversation.note.write' });
    expect((await evaluate()).body).toMatchObject({
      decision: 'ALLOW',
      policy: { name: 'support-writes', version: 1, rule: 'allow: conversation.note.write' },
      limits: [{ per: 'hour', max: 100, used: 0 }],
    });
  });
});

describe('testing a connector', () => {
  const test = (more: object = {}) =>
    call('POST', '/v1/connectors/kustomer-prod/test', { tool: 'note.write', args: NOTE, operator: 'triage', ...more });

  beforeEach(async () => {
    await install();
    await call('POST', '/v1/policies', { document: GUIDE });
  });

  it('is dry unless told otherwise, and says what rule decides', async () => {
    expect((await test()).body).toMatchObject({ mode: 'dry_run', outcome: 'refused', verdict: { decision: 'BLOCK' } });
    await call('PUT', '/v1/grants', { operator: 'triage', capability: 'conversation.note.write' });
    const allowed = await test();
    expect(allowed.body).toMatchObject({
      ...{ object: 'connector_test', tool: 'note.write', capability: 'conversation.note.write', operator: 'triage' },
      ...{ outcome: 'dry_run', verdict: { decision: 'ALLOW', rule: 'allow: conversation.note.write' } },
    });
    expect(api.memory.sent).toEqual([]);
  });

  it('tells every wrong argument, and asks no policy then', async () => {
    const wrong = await test({ args: { conversation_id: '../x', text: 'x' } });
    expect(wrong.body).toMatchObject({ outcome: 'invalid', verdict: null });
    const fields = wrong.body.problems.map((one: { field: string }) => one.field);
    expect(fields).toEqual(expect.arrayContaining(['args.conversation_id', 'args.body']));
    expect((await test({ tool: 'note.delete' })).body.error.message).toContain('note.write');
  });

  const as = (by: string, more: object = {}) =>
    api.call('POST', '/v1/connectors/kustomer-prod/test', {
      ...{ token: by, body: { tool: 'note.write', args: NOTE, ...more } },
    });

  it('without an operator it is tried under the reserved name by whoever may administer it, with no grant', async () => {
    const tried = await as(token);
    expect(tried.body).toMatchObject({ operator: CONNECTOR_TEST, outcome: 'dry_run', verdict: { decision: 'ALLOW' } });
    await as(token, { mode: 'live', wait_ms: 0 });
    expect(api.memory.sent).toMatchObject([{ operator: CONNECTOR_TEST, mode: 'live' }]);
    expect((await call('GET', '/v1/grants')).body.data).toEqual([]);
    // The policies decide all the same.
    const assigned = { tool: 'assignment.write', args: { conversation_id: 'cnv_63k1', user_ids: [] } };
    expect((await as(token, assigned)).body.verdict?.decision).not.toBe('ALLOW');
  });

  it('without an operator others try it as one with the grant, and as nobody where there is none', async () => {
    const operate = await api.token('t_a', ['operate']);
    const nobody = await as(operate);
    expect([nobody.status, nobody.body.error.code]).toEqual([400, 'invalid_parameter']);
    for (const operator of ['zoe', 'ann']) {
      await call('PUT', '/v1/grants', { operator, capability: 'conversation.note.write' });
    }
    expect((await as(operate)).body).toMatchObject({ operator: 'ann', verdict: { decision: 'ALLOW' } });
    expect(api.memory.sent).toEqual([]);
  });

  it('the reserved name is for those alone, and is granted nothing', async () => {
    const operate = await api.token('t_a', ['operate']);
    const refused = await as(operate, { operator: CONNECTOR_TEST });
    expect([refused.status, refused.body.error.code]).toEqual([403, 'insufficient_scope']);
    expect((await as(token, { operator: CONNECTOR_TEST })).body.operator).toBe(CONNECTOR_TEST);
    const granted = await call('PUT', '/v1/grants', { operator: CONNECTOR_TEST, capability: 'conversation.read' });
    expect(granted.status).toBe(400);
    const reader = await api.token('t_a', ['read_only']);
    expect((await as(reader)).status).toBe(403);
  });

  it('live is carried out through the command path, the same one once', async () => {
    await call('PUT', '/v1/grants', { operator: 'triage', capability: 'conversation.note.write' });
    expect((await test({ mode: 'live', wait_ms: 0 })).status).toBe(202);
    expect((await test({ mode: 'live', wait_ms: 0 })).status).toBe(202);
    const [first, second] = api.memory.sent;
    expect(first).toMatchObject({ mode: 'live', operator: 'triage', args: NOTE, tenantId: 't_a' });
    expect(second?.idempotencyKey).toBe(first?.idempotencyKey);
    const receipt = {
      receipt_id: 'rc_1',
      ...{
        verdict: { decision: 'ALLOW', rule: 'allow: conversation.note.write', tier: null },
        policy: { name: 'support-writes', version: 1 },
      },
      ...{
        outcome: 'failed',
        error: { code: 'kustomer_permission', message: '403', next_step: 'a new key', problems: [] },
      },
    } as unknown as WireReceipt;
    api.memory.answer = async () => ({ kind: 'disposed', commandId: 'cmd_1', receipt });
    expect((await test({ mode: 'live' })).body).toMatchObject({
      outcome: 'failed',
      receipt: { id: 'rc_1', error: { code: 'kustomer_permission' } },
    });
    expect((await test({ tool: 'conversation.read', args: {}, mode: 'live' })).status).toBe(400);
  });
});
