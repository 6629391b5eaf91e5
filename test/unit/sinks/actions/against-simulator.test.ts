/**
 * The actions against a Kustomer that loses answers: planned, sent and read back through the real client. No ledger and no
 * lifecycle here; what is shown is that an action says the right thing about what really happened.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/base/secret.ts';
import type { WriteCommand } from '../../../../src/fibric/commands/command.ts';
import type { CommandArgs } from '../../../../src/fibric/commands/index.ts';
import { createBudgetGate } from '../../../../src/kustomer/client/budget-gate.ts';
import { createKustomerClient, type KustomerClient } from '../../../../src/kustomer/client/client.ts';
import type { Failure, Outcome } from '../../../../src/kustomer/client/outcome.ts';
import type { RequestFaultOptions } from '../../../../src/simulator/requests/faults.ts';
import type { Basis } from '../../../../src/sinks/ledger/entry.ts';
import { judge } from '../../../../src/sinks/outcome.ts';
import {
  type Ask,
  hear,
  type Inquiry,
  newInquiry,
  planNext,
  readBackFailed,
  readBackNext,
} from '../../../../src/sinks/reconcile/inquiry.ts';
import { KEY, simulated } from '../../simulator/simulated.ts';
import { EXTERNAL_ID } from './sights.ts';

type Command = Pick<WriteCommand, 'capability' | 'args'>;

const clients: KustomerClient[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

async function world(org: object = {}) {
  const there = await simulated({ conversations: 2, ...org });
  const client = createKustomerClient({
    baseUrl: there.url,
    apiKey: new Secret(KEY),
    gate: createBudgetGate(),
    timeouts: { headersMs: 800, totalMs: 5000 },
  });
  clients.push(client);
  const [conversation, other] = [...there.org.organisation.conversations.values()];
  if (conversation === undefined || other === undefined) throw new Error('no conversation');
  const faults = (...rules: RequestFaultOptions[]) =>
    there.api('POST', '/_simulator/faults', { org: 'acme', requests: rules });
  return { ...there, client, conversation, other, faults };
}

type World = Awaited<ReturnType<typeof world>>;

function asked({ client }: World, { request, link }: Ask): Promise<Outcome<unknown>> {
  const { path, query, ...rest } = request;
  const target = link === null ? { path, ...(query === undefined ? {} : { query }) } : { path: { link } };
  return client.call({ ...rest, ...target, lane: 'writes' });
}

/** Everything there is to ask, until `next` has something to say. */
async function inquire<T extends { readonly do: string }>(
  here: World,
  next: (inquiry: Inquiry) => Ask | T,
): Promise<T | Failure> {
  let inquiry = newInquiry(here.clock.nowMs);
  for (;;) {
    let move: Ask | T = next(inquiry);
    for (;;) {
      if (move.do !== 'ask') return move as T;
      const heard = hear(inquiry, move as Ask, await asked(here, move as Ask));
      if (heard.kind === 'failure') return heard.failure;
      if (heard.kind === 'inquiry') {
        inquiry = heard.inquiry;
        break;
      }
      move = heard.ask;
    }
  }
}

const planned = (here: World, command: Command) =>
  inquire(here, (inquiry) => planNext(command, inquiry, { externalId: EXTERNAL_ID, nowMs: here.clock.nowMs }));

/** Plans and sends, once. */
async function act(here: World, command: Command) {
  const step = await planned(here, command);
  if (!('do' in step)) return { ...judge(step), basis: null };
  if (step.do !== 'write') return { becomes: step.do, code: step.do === 'refuse' ? step.code : null, basis: null };
  const outcome = await here.client.call({ ...step.request, lane: 'writes' });
  return { ...judge(outcome), basis: step.basis };
}

async function readBack(here: World, command: Command, basis: Basis | null = null, sinceMs = here.clock.nowMs) {
  const context = {
    externalId: EXTERNAL_ID,
    machineUserId: here.org.machineUserId,
    sinceMs,
    basis,
    claimed: new Set<string>(),
  };
  const told = await inquire(here, (inquiry) => readBackNext(command, inquiry, context));
  return ('do' in told ? told : readBackFailed(told)).result;
}

const note = (conversation_id: string, body = 'Order SO-1 is late.'): Command => ({
  capability: 'conversation.note.write',
  args: { conversation_id, body },
});
const status = (conversation_id: string, to: 'open' | 'done' = 'done'): Command => ({
  capability: 'conversation.status.write',
  args: { conversation_id, status: to, snooze_until: null },
});
const call = (more: Partial<CommandArgs<'call.status.write'>>): Command => ({
  capability: 'call.status.write',
  args: {
    call_id: 'CA-42',
    phone: null,
    customer_id: null,
    conversation_id: null,
    state: 'ringing',
    direction: 'in',
    from: null,
    to: null,
    placed_at: null,
    answered_at: null,
    ended_at: null,
    recording_url: null,
    ...more,
  },
});

const LOST: readonly (readonly [string, RequestFaultOptions])[] = [
  ['the connection is reset', { kind: 'reset' }],
  ['no answer comes', { kind: 'timeout' }],
  ['the answer is 502', { kind: 'status', status: 502 }],
];

describe.each(LOST)('when %s', (_, fault) => {
  it.each(['before', 'after'] as const)('a note is read back for what it is: fault %s the effect', async (when) => {
    for (const notesShowExternalId of [true, false]) {
      const here = await world({ behaviour: { notesShowExternalId } });
      const command = note(here.conversation.id);
      await here.faults({ ...fault, method: 'POST', path: '/v1/conversations/*/notes', when, count: 1 });
      expect(await act(here, command)).toMatchObject({ becomes: 'ambiguous' });
      const result = await readBack(here, command);
      const [written] = here.org.writes.list();
      expect(result).toMatchObject(
        when === 'after' ? { kind: 'found', vendorId: written?.objectId } : { kind: 'absent' },
      );
    }
  });

  it.each(['before', 'after'] as const)('a status is: fault %s the effect', async (when) => {
    const here = await world();
    const command = status(here.conversation.id);
    await here.faults({ ...fault, method: 'PATCH', when, count: 1 });
    const { becomes, basis } = await act(here, command);
    expect(becomes).toBe('ambiguous');
    expect((await readBack(here, command, basis)).kind).toBe(when === 'after' ? 'found' : 'absent');
    expect(await act(here, command)).toMatchObject({ becomes: when === 'after' ? 'nothing' : 'applied' });
    expect(here.org.writes.count).toBe(1);
  });

  it.each(['before', 'after'] as const)('a call is: fault %s the effect', async (when) => {
    const here = await world();
    const ringing = call({ conversation_id: here.conversation.id });
    await here.faults({ ...fault, method: 'POST', path: '/v1/conversations/*/messages', when, count: 1 });
    expect(await act(here, ringing)).toMatchObject({ becomes: 'ambiguous' });
    expect((await readBack(here, ringing)).kind).toBe(when === 'after' ? 'found' : 'absent');
    await act(here, ringing);
    await here.faults({ ...fault, method: 'PATCH', when, count: 1 });
    const completed = call({ conversation_id: here.conversation.id, state: 'completed' });
    expect(await act(here, completed)).toMatchObject({ becomes: 'ambiguous' });
    expect((await readBack(here, completed)).kind).toBe(when === 'after' ? 'found' : 'absent');
    const messages = here.org.writes.list().filter(({ operation }) => operation.startsWith('POST'));
    expect(messages).toHaveLength(1);
  });
});

describe('a note', () => {
  it('that takes effect late is absent until then, and found afterwards', async () => {
    const here = await world();
    const command = note(here.conversation.id);
    const sinceMs = here.clock.nowMs;
    await here.faults({ kind: 'reset', method: 'POST', when: 'later', laterMs: 20_000, count: 1 });
    expect(await act(here, command)).toMatchObject({ becomes: 'ambiguous' });
    expect((await readBack(here, command)).kind).toBe('absent');
    here.clock.nowMs += 20_000;
    expect((await readBack(here, command, null, sinceMs)).kind).toBe('found');
  });

  it('is found among hundreds, and where its conversation was merged', async () => {
    const here = await world({ limits: { createsPerCustomerMinute: 10_000, orgPerMinute: 100_000 } });
    const at = `/v1/conversations/${here.conversation.id}/notes`;
    for (let n = 0; n < 120; n += 1) await here.api('POST', at, { body: `note ${n}` });
    const command = note(here.conversation.id);
    expect(await act(here, command)).toMatchObject({ becomes: 'applied' });
    expect((await readBack(here, command)).kind).toBe('found');
    const change = { kind: 'merge_conversations', source: here.conversation.id, target: here.other.id };
    await here.api('POST', '/_simulator/change', { org: 'acme', change });
    expect((await readBack(here, command)).kind).toBe('found');
    expect((await readBack(here, note(here.conversation.id, 'Never written.'))).kind).toBe('absent');
    expect(await act(here, command)).toMatchObject({ becomes: 'failed_final', code: 'target_not_found' });
    expect(await act(here, status(here.conversation.id))).toMatchObject({
      becomes: 'refuse',
      code: 'conversation_merged',
    });
  });

  it('cannot be read back without the role, and says which', async () => {
    const here = await world({ access: { roles: ['org.permission.note.create'] } });
    const command = note(here.conversation.id);
    expect(await act(here, command)).toMatchObject({ becomes: 'applied' });
    const result = await readBack(here, command);
    expect(result).toMatchObject({ kind: 'unreadable', message: expect.stringContaining('org.permission.note.read') });
  });

  it('beyond 120 a minute for a customer waits', async () => {
    const here = await world({ limits: { createsPerCustomerMinute: 1, retryAfter: 'seconds' } });
    expect(await act(here, note(here.conversation.id))).toMatchObject({ becomes: 'applied' });
    const limited = await act(here, note(here.conversation.id));
    expect(limited).toMatchObject({ becomes: 'retry_later', code: 'kustomer_rate_limited' });
    expect(here.org.writes.count).toBe(1);
  });
});

describe('an assignment', () => {
  it('that meets a change of somebody else is decided again on what is there then: nobody is lost', async () => {
    const here = await world();
    const [mine, theirs] = [...here.org.organisation.users.values()].map(({ id }) => id) as [string, string];
    const command: Command = {
      capability: 'conversation.assignment.write',
      args: { conversation_id: here.conversation.id, users: [mine], teams: null, mode: 'add' },
    };
    const step = await planned(here, command);
    if (!('do' in step) || step.do !== 'write') throw new Error('no write');
    await here.api('PATCH', `/v1/conversations/${here.conversation.id}`, { assignedUsers: [theirs] });
    expect(judge(await here.client.call({ ...step.request, lane: 'writes' }))).toMatchObject({ becomes: 'conflict' });
    expect((await readBack(here, command, step.basis)).kind).toBe('absent');
    expect(await act(here, command)).toMatchObject({ becomes: 'applied' });
    const { body } = await here.api('GET', `/v1/conversations/${here.conversation.id}`);
    expect(body.data.attributes.assignedUsers).toEqual([theirs, mine]);
  });

  it('without the role to change conversations is refused for good', async () => {
    const here = await world({ access: { roles: ['org.permission.conversation.read'] } });
    const denied = await act(here, status(here.conversation.id));
    expect(denied).toMatchObject({ becomes: 'failed_final', connectionFault: 'role_missing' });
    expect(denied).toMatchObject({ message: expect.stringContaining('org.permission.conversation.update') });
  });
});

describe('a call', () => {
  it('is one message however its events come, and never moves backwards', async () => {
    for (const messageMeta of ['replace', 'merge'] as const) {
      const here = await world({ behaviour: { messageMeta } });
      const customer = [...here.org.organisation.customers.values()][0];
      const phone = '+15550100';
      await here.api('PATCH', `/v1/customers/${customer?.id}`, { phones: [{ phone }] });
      const placed_at = '2026-03-25T09:59:50Z';
      const ended_at = '2026-03-25T10:01:00Z';
      for (const args of [
        { state: 'in_progress', answered_at: '2026-03-25T10:00:00Z' },
        { state: 'completed', ended_at },
        { state: 'ringing', placed_at },
        { state: 'completed', recording_url: 'https://r.example/1' },
        { state: 'in_progress', answered_at: '2026-03-25T10:00:30Z' },
      ] as const) {
        expect((await act(here, call({ phone, ...args }))).becomes).toMatch(/^(applied|nothing)$/);
      }
      const messages = [...here.org.organisation.messages.values()].filter(
        ({ attributes }) => attributes['externalId'] === 'CA-42',
      );
      expect(messages).toHaveLength(1);
      expect(messages[0]?.relationships['customer']?.data?.id).toBe(customer?.id);
      expect(messages[0]?.attributes).toMatchObject({
        channel: 'voice',
        app: 'fibric',
        preview: 'Inbound call: completed',
        meta: {
          status: 'completed',
          placedAt: '2026-03-25T09:59:50.000Z',
          answeredAt: '2026-03-25T10:00:00.000Z',
          endedAt: '2026-03-25T10:01:00.000Z',
          externalRecordingUrl: 'https://r.example/1',
        },
      });
      expect(here.org.writes.list().map(({ operation }) => operation)).toEqual([
        'PATCH /v1/customers/:id',
        'POST /v1/messages',
        'PATCH /v1/messages/:id',
        'PATCH /v1/messages/:id',
        'PATCH /v1/messages/:id',
      ]);
    }
  });

  it('of a number nobody has is refused', async () => {
    const here = await world();
    expect(await act(here, call({ phone: '+15550999' }))).toMatchObject({
      becomes: 'refuse',
      code: 'customer_not_found',
    });
    expect(here.org.writes.count).toBe(0);
  });
});
