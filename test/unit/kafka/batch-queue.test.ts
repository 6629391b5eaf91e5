import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchQueue, type Entry } from '../../../src/kafka/batch-queue.ts';

const entry = (bytes: number, deadlineMs = 0, party = ''): Entry => ({
  record: { topic: 't', key: null, value: null },
  party,
  bytes,
  deadlineMs,
  resolve: () => {},
  reject: () => {},
  settled: false,
});

describe('BatchQueue', () => {
  it('cuts batches by records and by bytes, and lets one oversized record go alone', () => {
    const queue = new BatchQueue({ maxBatchRecords: 3, maxBatchBytes: 100 });
    for (const bytes of [10, 10, 10, 10, 95, 500, 1]) queue.push(entry(bytes));
    const batches = [];
    while (queue.size > 0) batches.push(queue.take().map(({ bytes }) => bytes));
    expect(batches).toEqual([[10, 10, 10], [10], [95], [500], [1]]);
    expect(queue.take()).toEqual([]);
  });

  it('gives up the expired ones and no other', () => {
    const queue = new BatchQueue({ maxBatchRecords: 10, maxBatchBytes: 100 });
    for (const deadlineMs of [10, 20, 30]) queue.push(entry(1, deadlineMs));
    expect(queue.takeExpired(20).map(({ deadlineMs }) => deadlineMs)).toEqual([10, 20]);
    expect(queue.take().map(({ deadlineMs }) => deadlineMs)).toEqual([30]);
  });

  it('Q2: who has little waiting is not behind all that another has', () => {
    const queue = new BatchQueue({ maxBatchRecords: 4, maxBatchBytes: 1000 });
    for (let index = 0; index < 10; index += 1) queue.push(entry(index, 0, 'noisy'));
    queue.push(entry(100, 0, 'quiet'));
    queue.push(entry(200, 0, 'other'));
    queue.push(entry(201, 0, 'other'));
    const batches = [];
    while (queue.size > 0) batches.push(queue.take().map(({ bytes }) => bytes));
    expect(batches).toEqual([[0, 100, 200, 1], [201, 2, 3, 4], [5, 6, 7, 8], [9]]);
  });

  it('Q2: whoever has something waiting is in a batch with room for one of each, whatever the others have', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(sizes, fc.nat(20), (waiting, before) => {
        const queue = new BatchQueue({ maxBatchRecords: waiting.length, maxBatchBytes: 1e9 });
        for (const [party, count] of waiting.entries())
          for (let index = 0; index < count; index += 1) queue.push(entry(1, 0, `p${party}`));
        const left = new Map(waiting.map((count, party) => [`p${party}`, count]));
        for (let batch = 0; batch <= before && queue.size > 0; batch += 1) {
          const wanted = [...left].filter(([, count]) => count > 0).map(([party]) => party);
          const taken = queue.take().map(({ party }) => party);
          expect([...new Set(taken)].sort()).toEqual(wanted.sort());
          for (const party of taken) left.set(party, (left.get(party) as number) - 1);
        }
      }),
    );
  });

  it('Q1 Q3: neither loses, repeats nor reorders an entry of a party, whatever the mixture of calls', () => {
    const step = fc.oneof(
      fc.record({ bytes: fc.nat(200), party: fc.constantFrom('a', 'a', 'a', 'b', 'c') }),
      fc.constant('take'),
      fc.constant('expire'),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 5 }), (steps, maxBatchRecords) => {
        const queue = new BatchQueue({ maxBatchRecords, maxBatchBytes: 300 });
        const pushed: Entry[] = [];
        const taken: Entry[] = [];
        for (const [nowMs, action] of steps.entries()) {
          if (action === 'take') {
            const batch = queue.take();
            expect(batch.length).toBeLessThanOrEqual(maxBatchRecords);
            const bytes = batch.reduce((sum, one) => sum + one.bytes, 0);
            expect(batch.length <= 1 || bytes <= 300).toBe(true);
            taken.push(...batch);
          } else if (action === 'expire') {
            taken.push(...queue.takeExpired(nowMs - 20));
          } else {
            const { bytes, party } = action as { bytes: number; party: string };
            const one = entry(bytes, nowMs, party);
            pushed.push(one);
            queue.push(one);
          }
          expect(queue.size).toBe(pushed.length - taken.length);
        }
        while (queue.size > 0) taken.push(...queue.take());
        expect(taken.length).toBe(pushed.length);
        for (const name of ['a', 'b', 'c'])
          expect(taken.filter(({ party }) => party === name)).toEqual(pushed.filter(({ party }) => party === name));
      }),
    );
  });

  it('stays cheap when it is long: a hundred thousand entries go through', () => {
    const queue = new BatchQueue({ maxBatchRecords: 500, maxBatchBytes: 1e9 });
    for (let index = 0; index < 100_000; index += 1) queue.push(entry(1, index));
    let seen = 0;
    while (queue.size > 0) for (const { deadlineMs } of queue.take()) expect(deadlineMs).toBe(seen++);
    expect(seen).toBe(100_000);
  });
});
