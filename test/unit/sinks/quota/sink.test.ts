/** Limits on the whole write path, on the in-memory log, with the simulator as Kustomer. */
import { describe, expect, it } from 'vitest';
import type { WireReceipt } from '../../../../src/fibric/commands/receipt-fields.ts';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { openQuotaBook } from '../../../../src/sinks/quota/book.ts';
import type { ReserveRequest } from '../../../../src/sinks/quota/port.ts';
import type { SinkHouse } from '../../../support/sinks/house.ts';
import { answerOf, openHouseWaiting, waitingOnes } from '../../../support/sinks/waiting.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { type MemoryHouseOptions, memoryHouse } from '../memory-house.ts';

const HOUR_MS = 3_600_000;
const limited = (max: number, rule = 'allow') => `policy: support-writes
rules:
  - ${rule}: conversation.note.write
    limit: { per: hour, max: ${max} }
  - allow: conversation.status.write
default: deny
`;

async function setUp(policy: string, more: MemoryHouseOptions = {}) {
  const there = await memoryHouse({ policy, limits: {}, ...more });
  const { house } = there;
  const ids = [...there.org.organisation.conversations.values()].map(({ id }) => id);
  let n = 0;
  /** Each in a lane of its own, as far as there are conversations. */
  const note = (over: object = {}) =>
    house.command({
      capability: 'conversation.note.write',
      args: { conversation_id: ids[n % ids.length], body: `Note ${n++}` },
      ...over,
    });
  return { ...there, note };
}

const codes = (receipts: readonly WireReceipt[]) =>
  receipts.map(({ outcome, error }) => `${outcome} ${error?.code ?? ''}`.trim()).sort();
const times = (count: number, text: string) => Array<string>(count).fill(text);

describe('a limit', () => {
  it('lets as many through as it says; the others are BLOCK, with the time when there is a place again', async () => {
    const { house, org, note, receipts } = await setUp(limited(3));
    await house.start();
    await house.send(...Array.from({ length: 10 }, () => note()));
    const all = await receipts(10);
    expect(codes(all)).toEqual([...times(3, 'applied'), ...times(7, 'refused limit_reached')]);
    expect(org.writes.count).toBe(3);
    for (const receipt of all.filter(({ outcome }) => outcome === 'refused')) {
      expect(receipt.verdict).toEqual({ decision: 'BLOCK', rule: 'allow: conversation.note.write', tier: null });
      expect(receipt.policy).toEqual({ name: 'support-writes', version: 1 });
      const [, when] = receipt.error?.message.match(/allows 3 per hour;.* free at (\S+)$/) ?? [];
      expect(Date.parse(String(when)) - Date.now()).toBeGreaterThan(HOUR_MS - 60_000);
      expect(receipt.attempts).toBe(0);
    }
  });

  it('is not used by copies, dry runs and what is blocked', async () => {
    const { house, note, receipts } = await setUp(limited(3));
    await house.start();
    const once = note();
    await house.send(
      ...Array.from({ length: 5 }, () => note({ mode: 'dry_run' })),
      ...Array.from({ length: 5 }, () => note({ operator: 'op-other' })),
      ...[once, once, once],
    );
    await receipts(13);
    await house.send(note(), note(), note());
    const expected = [
      ...times(3, 'applied'),
      ...times(2, 'deduplicated'),
      ...times(5, 'dry_run'),
      ...times(5, 'refused grant_missing'),
      'refused limit_reached',
    ];
    expect(codes(await receipts(16))).toEqual(expected);
  });

  it('used up, blocks a dry run too, which says so', async () => {
    const { house, note, receipts } = await setUp(limited(1));
    await house.start();
    await house.send(note());
    await receipts(1);
    await house.send(note({ mode: 'dry_run' }));
    const [, dry] = await receipts(2);
    expect(dry).toMatchObject({
      outcome: 'dry_run',
      verdict: { decision: 'BLOCK' },
      error: { code: 'limit_reached', message: /^support-writes v1 rule 1 .* free at/ },
    });
  });

  /** Places had under the rule before were taken for places of this one: as many calls as were prepared went by uncounted. */
  it('that came while commands were prepared for another counts them all', async () => {
    const { house, org, api, note, receipts } = await setUp(limited(100));
    const fault = { kind: 'timeout', method: 'POST', path: '/v1/conversations/*/notes', when: 'before', count: 1 };
    await api('POST', '/_simulator/faults', { org: 'acme', requests: [fault] });
    await house.start();
    const [conversation] = [...org.organisation.conversations.values()];
    const conversation_id = conversation?.id;
    await house.send(...Array.from({ length: 6 }, (_, at) => note({ args: { conversation_id, body: `${at}` } })));
    await waitFor(() => org.writes.underWay === 1, { message: 'the note that has no effect', everyMs: 1 });
    house.apply(limited(1).replace('per: hour', 'per: minute'));
    expect(codes(await receipts(6))).toEqual(['applied', ...times(5, 'refused limit_reached')]);
    expect(org.writes.count).toBe(1);
  });

  it('slides: a place is free again when its window is over', async () => {
    const { house, org, note, receipts } = await setUp(limited(2), { limits: { windowMs: 300 } });
    await house.start();
    await house.send(...Array.from({ length: 4 }, () => note()));
    expect(codes(await receipts(4))).toEqual([...times(2, 'applied'), ...times(2, 'refused limit_reached')]);
    expect(org.writes.count).toBe(2);
    await waitFor(() => Date.now() > lastWriteMs(house) + 300, { message: 'the window to pass', everyMs: 10 });
    await house.send(...Array.from({ length: 4 }, () => note()));
    expect(codes(await receipts(8))).toEqual([...times(4, 'applied'), ...times(4, 'refused limit_reached')]);
  });

  it('is asked when the command was approved, not when it was held', async () => {
    const { log, house, org, receipts, note } = await setUp(limited(1, 'require_confirmation'));
    const { limits } = await house.start();
    const waiting = await openHouseWaiting(log, house);
    await house.send(note(), note());
    const held = await waitingOnes(waiting, 2);
    expect(limits?.book.health().detail.rules).toBe(0);
    await house.send(...held.map((one) => answerOf(house, one, 'approve')));
    expect(codes(await receipts(2))).toEqual(['applied', 'refused limit_reached']);
    expect(org.writes.count).toBe(1);
    await waiting.close();
  });
});

const lastWriteMs = (house: SinkHouse) =>
  Math.max(...house.receipts.map(({ timings }) => Date.parse(timings.last_sent_at ?? '1970')));

describe('a place', () => {
  /** Given back, it was had by nobody any more: an approval asks under the name of what was held. */
  it('of a command that is held after all is there for its approval', async () => {
    const { house, org, log, api, note, receipts } = await setUp(limited(100));
    const waiting = await openHouseWaiting(log, house);
    const fault = { kind: 'timeout', method: 'POST', path: '/v1/conversations/*/notes', when: 'before', count: 1 };
    await api('POST', '/_simulator/faults', { org: 'acme', requests: [fault] });
    await house.start();
    const [conversation] = [...org.organisation.conversations.values()];
    const args = (body: string) => ({ args: { conversation_id: conversation?.id, body } });
    await house.send(note(args('One.')), note(args('Two.')));
    await waitFor(() => org.writes.underWay === 1, { message: 'the note that has no effect', everyMs: 1 });
    house.apply(limited(100, 'require_confirmation'));
    const held = await waitingOnes(waiting, 2);
    house.apply(limited(100));
    await house.send(...held.map((one) => answerOf(house, one, 'approve')));
    expect(codes(await receipts(2))).toEqual(times(2, 'applied'));
    expect(org.writes.count).toBe(2);
    await waiting.close();
  });

  it('is kept over the attempts of one command', async () => {
    const { house, api, org, note, receipts } = await setUp(limited(2));
    const busy = { method: 'POST', path: '/v1/conversations/*/notes', kind: 'status', status: 409, count: 3 };
    await api('POST', '/_simulator/faults', { org: 'acme', requests: [busy] });
    await house.start();
    await house.send(note());
    expect(await receipts(1)).toMatchObject([{ outcome: 'applied', attempts: 4 }]);
    await house.send(note(), note());
    expect(codes(await receipts(3))).toEqual([...times(2, 'applied'), 'refused limit_reached']);
    expect(org.writes.count).toBe(2);
  });

  it('of a command that could not be sent in time is free for the next', async () => {
    const log = createMemoryLog();
    const { house, note, receipts } = await setUp(limited(1), { apiUrl: 'http://127.0.0.1:9', log });
    await house.start();
    await house.send(note({ deadlineMs: Date.now() + 1000 }));
    expect(await receipts(1)).toMatchObject([{ outcome: 'failed', error: { code: 'deadline_passed' } }]);
    const other = await openQuotaBook({ log, topics: house.names, observer: { failed: () => undefined } });
    await waitFor(() => other.health().detail.granted === 0, { message: 'the place to be given back' });
    expect(other.health().detail.rules).toBe(1);
    await other.close();
  });

  it('that nobody can tell of is waited for', async () => {
    const { house, log, note, receipts } = await setUp(limited(1));
    const { limits } = await house.start();
    const here = limits as NonNullable<typeof limits>;
    const reserve = here.reserve.bind(here);
    let asked = 0;
    Object.assign(here, {
      reserve: (request: ReserveRequest) => {
        if (++asked <= 3) log.faults.unavailable('append');
        return reserve(request);
      },
    });
    await house.send(note());
    expect(codes(await receipts(1))).toEqual(['applied']);
    expect(asked).toBeGreaterThan(1);
  });

  it('is the same for the next owner of the command: a sink that was killed with places wastes none', async () => {
    const log = createMemoryLog();
    const { house, org, note, receipts } = await setUp(limited(20), { log });
    const first = await house.start();
    await house.send(...Array.from({ length: 60 }, () => note()));
    await waitFor(() => org.writes.count >= 5, { message: 'some calls', everyMs: 1 });
    (first.log as MemoryLog).kill();
    await house.bury(first);
    await house.start();
    const all = await receipts(60);
    expect(codes(all)).toEqual([...times(20, 'applied'), ...times(40, 'refused limit_reached')]);
    expect(org.writes.count).toBe(20);
  });
});
