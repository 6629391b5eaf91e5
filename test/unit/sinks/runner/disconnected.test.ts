/** A connection is removed while a call through it is in doubt (C15, disconnected.ts): on the in-memory log, with a killed owner. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { TENANT } from '../../../support/sinks/house.ts';
import { answerOf, openHouseWaiting, waitingOnes } from '../../../support/sinks/waiting.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { type MemoryHouseOptions, memoryHouse } from '../memory-house.ts';

const NOTES = '/v1/conversations/*/notes';
const CONFIRM = 'policy: p\nrules:\n  - require_confirmation: conversation.note.write\ndefault: deny\n';

async function setUp(more: MemoryHouseOptions = {}) {
  const there = await memoryHouse({ log: createMemoryLog({ latencyMs: () => 5 }), partitions: 1, ...more });
  const { house, org, log } = there;
  const view = await openHouseWaiting(log.connect(), house);
  onTestFinished(() => view.close());
  const faulty = (method: string, path: string, when: 'before' | 'after', kind = 'timeout') =>
    there.api('POST', '/_simulator/faults', { org: 'acme', requests: [{ kind, method, path, when, count: 1 }] });
  /** The owner is killed with a write in doubt that has happened. */
  const killedInDoubt = async (first: Awaited<ReturnType<typeof house.start>>) => {
    await waitFor(() => org.writes.count === 1, { message: 'the write whose answer is lost', everyMs: 1 });
    (first.log as MemoryLog).kill();
    await house.bury(first);
  };
  /** Until now, all that was asked of Kustomer. */
  const requests = () => org.requests.list({}).length;
  return { ...there, view, faulty, killedInDoubt, requests };
}

describe('a command in doubt', () => {
  it('regression: was told refused, connection_unknown; it is parked for a person, and its copies are told so', async () => {
    const { house, view, org, note, receipts, faulty, killedInDoubt, requests } = await setUp();
    await faulty('POST', NOTES, 'after');
    const first = await house.start();
    await house.send(house.command({ ...note, idempotencyKey: 'k' }));
    await killedInDoubt(first);
    house.disconnect(TENANT);
    const before = requests();
    await house.start();
    await house.send(house.command({ ...note, idempotencyKey: 'k' }));
    const all = await receipts(2);
    const [parked] = await waitingOnes(view, 1);
    const receipt = all.find(({ receipt_id }) => receipt_id === parked?.receiptId);
    expect(receipt).toMatchObject({
      outcome: 'failed',
      verdict: { decision: 'ALLOW', rule: 'allow: conversation.note.write' },
      attempts: 1,
      connection_id: null,
      error: { code: 'outcome_unknown', message: expect.stringContaining('the connection was removed') },
    });
    expect(parked).toMatchObject({ kind: 'parked', subject: { tenantId: TENANT, connectionId: 'kustomer-prod' } });
    const copy = all.find(({ receipt_id }) => receipt_id !== parked?.receiptId);
    expect(copy).toMatchObject({ outcome: 'refused', error: { code: 'outcome_unknown' } });
    expect([org.writes.count, requests()]).toEqual([1, before]);
    // The person has looked; then the key is as any other that was done.
    await house.send(answerOf(house, parked as never, 'applied'));
    await waitingOnes(view, 0);
    house.connect(TENANT);
    await house.send(house.command({ ...note, idempotencyKey: 'k' }));
    const [, , third] = await receipts(3);
    expect(third).toMatchObject({ outcome: 'deduplicated', first_receipt_id: receipt?.receipt_id });
    expect([org.writes.count, house.dead]).toEqual([1, []]);
  });

  it('is no dead letter either where the tenant has lost its last connection, and can be settled', async () => {
    const { house, view, org, note, receipts, faulty, killedInDoubt } = await setUp();
    await faulty('POST', NOTES, 'after');
    const first = await house.start();
    await house.send(house.command(note));
    await killedInDoubt(first);
    house.disconnect(TENANT, { isKnown: false });
    await house.start();
    const [receipt] = await receipts(1);
    expect(receipt).toMatchObject({ outcome: 'failed', error: { code: 'outcome_unknown' } });
    const [parked] = await waitingOnes(view, 1);
    await house.send(answerOf(house, parked as never, 'not_applied'), house.command(note));
    await waitingOnes(view, 0);
    // But nothing new of a tenant that nobody knows.
    await waitFor(() => house.dead.length === 1, { message: 'the dead letter' });
    expect(house.dead).toEqual(['record_unattributed']);
    expect([org.writes.count, house.receipts.length, house.ignored]).toEqual([1, 1, []]);
  });

  it('is a dead letter where the receipts of its tenant have nowhere to go: one who replays it has it read back', async () => {
    const { house, note, faulty, killedInDoubt } = await setUp();
    await faulty('POST', NOTES, 'after');
    const first = await house.start();
    await house.send(house.command(note));
    await killedInDoubt(first);
    house.disconnect(TENANT, { isKnown: false, isTold: false });
    await house.start();
    await waitFor(() => house.dead.length === 1, { message: 'the dead letter' });
    expect(house.receipts).toEqual([]);
  });

  it('is not read back through another connection that has the name now, nor called a conflict', async () => {
    const { house, view, org, note, receipts, faulty, killedInDoubt, requests } = await setUp();
    await faulty('POST', NOTES, 'after');
    const first = await house.start();
    await house.send(house.command(note));
    await killedInDoubt(first);
    house.disconnect(TENANT);
    house.connect(TENANT, 'cn_another');
    const before = requests();
    await house.start();
    const [receipt] = await receipts(1);
    expect(receipt).toMatchObject({
      outcome: 'failed',
      connection_id: null,
      error: { code: 'outcome_unknown' },
    });
    await waitingOnes(view, 1);
    expect([org.writes.count, requests()]).toEqual([1, before]);
    // What is new goes through the new one.
    await house.send(house.command(note));
    const [, second] = await receipts(2);
    expect(second).toMatchObject({ outcome: 'applied', connection_id: 'cn_another' });
  });

  it('that a person had approved is parked as well, with its tenant known or not', async () => {
    const { house, view, org, note, receipts, faulty, killedInDoubt } = await setUp({ policy: CONFIRM });
    await faulty('POST', NOTES, 'after');
    const first = await house.start();
    await house.send(house.command(note));
    const [held] = await waitingOnes(view, 1);
    await house.send(answerOf(house, held as never, 'approve'));
    await killedInDoubt(first);
    house.disconnect(TENANT, { isKnown: false });
    await house.start();
    const [receipt] = await receipts(1);
    expect(receipt).toMatchObject({
      receipt_id: held?.receiptId,
      outcome: 'failed',
      verdict: { decision: 'ALERT' },
      error: { code: 'outcome_unknown' },
    });
    await waitFor(() => view.list(TENANT)[0]?.kind === 'parked', { message: 'the parked command' });
    expect([org.writes.count, house.dead]).toEqual([1, []]);
  });
});

describe('a command of which nothing was ever sent', () => {
  it('is refused with connection_unknown, and its key is free again', async () => {
    const { house, view, org, conversation, receipts, faulty } = await setUp();
    // What it is to be decided on is being read: its entry lets nothing be sent yet.
    await faulty('GET', '/v1/conversations/*', 'before');
    const args = { conversation_id: conversation.id, status: 'done' };
    const set = () => house.command({ capability: 'conversation.status.write', args, idempotencyKey: 'k' });
    const first = await house.start();
    await house.send(set());
    const path = `/v1/conversations/${conversation.id}`;
    await waitFor(() => org.requests.list({ method: 'GET', path }).length > 0, { message: 'the read', everyMs: 1 });
    (first.log as MemoryLog).kill();
    await house.bury(first);
    house.disconnect(TENANT);
    await house.start();
    const [refused] = await receipts(1);
    expect(refused).toMatchObject({ outcome: 'refused', error: { code: 'connection_unknown' }, attempts: 0 });
    await waitingOnes(view, 0);
    house.connect(TENANT);
    await house.send(set());
    const [, applied] = await receipts(2);
    expect(applied).toMatchObject({ outcome: 'applied' });
    expect(org.writes.count).toBe(1);
  });

  it('nor taken up, likewise', async () => {
    const { house, view, org, note, receipts } = await setUp();
    house.disconnect(TENANT);
    await house.start();
    await house.send(house.command(note), house.command(note));
    const all = await receipts(2);
    expect(all.map(({ outcome, error }) => `${outcome} ${error?.code}`)).toEqual(
      Array(2).fill('refused connection_unknown'),
    );
    await waitingOnes(view, 0);
    expect([org.writes.count, house.dead]).toEqual([0, []]);
  });
});
