/** Cites the invariants of lanes.ts (N). Stories; the proof is lanes.property.test.ts. */
import { describe, expect, it } from 'vitest';
import { DueQueue } from '../../../../src/sinks/lanes/due-queue.ts';
import { LANE_LIMITS, type LaneLimits, Lanes, type Turn } from '../../../../src/sinks/lanes.ts';

const FRESH = { epoch: 1, position: 0, progress: null };

/** All one tenant may have, unless a story is about shares. */
const GREEDY = { slotGreed: Number.POSITIVE_INFINITY, roomGreed: Number.POSITIVE_INFINITY };

function lanesOf(limits: Partial<LaneLimits> = {}): Lanes<string> {
  const lanes = new Lanes<string>({ ...LANE_LIMITS, ...GREEDY, ...limits });
  lanes.assign(0, FRESH);
  return lanes;
}

/** One letter is one command of the lane of that name; offsets follow one another. */
function offer(lanes: Lanes<string>, letters: string, from = 0, partition = 0): string[] {
  return [...letters].map((lane, index) =>
    lanes.offer({ ...ONE, partition, offset: from + index, lane, value: `${lane}${from + index}` }),
  );
}

const ONE = { tenantId: 't', bytes: 1 };

function takeAll(lanes: Lanes<string>, nowMs = 0): Turn<string>[] {
  const turns: Turn<string>[] = [];
  for (let turn = lanes.take(nowMs); turn !== null; turn = lanes.take(nowMs)) turns.push(turn);
  return turns;
}

const values = (turns: readonly Turn<string>[]) => turns.map(({ value }) => value);

describe('lanes', () => {
  it('N4: a hot conversation has one turn in each round, however much it has queued before the others', () => {
    const lanes = lanesOf({ maxActive: 1 });
    offer(lanes, `${'h'.repeat(50)}abc`);
    const started: string[] = [];
    for (let round = 0; round < 8; round++) {
      const [turn] = takeAll(lanes);
      started.push(turn?.value ?? '');
      lanes.settle((turn as Turn<string>).ticket);
    }
    expect(started).toEqual(['h0', 'a50', 'b51', 'c52', 'h1', 'h2', 'h3', 'h4']);
  });

  it('N3 N5: what backs off holds no slot and no other lane, and goes on before what is behind it', () => {
    const lanes = lanesOf({ maxActive: 1 });
    offer(lanes, 'aab');
    const [a] = takeAll(lanes);
    lanes.backOff((a as Turn<string>).ticket, 100);
    const [b] = takeAll(lanes);
    expect(b?.value).toBe('b2');
    lanes.settle((b as Turn<string>).ticket);
    expect([takeAll(lanes, 99), lanes.wakeAtMs]).toEqual([[], 100]);
    const [again] = takeAll(lanes, 100);
    expect(again).toMatchObject({ value: 'a0', resumed: true });
    expect(lanes.settle((a as Turn<string>).ticket)).toBe('stale');
    expect(lanes.commitOffset(0)).toBe(0);
    lanes.settle((again as Turn<string>).ticket);
    expect(values(takeAll(lanes, 100))).toEqual(['a1']);
    expect(lanes.progress(0)).toEqual({ commitOffset: 1, nextOffset: 3, unfinished: [1] });
  });

  it('N6: full says so, drains to the low-water mark, and goes on; the other partition does not notice', () => {
    const lanes = lanesOf({ maxQueued: 4, lowWater: 0.5 });
    lanes.assign(1, FRESH);
    expect(offer(lanes, 'abcde')).toEqual(['queued', 'queued', 'queued', 'queued', 'full']);
    expect([lanes.isPaused(0), lanes.isPaused(1), offer(lanes, 'x', 0, 1)]).toEqual([true, false, ['queued']]);
    const [a, b] = takeAll(lanes) as [Turn<string>, Turn<string>];
    lanes.settle(a.ticket);
    expect([lanes.isPaused(0), offer(lanes, 'e', 4)]).toEqual([true, ['full']]);
    lanes.settle(b.ticket);
    expect([lanes.isPaused(0), offer(lanes, 'e', 4)]).toEqual([false, ['queued']]);
  });

  it('N6: a record that found no room is not passed over: those behind it find none either', () => {
    const lanes = lanesOf({ maxQueued: 1 });
    expect(offer(lanes, 'ab')).toEqual(['queued', 'full']);
    for (const { ticket } of takeAll(lanes)) lanes.settle(ticket);
    expect([offer(lanes, 'c', 2), lanes.skip(0, 2), lanes.commitOffset(0)]).toEqual([['full'], 'full', 1]);
    for (const { ticket } of takeAll(lanes)) lanes.settle(ticket);
    expect(offer(lanes, 'b', 1)).toEqual(['queued']);
  });

  it('N6: a lane too many, too many bytes, too far ahead of the oldest', () => {
    const offered = (limits: Partial<LaneLimits>, second: { lane: string; offset: number; bytes: number }) => {
      const lanes = lanesOf(limits);
      // The first is larger than allowed, but it is alone.
      lanes.offer({ ...ONE, partition: 0, offset: 0, lane: 'a', value: '', bytes: 500 });
      return lanes.offer({ ...ONE, partition: 0, value: '', ...second });
    };
    const next = { lane: 'b', offset: 1, bytes: 1 };
    expect(offered({ maxLanes: 1 }, next)).toBe('full');
    expect(offered({ maxLanes: 1 }, { ...next, lane: 'a' })).toBe('queued');
    expect(offered({ maxQueuedBytes: 100 }, next)).toBe('full');
    expect(offered({ maxSpan: 10 }, { ...next, offset: 10 })).toBe('full');
    expect(offered({ maxSpan: 10 }, { ...next, offset: 9 })).toBe('queued');
  });

  it('N7: skipped records are finished; they do not wait for a lane', () => {
    const lanes = lanesOf();
    offer(lanes, 'a');
    expect([lanes.skip(0, 1), lanes.skip(0, 1), lanes.skip(7, 0)]).toEqual(['skipped', 'known', 'foreign']);
    expect(lanes.progress(0)).toEqual({ commitOffset: 0, nextOffset: 2, unfinished: [0] });
  });

  it('N8 N9: a zombie’s results free its slots and settle nothing', () => {
    const lanes = lanesOf({ maxActive: 2 });
    offer(lanes, 'ab');
    const [a, b] = takeAll(lanes) as [Turn<string>, Turn<string>];
    expect(lanes.assign(0, { ...FRESH, epoch: 2 }).map(({ value }) => value)).toEqual(['a0', 'b1']);
    offer(lanes, 'ab');
    expect(takeAll(lanes), 'their calls are still on the wire').toEqual([]);
    expect(lanes.settle(a.ticket)).toBe('orphaned');
    expect(lanes.commitOffset(0)).toBe(0);
    const [again] = takeAll(lanes);
    expect(again).toMatchObject({ value: 'a0', resumed: false, ticket: { epoch: 2 } });
    expect([lanes.settle(a.ticket), lanes.backOff(b.ticket, 5), lanes.settle(b.ticket)]).toEqual([
      'stale',
      'orphaned',
      'stale',
    ]);
    expect(() => lanes.assign(0, FRESH)).toThrow(RangeError);
  });
});

it('due: earliest first, and of the same time in the order they were put in', () => {
  const due = new DueQueue<string>();
  for (const [atMs, value] of [
    [5, 'c'],
    [1, 'a'],
    [5, 'd'],
    [1, 'b'],
    [9, 'gone'],
    [7, 'e'],
  ] as const)
    due.push(atMs, value);
  due.remove((value) => value === 'gone');
  const taken: (string | undefined)[] = [];
  for (let nowMs = 0; nowMs < 10; nowMs++) for (let left = due.size; left > 0; left--) taken.push(due.take(nowMs));
  expect(taken.filter((value) => value !== undefined)).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect([due.size, due.firstAtMs, due.take(99)]).toEqual([0, null, undefined]);
});
