/** What people decide, from the record of their answer to the receipt of the command, on the in-memory log. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Append } from '../../../../src/kafka/port.ts';
import { composeAnswer, composeResend } from '../../../../src/sinks/answers/compose.ts';
import { createAnswerMac } from '../../../../src/sinks/answers/mac.ts';
import type { WaitingView } from '../../../../src/sinks/answers/waiting.ts';
import { ANSWER_MAC, TENANT } from '../../../support/sinks/house.ts';
import { answerOf, openHouseWaiting, waitingOnes } from '../../../support/sinks/waiting.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { type MemoryHouseOptions, memoryHouse } from '../memory-house.ts';

const CONFIRM_NOTES = `policy: support-writes
rules:
  - require_confirmation: conversation.note.write
  - allow: conversation.status.write
default: deny
`;

const views: WaitingView[] = [];
afterEach(async () => {
  for (const view of views.splice(0)) await view.close();
});

async function setUp(more: MemoryHouseOptions = {}) {
  const there = await memoryHouse({ policy: CONFIRM_NOTES, ...more });
  const { house, log } = there;
  const view = await openHouseWaiting(log.connect(), house);
  views.push(view);
  const ignored = (count: number) =>
    waitFor(() => house.ignored.length >= count && house.ignored, { message: `${count} answers without effect` });
  return { ...there, view, ignored };
}

describe('a command that is held', () => {
  it('runs once a person approves, in another process than it was held in, and has one receipt', async () => {
    const { house, view, org, note, receipts, ignored } = await setUp();
    const first = await house.start();
    await house.send(house.command({ ...note, correlationId: 'corr-held' }));
    const [held] = await waitingOnes(view, 1);
    if (held === undefined) throw new Error('nothing is held');
    expect(held).toMatchObject({ kind: 'held', id: expect.stringMatching(/^apr_[0-9a-f]{32}$/) });
    expect(held.command).toMatchObject({ capability: 'conversation.note.write', correlation_id: 'corr-held' });
    expect([org.writes.count, house.receipts.length]).toEqual([0, 0]);
    await house.stop(first);
    await house.start();
    const approve = answerOf(house, held, 'approve');
    await house.send(approve, approve);
    const [receipt] = await receipts(1);
    await ignored(1);
    expect(receipt).toMatchObject({
      receipt_id: held.receiptId,
      command_id: held.subject.commandId,
      correlation_id: 'corr-held',
      operator: 'op-support',
      outcome: 'applied',
      verdict: { decision: 'ALERT', rule: 'require_confirmation: conversation.note.write' },
      approver: 'ann@acme.example',
      attempts: 1,
    });
    expect(org.writes.count).toBe(1);
    expect(house.receipts).toHaveLength(1);
    expect(house.ignored).toEqual(['it has ended']);
    await waitingOnes(view, 0);
  });

  it('ends refused when a person says no; nothing is called, and a later yes changes nothing', async () => {
    const { house, view, org, note, receipts, ignored } = await setUp();
    await house.start();
    await house.send(house.command(note));
    const [held] = await waitingOnes(view, 1);
    if (held === undefined) throw new Error('nothing is held');
    await house.send(answerOf(house, held, 'reject', 'not this customer'), answerOf(house, held, 'approve'));
    const [receipt] = await receipts(1);
    await ignored(1);
    expect(receipt).toMatchObject({
      receipt_id: held.receiptId,
      outcome: 'refused',
      verdict: { decision: 'BLOCK', rule: 'require_confirmation: conversation.note.write' },
      policy: { name: 'support-writes', version: 1 },
      approver: null,
      error: { code: 'confirmation_rejected', message: 'ann@acme.example rejected it: not this customer' },
    });
    expect(org.writes.count).toBe(0);
    expect(house.receipts).toHaveLength(1);
  });

  it('expires at its time, also when nobody owned it then, and can be sent again', async () => {
    const { house, view, org, note, receipts, ignored } = await setUp({ approvalTtlMs: 150 });
    const first = await house.start();
    await house.send(house.command({ ...note, idempotencyKey: 'k' }));
    const [held] = await waitingOnes(view, 1);
    if (held === undefined) throw new Error('nothing is held');
    await house.stop(first);
    await waitFor(() => Date.now() > (held.expiresAtMs ?? 0), { message: 'its time' });
    expect(house.receipts).toEqual([]);
    await house.start();
    const [receipt] = await receipts(1);
    expect(receipt).toMatchObject({
      receipt_id: held.receiptId,
      operator: 'op-support',
      outcome: 'refused',
      error: { code: 'confirmation_expired' },
    });
    await house.send(answerOf(house, held, 'approve'));
    await ignored(1);
    await house.send(house.command({ ...note, idempotencyKey: 'k' }));
    const [again] = await waitingOnes(view, 1);
    expect(again?.receiptId).not.toBe(held.receiptId);
    expect(org.writes.count).toBe(0);
  });

  it('answers its duplicates meanwhile as before, and holds up nothing else of its conversation', async () => {
    const { house, view, conversation, note, receipts } = await setUp();
    await house.start();
    const status = { conversation_id: conversation?.id, status: 'done' };
    await house.send(
      house.command({ ...note, idempotencyKey: 'k' }),
      house.command({ ...note, idempotencyKey: 'k' }),
      house.command({ capability: 'conversation.status.write', args: status }),
    );
    const [first, second] = await receipts(2);
    expect(first).toMatchObject({ outcome: 'deduplicated', error: null });
    expect(second).toMatchObject({ outcome: 'applied', capability: 'conversation.status.write' });
    const [held] = await waitingOnes(view, 1);
    expect(first?.first_receipt_id).toBe(held?.receiptId);
  });

  it('A4: is refused when the policy does not allow it any more', async () => {
    const { house, view, org, note, receipts } = await setUp();
    const first = await house.start();
    await house.send(house.command(note));
    const [held] = await waitingOnes(view, 1);
    if (held === undefined) throw new Error('nothing is held');
    await house.stop(first);
    house.apply(null);
    await house.start();
    await house.send(answerOf(house, held, 'approve'));
    const [receipt] = await receipts(1);
    expect(receipt).toMatchObject({
      receipt_id: held.receiptId,
      outcome: 'refused',
      verdict: { decision: 'BLOCK' },
      error: { code: 'policy_blocked' },
    });
    expect(org.writes.count).toBe(0);
  });
});

describe('an answer that is none', () => {
  it('goes to the dead topic and stops nobody', async () => {
    const { house, view, org, note, receipts } = await setUp();
    await house.start();
    await house.send(house.command(note));
    const [held] = await waitingOnes(view, 1);
    if (held === undefined) throw new Error('nothing is held');
    const right = answerOf(house, held, 'approve');
    const wire = JSON.parse(String(right.value));
    const changed = (more: object): Append => ({ ...right, value: Buffer.from(JSON.stringify({ ...wire, ...more })) });
    const foreign = { ...held, subject: { ...held.subject, tenantId: 't_other' } };
    const said = { answer: 'approve' as const, by: 'eve', note: null, nowMs: 0 };
    const topic = house.names.commands;
    const elsewhere = { ...held, record: held.record && { ...held.record, key: 'another lane' } };
    await house.send(
      { ...right, value: Buffer.from('{') },
      { ...right, value: null },
      changed({ by: 'eve' }),
      changed({ answer: 'reject' }),
      changed({ more: 1 }),
      { ...right, key: Buffer.from('another key'), partition: held.partition },
      composeAnswer(held, said, { topic, mac: createAnswerMac([Buffer.alloc(32, 8)]) }),
      composeAnswer(foreign, said, { topic, mac: ANSWER_MAC }),
      composeAnswer(elsewhere, said, { topic, mac: ANSWER_MAC }),
    );
    await waitFor(() => house.dead.length === 9, { message: 'dead letters' });
    const counts = Object.groupBy(house.dead, (code) => code);
    expect(counts.answer_malformed).toHaveLength(3);
    expect(counts.answer_forged).toHaveLength(4);
    expect(counts.answer_foreign).toHaveLength(2);
    expect([org.writes.count, house.receipts.length]).toEqual([0, 0]);
    await house.send(right);
    const [receipt] = await receipts(1);
    expect(receipt).toMatchObject({ outcome: 'applied', approver: 'ann@acme.example' });
  });
});

describe('a command that is parked', () => {
  const LOST = { kind: 'reset', method: 'POST', path: '/v1/conversations/*/notes', when: 'before', count: 1 };
  const BLIND = { kind: 'status', status: 403, method: 'GET', path: '/v1/conversations/*/notes', count: 1 };
  const ALLOW = 'policy: p\nrules:\n  - allow: conversation.note.write\ndefault: deny\n';

  async function parked() {
    const all = await setUp({ policy: ALLOW });
    const { house, view, note, api, receipts } = all;
    await api('POST', '/_simulator/faults', { org: 'acme', requests: [LOST, BLIND] });
    await house.start();
    await house.send(house.command({ ...note, idempotencyKey: 'k' }));
    const [failed] = await receipts(1);
    expect(failed).toMatchObject({ outcome: 'failed', error: { code: 'outcome_unknown' } });
    const [waiting] = await waitingOnes(view, 1);
    if (waiting === undefined) throw new Error('nothing is parked');
    expect(waiting).toMatchObject({ kind: 'parked', expiresAtMs: null, receiptId: failed?.receipt_id });
    return { ...all, waiting };
  }

  it('that was not applied is sent again with its answer, once, and has no second receipt', async () => {
    const { house, view, org, waiting, receipts, ignored } = await parked();
    expect(org.writes.count).toBe(0);
    const encode = house.encode.bind(house);
    const resend = composeResend(
      waiting,
      { commandId: 'cmd-again', nowMs: Date.now() },
      { topic: house.names.commands, encode, mac: ANSWER_MAC },
    );
    await house.send(answerOf(house, waiting, 'not_applied'), resend, answerOf(house, waiting, 'applied'));
    const [, applied] = await receipts(2);
    await ignored(1);
    expect(applied).toMatchObject({ outcome: 'applied', command_id: 'cmd-again', idempotency_key: 'k' });
    expect(org.writes.count).toBe(1);
    expect(house.receipts).toHaveLength(2);
    expect(view.list(TENANT)).toEqual([]);
  });

  it('that was applied is what its copies are told of', async () => {
    const { house, view, org, note, waiting, receipts } = await parked();
    const vendorId = 'a'.repeat(24);
    const said = { answer: 'applied' as const, by: 'ann', note: null, nowMs: Date.now(), vendorId };
    await house.send(
      house.command({ ...note, idempotencyKey: 'k' }),
      composeAnswer(waiting, said, { topic: house.names.commands, mac: ANSWER_MAC }),
      house.command({ ...note, idempotencyKey: 'k' }),
    );
    const [, before, after] = await receipts(3);
    expect(before).toMatchObject({ verdict: { decision: 'BLOCK' }, error: { code: 'outcome_unknown' } });
    expect(after).toMatchObject({ verdict: { decision: 'DEDUP' }, first_receipt_id: waiting.receiptId });
    expect(org.writes.count).toBe(0);
    await waitingOnes(view, 0);
  });
});
