import { expect, test } from 'vitest';
import { LagWatch, type PartitionProgress } from '../../../src/kafka/lag-watch.ts';

const at = (position: number, end: number, running = true): PartitionProgress => ({
  partition: 0,
  running,
  position,
  end,
});
const watch = () => new LagWatch({ stallMs: 60_000 });

test('L2: a position that does not move while there is work is a stall, once per period', () => {
  const lag = watch();
  expect(lag.observe([at(5, 100)], 0)).toEqual({ lag: 95, stalled: [] });
  expect(lag.observe([at(5, 100)], 59_999).stalled).toEqual([]);
  expect(lag.observe([at(5, 100)], 60_000).stalled).toEqual([0]);
  expect(lag.observe([at(5, 100)], 61_000).stalled).toEqual([]);
  expect(lag.observe([at(5, 100)], 120_000).stalled).toEqual([0]);
});

test('L1: slow progress is no stall, and neither is a shard that is not running', () => {
  const lag = watch();
  for (let minute = 0; minute < 10; minute++)
    expect(lag.observe([at(minute, 100)], minute * 60_000).stalled).toEqual([]);
  const closed = watch();
  for (let minute = 0; minute < 10; minute++)
    expect(closed.observe([at(5, 100, false)], minute * 60_000).stalled).toEqual([]);
});

test('L3: a transaction marker at the end is no work', () => {
  const lag = watch();
  for (let minute = 0; minute < 10; minute++) {
    expect(lag.observe([at(99, 100)], minute * 60_000)).toEqual({ lag: 0, stalled: [] });
  }
  expect(lag.observe([at(98, 100)], 600_000).lag).toBe(2);
});

test('L1: time without work does not count against a shard that gets some', () => {
  const lag = watch();
  for (let minute = 0; minute < 5; minute++) lag.observe([at(100, 100)], minute * 60_000);
  expect(lag.observe([at(100, 200)], 4 * 60_000 + 1000).stalled).toEqual([]);
});

test('a partition that was given away starts afresh when it comes back', () => {
  const lag = watch();
  lag.observe([at(5, 100)], 0);
  lag.observe([], 30_000);
  expect(lag.observe([at(5, 100)], 70_000).stalled).toEqual([]);
});

test('regression L4: a position beyond the end of a log that was cut passed for no work', () => {
  const lag = watch();
  expect(lag.observe([at(100, 40)], 0)).toEqual({ lag: 0, stalled: [] });
  expect(lag.observe([at(100, 40)], 60_000).stalled).toEqual([0]);
  expect(lag.observe([at(100, 100)], 120_000).stalled).toEqual([]);
});
