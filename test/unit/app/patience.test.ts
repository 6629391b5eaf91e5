import { expect, test } from 'vitest';
import { tellingMeanwhile } from '../../../src/app/patience.ts';
import { VirtualClock } from '../../../src/kafka/memory/index.ts';

function setUp(signal?: AbortSignal) {
  const clock = new VirtualClock();
  const told: number[] = [];
  const work = Promise.withResolvers<string>();
  const outcome = tellingMeanwhile(work.promise, {
    clock,
    tell: (waitedMs) => void told.push(waitedMs),
    ...(signal && { signal }),
  });
  return { clock, told, work, outcome };
}

test('regression: a start without a broker was silent until it gave up', async () => {
  const { clock, told, work, outcome } = setUp();
  await clock.advance(7_000);
  expect(told).toEqual([2_000, 4_000, 6_000]);
  work.reject(new Error('no broker'));
  await expect(outcome).rejects.toThrow('no broker');
  await clock.advance(10_000);
  expect(told).toHaveLength(3);
  expect(clock.pendingTimers).toBe(0);
});

test('what is done at once is not told of', async () => {
  const { clock, told, work, outcome } = setUp();
  work.resolve('done');
  expect(await outcome).toBe('done');
  await clock.advance(10_000);
  expect(told).toEqual([]);
});

test('an interrupted start is quiet', async () => {
  const stop = new AbortController();
  const { clock, told } = setUp(stop.signal);
  stop.abort();
  await clock.advance(10_000);
  expect(told).toEqual([]);
});
