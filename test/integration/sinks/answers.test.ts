/** What waits for a person, on a real broker: the sink is restarted between the question and the answer. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { composeResend } from '../../../src/sinks/answers/compose.ts';
import { openTestLog } from '../../support/log-fixtures.ts';
import { ANSWER_MAC, type HouseOptions, SinkHouse, UNHURRIED, UNHURRIED_CALLS } from '../../support/sinks/house.ts';
import { answerOf, openHouseWaiting, waitingOnes } from '../../support/sinks/waiting.ts';
import { waitFor } from '../../support/wait-for.ts';
import { KEY, simulated } from '../../unit/simulator/simulated.ts';

const CONFIRM = 'policy: p\nrules:\n  - require_confirmation: conversation.note.write\ndefault: deny\n';
const ALLOW = 'policy: p\nrules:\n  - allow: conversation.note.write\ndefault: deny\n';

async function setUp(more: Partial<HouseOptions>) {
  const { connect, prefix } = openTestLog();
  const there = await simulated({}, { nowMs: Date.now });
  const house = await SinkHouse.build({
    connect,
    prefix,
    apiUrl: there.url,
    apiKey: KEY,
    machineUserId: there.org.machineUserId,
    sessionTimeoutMs: 6000,
    lifecycle: UNHURRIED,
    timeouts: UNHURRIED_CALLS,
    ...more,
  });
  onTestFinished(async () => {
    await house.close();
    expect(house.crashes).toEqual([]);
  });
  const view = await openHouseWaiting(connect(), house);
  onTestFinished(() => view.close());
  const [conversation] = [...there.org.organisation.conversations.values()];
  const note = { capability: 'conversation.note.write', args: { conversation_id: conversation?.id, body: 'Late.' } };
  const receipts = (count: number) =>
    waitFor(() => house.receipts.length >= count && house.receipts, { message: `${count} receipts` });
  return { ...there, house, view, connect, note, receipts };
}

async function onlyOne(view: Parameters<typeof waitingOnes>[0]) {
  const [waiting] = await waitingOnes(view, 1);
  if (waiting === undefined) throw new Error('nothing waits');
  return waiting;
}

describe('a command that a policy holds', () => {
  it('runs after a restart of the sink when a person approves: one note, one receipt', async () => {
    const { house, view, connect, org, note, receipts } = await setUp({ policy: CONFIRM });
    const first = await house.start();
    await house.send(house.command({ ...note, idempotencyKey: 'k' }), house.command({ ...note, idempotencyKey: 'k' }));
    const held = await onlyOne(view);
    const [pending] = await receipts(1);
    expect(pending).toMatchObject({ verdict: { decision: 'DEDUP' }, first_receipt_id: held.receiptId });
    await house.stop(first);
    // Somebody who looks only now sees it as well.
    const later = await openHouseWaiting(connect(), house);
    onTestFinished(() => later.close());
    await later.caughtUp();
    expect(later.health()).toMatchObject({ ready: true, detail: { entries: 1, missing: 0 } });
    expect((await onlyOne(later)).command).toMatchObject({ capability: 'conversation.note.write' });
    await house.start();
    const approve = answerOf(house, held, 'approve');
    await house.send(approve, approve);
    const [, receipt] = await receipts(2);
    await waitFor(() => house.ignored.length === 1, { message: 'the second answer' });
    expect(receipt).toMatchObject({
      receipt_id: held.receiptId,
      outcome: 'applied',
      verdict: { decision: 'ALERT' },
      approver: 'ann@acme.example',
    });
    expect([org.writes.count, house.receipts.length, house.dead.length]).toEqual([1, 2, 0]);
    await waitingOnes(view, 0);
    await waitingOnes(later, 0);
  });

  it('is refused when a person says no, and when nobody says anything in time', async () => {
    const { house, view, org, note, receipts } = await setUp({ policy: CONFIRM, approvalTtlMs: 3000 });
    const first = await house.start();
    await house.send(house.command(note));
    await house.send(answerOf(house, await onlyOne(view), 'reject'));
    const [rejected] = await receipts(1);
    expect(rejected).toMatchObject({ outcome: 'refused', error: { code: 'confirmation_rejected' } });
    await waitingOnes(view, 0);
    await house.send(house.command(note));
    const held = await onlyOne(view);
    await house.stop(first);
    await house.start();
    const [, expired] = await receipts(2);
    expect(expired).toMatchObject({
      receipt_id: held.receiptId,
      outcome: 'refused',
      error: { code: 'confirmation_expired' },
    });
    expect([org.writes.count, house.receipts.length]).toEqual([0, 2]);
    await waitingOnes(view, 0);
  });
});

it('a command of unknown outcome is listed, and applied once when a person says that it was not', async () => {
  const { house, view, org, api, note, receipts } = await setUp({ policy: ALLOW });
  const notes = '/v1/conversations/*/notes';
  const lost = { kind: 'reset', method: 'POST', path: notes, when: 'before', count: 1 };
  // The key has no org.permission.note.read.
  const blind = { kind: 'status', status: 403, method: 'GET', path: notes, count: 1 };
  await api('POST', '/_simulator/faults', { org: 'acme', requests: [lost, blind] });
  const first = await house.start();
  await house.send(house.command({ ...note, idempotencyKey: 'k' }));
  const parked = await onlyOne(view);
  const [failed] = await receipts(1);
  expect(failed).toMatchObject({ receipt_id: parked.receiptId, error: { code: 'outcome_unknown' } });
  expect(parked).toMatchObject({ kind: 'parked', expiresAtMs: null });
  await house.stop(first);
  await house.start();
  const topic = house.names.commands;
  const encode = house.encode.bind(house);
  const resend = composeResend(
    parked,
    { commandId: 'cmd-again', nowMs: Date.now() },
    { topic, encode, mac: ANSWER_MAC },
  );
  await house.send(answerOf(house, parked, 'not_applied'), resend);
  const [, applied] = await receipts(2);
  expect(applied).toMatchObject({ command_id: 'cmd-again', idempotency_key: 'k', outcome: 'applied', attempts: 1 });
  expect([org.writes.count, house.receipts.length]).toEqual([1, 2]);
  await waitingOnes(view, 0);
});
