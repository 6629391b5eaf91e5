/** The write path from the record to the receipt, on the in-memory log, with the simulator as Kustomer. */
import { describe, expect, it } from 'vitest';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { transactionalId } from '../../../../src/kafka/shards.ts';
import type { OrgOptions } from '../../../../src/simulator/org.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { type MemoryHouseOptions, memoryHouse } from '../memory-house.ts';

const setUp = (org: Partial<OrgOptions> = {}, more: MemoryHouseOptions = {}) => memoryHouse({ org, ...more });

describe('a live command', () => {
  it('is one write and one receipt that cites the rule; its copies are told of it', async () => {
    const { house, org, note, receipts } = await setUp();
    await house.start();
    const copies = Array.from({ length: 5 }, () => house.command({ ...note, idempotencyKey: 'once' }));
    await house.send(...copies);
    const [first, ...others] = await receipts(5);
    expect(org.writes.list().map(({ operation }) => operation)).toEqual(['POST /v1/conversations/:id/notes']);
    expect(first).toMatchObject({
      outcome: 'applied',
      verdict: { decision: 'ALLOW', rule: 'allow: conversation.note.write' },
      policy: { name: 'support-writes', version: 1 },
      vendor: { type: 'note', id: org.writes.list()[0]?.objectId },
      attempts: 1,
      error: null,
    });
    expect(others.map(({ verdict }) => verdict.decision)).toEqual(Array(4).fill('DEDUP'));
    expect(others.every(({ first_receipt_id }) => first_receipt_id === first?.receipt_id)).toBe(true);
  });

  it('of each kind is done, and those of one conversation in their order', async () => {
    const { house, org, conversation, note, receipts } = await setUp();
    const [user] = [...org.organisation.users.values()];
    const customer_id = conversation.relationships['customer']?.data?.id;
    const at = { conversation_id: conversation.id };
    await house.start();
    await house.send(
      house.command(note),
      house.command({ capability: 'conversation.status.write', args: { ...at, status: 'done' } }),
      house.command({
        capability: 'conversation.assignment.write',
        args: { ...at, users: [user?.id], mode: 'add' },
      }),
      house.command({
        capability: 'call.status.write',
        args: { call_id: 'CA-1', ...at, customer_id, state: 'completed', direction: 'in' },
      }),
    );
    const all = await receipts(4);
    const done = all.map(({ outcome, capability }) => `${outcome} ${capability}`);
    // A call has a lane of its own.
    expect(done.filter((one) => !one.endsWith('call.status.write'))).toEqual([
      'applied conversation.note.write',
      'applied conversation.status.write',
      'applied conversation.assignment.write',
    ]);
    expect(done).toContain('applied call.status.write');
    const written = org.writes.list().map(({ operation }) => operation);
    expect(written.filter((one) => !one.endsWith('/messages'))).toEqual([
      'POST /v1/conversations/:id/notes',
      'PATCH /v1/conversations/:id',
      'PATCH /v1/conversations/:id',
    ]);
    expect(written).toContain('POST /v1/conversations/:id/messages');
  });

  it('of a call waits its turn in the conversation it names', async () => {
    const { house, org, conversation, note, receipts } = await setUp();
    const customer_id = conversation.relationships['customer']?.data?.id;
    const args = {
      call_id: 'CA-1',
      customer_id,
      conversation_id: conversation.id,
      state: 'completed',
      direction: 'in',
    };
    const call = { capability: 'call.status.write', args, idempotencyKey: 'k' } as const;
    expect(String(house.command(call).key)).toBe(conversation.id);
    await house.start();
    await house.send(house.command(note), house.command(call), house.command(call));
    const all = await receipts(3);
    expect(all.map(({ outcome }) => outcome)).toEqual(['applied', 'applied', 'deduplicated']);
    expect(org.writes.list().map(({ operation }) => operation)).toEqual([
      'POST /v1/conversations/:id/notes',
      'POST /v1/conversations/:id/messages',
    ]);
    expect(org.writes.overlapCount).toBe(0);
  });

  it('that its action declines was allowed all the same: the receipt says both', async () => {
    const { house, org, receipts } = await setUp();
    const args = { call_id: 'CA-1', phone: '+15550000000', direction: 'in', state: 'completed' };
    await house.start();
    await house.send(house.command({ capability: 'call.status.write', args }));
    const [receipt] = await receipts(1);
    expect(receipt).toMatchObject({
      outcome: 'refused',
      verdict: { decision: 'ALLOW', rule: 'allow: call.status.write' },
      error: { code: 'customer_not_found' },
    });
    expect(org.writes.count).toBe(0);
  });

  it('whose answer is lost after the effect is read back, not sent again', async () => {
    const { house, org, api, note, receipts } = await setUp();
    const fault = { kind: 'reset', method: 'POST', path: '/v1/conversations/*/notes', when: 'after', count: 1 };
    await api('POST', '/_simulator/faults', { org: 'acme', requests: [fault] });
    await house.start();
    await house.send(house.command(note));
    const [receipt] = await receipts(1);
    expect(receipt).toMatchObject({ outcome: 'applied', reconciled: true, attempts: 1 });
    expect(org.writes.count).toBe(1);
  });

  it('under a taken key with other arguments is refused', async () => {
    const { house, org, note, receipts } = await setUp();
    await house.start();
    const other = { ...note, args: { ...note.args, body: 'Something else.' } };
    await house.send(house.command({ ...note, idempotencyKey: 'k' }), house.command({ ...other, idempotencyKey: 'k' }));
    const [, second] = await receipts(2);
    expect(second).toMatchObject({ outcome: 'refused', error: { code: 'idempotency_conflict' } });
    expect(org.writes.count).toBe(1);
  });
});

describe('nothing is called', () => {
  it('without a policy, without a grant, or on a dry run; each has its receipt', async () => {
    const { house, org, note, receipts } = await setUp();
    await house.start();
    await house.send(
      house.command({ ...note, operator: 'op-other' }),
      house.command({ ...note, mode: 'dry_run' }),
      house.command({ ...note, connection: 'nobody' }),
    );
    const byOutcome = (await receipts(3)).map(({ outcome, verdict, error }) =>
      [outcome, verdict.decision, error?.code ?? null].join(),
    );
    expect(byOutcome.toSorted()).toEqual([
      'dry_run,ALLOW,',
      'refused,BLOCK,connection_unknown',
      'refused,BLOCK,grant_missing',
    ]);
    expect(org.writes.count).toBe(0);
  });

  it('where no policy is applied', async () => {
    const { house, org, note, receipts } = await setUp({}, { policy: null });
    await house.start();
    await house.send(house.command(note));
    const [receipt] = await receipts(1);
    expect(receipt).toMatchObject({ outcome: 'refused', verdict: { decision: 'BLOCK', rule: null } });
    expect(org.writes.count).toBe(0);
  });

  /** Each partition has a ledger of its own: by producers that place keys otherwise one note became as many as partitions. */
  it('for what lies in another partition than its key does', async () => {
    const { house, org, note, receipts } = await setUp({}, { partitions: 4 });
    await house.start();
    const one = house.command(note);
    await house.send(...[0, 1, 2, 3].map((partition) => ({ ...one, partition })));
    const all = await receipts(4);
    expect(all.map(({ outcome, error }) => `${outcome} ${error?.code ?? '-'}`).toSorted()).toEqual([
      'applied -',
      ...Array(3).fill('refused command_invalid'),
    ]);
    expect(all.find(({ error }) => error !== null)?.error?.problems).toMatchObject([
      { field: 'key', code: 'mismatch' },
    ]);
    expect(org.writes.count).toBe(1);
  });

  it('for what cannot be read: with a receipt where somebody can be told, else a dead letter', async () => {
    const { house, org, note, receipts } = await setUp();
    await house.start();
    const good = house.command(note);
    const origin = { tenant: 't_acme', connection: 'kustomer-prod', command_id: 'cmd-x' };
    await house.send(
      { ...good, key: Buffer.from('another-lane') },
      { ...good, value: Buffer.from('nonsense') },
      { ...good, value: null },
      { ...good, value: Buffer.from('nonsense'), headers: origin },
      { ...good, value: Buffer.from('x'), key: Buffer.from('any'), headers: { ...origin, tenant: 't_stranger' } },
      good,
    );
    const all = await receipts(3);
    await waitFor(() => house.dead.length === 3, { message: 'three dead letters' });
    expect(all.map(({ outcome, error }) => `${outcome} ${error?.code ?? '-'}`).toSorted()).toEqual([
      'applied -',
      'refused command_invalid',
      'refused command_invalid',
    ]);
    expect(house.dead).toEqual(Array(3).fill('record_unattributed'));
    expect(org.writes.count).toBe(1);
  });
});

/** Found by the chaos run: by times alone nobody could tell the change before from the one in doubt. */
it('a status whose sink was killed right after another change of it is settled without a person (D5)', async () => {
  const broker = createMemoryLog({ latencyMs: () => 5 });
  const { house, org, api, conversation, receipts } = await setUp({}, { connect: () => broker.connect() });
  const set = (status: string, snooze_until: string | null = null) =>
    house.command({
      capability: 'conversation.status.write',
      args: { conversation_id: conversation.id, status, snooze_until },
    });
  const first = await house.start();
  await house.send(set('done'));
  await receipts(1);
  const fault = { kind: 'timeout', method: 'PATCH', path: '/v1/conversations/*', when: 'before', count: 1 };
  await api('POST', '/_simulator/faults', { org: 'acme', requests: [fault] });
  await house.send(set('snoozed', '2100-01-01T00:00:00Z'));
  await waitFor(() => org.writes.underWay === 1, { message: 'the write that has no effect', everyMs: 1 });
  (first.log as MemoryLog).kill();
  await house.bury(first);
  // Somebody else goes on meanwhile, with something else: the revision alone would not tell.
  await api('PATCH', `/v1/conversations/${conversation.id}`, { priority: 5 });
  await api('PATCH', `/v1/conversations/${conversation.id}`, { priority: 4 });
  await house.start();
  const [, settled] = await receipts(2);
  expect(settled).toMatchObject({ outcome: 'applied', attempts: 2 });
  const statuses = org.writes.list().map(({ body }) => (body as { status?: string }).status);
  expect(statuses.filter((status) => status !== undefined)).toEqual(['done', 'snoozed']);
});

/** Each was read back before, one after another, though only the first had been sent. */
it('of notes that a killed sink had prepared ahead only what may have been sent is read back (D7, O2)', async () => {
  const broker = createMemoryLog({ latencyMs: () => 5 });
  const { house, org, api, conversation, note, receipts } = await setUp({}, { connect: () => broker.connect() });
  const first = await house.start();
  const fault = { kind: 'timeout', method: 'POST', path: '/v1/conversations/*/notes', when: 'before', count: 1 };
  await api('POST', '/_simulator/faults', { org: 'acme', requests: [fault] });
  const all = Array.from({ length: 10 }, () => house.command(note));
  await house.send(...all);
  await waitFor(() => org.writes.underWay === 1, { message: 'the note that has no effect', everyMs: 1 });
  (first.log as MemoryLog).kill();
  await house.bury(first);
  await house.start();
  await receipts(10);
  expect(house.outcomes()).toEqual({ 'ALLOW applied': 10 });
  expect(org.writes.count).toBe(10);
  const reads = org.requests.list({ method: 'GET', path: `/v1/conversations/${conversation.id}/notes` });
  expect(reads.length).toBeGreaterThan(1);
  expect(reads.length).toBeLessThan(10);
});

it('regression: a stopped sink that has been fenced ends at once, not when it is through with waiting (D4)', async () => {
  const broker = createMemoryLog();
  const { house, org, note, receipts } = await setUp(
    {},
    { connect: () => broker.connect(), partitions: 1, sink: { drainMs: 60_000 } },
  );
  const first = await house.start();
  await house.send(house.command(note));
  await receipts(1);
  const id = transactionalId('cn-kustomer.sink', house.names.ledger, 0);
  const held = broker.faults.holdCommit(id);
  await house.send(house.command(note));
  await waitFor(() => held.reached, { message: 'the commit before the call' });
  const stopped = house.stop(first);
  await broker.transactional({ transactionalId: id, transactionTimeoutMs: 15_000 });
  held.release();
  await stopped;
  expect(org.writes.count).toBe(1);
  await house.start();
  await receipts(2);
  expect(house.outcomes()).toEqual({ 'ALLOW applied': 2 });
});

it('a stopped sink leaves nothing half done, and the next one goes on where it was', async () => {
  const { house, org, note, receipts } = await setUp();
  const first = await house.start();
  const all = Array.from({ length: 40 }, () => house.command(note));
  await house.send(...all);
  await receipts(3);
  await house.stop(first);
  await house.start();
  await receipts(40);
  expect(house.outcomes()).toEqual({ 'ALLOW applied': 40 });
  expect(org.writes.count).toBe(40);
});
