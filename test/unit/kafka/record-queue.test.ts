import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogRecord, RecordBatch } from '../../../src/kafka/port.ts';
import { RecordQueue } from '../../../src/kafka/record-queue.ts';

const record = (partition: number, offset: number): LogRecord => ({
  topic: 'raw',
  partition,
  offset,
  key: null,
  value: null,
  headers: {},
  timestampMs: 0,
});
const batch = (partition: number, offsets: readonly number[]): RecordBatch => ({
  topic: 'raw',
  partition,
  records: offsets.map((offset) => record(partition, offset)),
});

describe('record queue', () => {
  test('Q2: what was delivered before is not queued again', () => {
    const queue = new RecordQueue(10);
    queue.reset(new Map([[0, 5]]));
    queue.push(batch(0, [3, 4, 5, 6]));
    queue.push(batch(0, [5, 6, 7]));
    expect(queue.take(10).map((taken) => taken.offset)).toEqual([5, 6, 7]);
    expect(queue.take(10)).toEqual([]);
  });

  test('a batch of a partition that is not ours any more is ignored', () => {
    const queue = new RecordQueue(10);
    queue.reset(new Map([[0, 0]]));
    queue.push(batch(1, [0]));
    expect(queue.size).toBe(0);
  });

  test('full and drained leave a gap, so that pausing does not flap', () => {
    const queue = new RecordQueue(4);
    queue.reset(new Map([[0, 0]]));
    queue.push(batch(0, [0, 1, 2, 3, 4]));
    expect(queue.isFull).toBe(true);
    queue.take(2);
    expect([queue.isFull, queue.isDrained]).toEqual([false, false]);
    queue.take(1);
    expect(queue.isDrained).toBe(true);
  });

  test('Q3: large records leave in takes that a batch can hold, and one that no batch can hold leaves alone', () => {
    const queue = new RecordQueue(100, 10_000);
    queue.reset(new Map([[0, 0]]));
    // A record counts as its value and 512 bytes more.
    const records = [488, 488, 5_488, 0, 0, 1_388].map((bytes, offset) => ({
      ...record(0, offset),
      value: Buffer.alloc(bytes),
    }));
    const push = (...some: readonly LogRecord[]) => queue.push({ topic: 'raw', partition: 0, records: some });
    push(...records.slice(0, 5));
    expect(queue.isFull).toBe(false);
    push(...records.slice(5));
    expect(queue.isFull).toBe(true);
    const taken = () => queue.take(10, 3_000).map(({ offset }) => offset);
    expect(taken()).toEqual([0, 1]);
    expect(queue.isDrained).toBe(false);
    expect(taken()).toEqual([2]);
    expect(queue.isDrained).toBe(true);
    expect(taken()).toEqual([3, 4, 5]);
    expect(taken()).toEqual([]);
    expect([queue.isFull, queue.isDrained]).toEqual([false, true]);
  });

  test('Q1: whatever the deliveries and takes, each partition leaves once and in order', () => {
    const deliveries = fc.array(
      fc.record({ partition: fc.nat(2), from: fc.nat(30), length: fc.nat(12), take: fc.nat(20) }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(deliveries, (steps) => {
        const queue = new RecordQueue(16);
        queue.reset(new Map([[0, 0], [1, 0], [2, 0]])); // biome-ignore format: a row of pairs
        const left: LogRecord[] = [];
        for (const step of steps) {
          queue.push(
            batch(
              step.partition,
              Array.from({ length: step.length }, (_, i) => step.from + i),
            ),
          );
          left.push(...queue.take(step.take));
        }
        left.push(...queue.take(Number.MAX_SAFE_INTEGER));
        for (const partition of [0, 1, 2]) {
          const offsets = left.filter((taken) => taken.partition === partition).map((taken) => taken.offset);
          expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
        }
        expect(queue.size).toBe(0);
      }),
    );
  });
});
