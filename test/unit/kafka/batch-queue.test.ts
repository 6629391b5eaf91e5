import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchQueue, type Entry } from '../../../src/kafka/batch-queue.ts';

const entry = (bytes: number, deadlineMs = 0): Entry => ({
  record: { topic: 't', key: null, value: null },
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

  it('neither loses, repeats nor reorders an entry, whatever the mixture of calls', () => {
    const step = fc.oneof(
      fc.nat(200).map((bytes) => ({ bytes })),
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
            const one = entry((action as { bytes: number }).bytes, nowMs);
            pushed.push(one);
            queue.push(one);
          }
          expect(queue.size).toBe(pushed.length - taken.length);
        }
        while (queue.size > 0) taken.push(...queue.take());
        expect(taken).toEqual(pushed);
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
