/** Traps of KafkaJS on the way to a restored state, on a real broker with its cleaner running. */
import { describe, expect, it } from 'vitest';
import type { FollowOptions, Log, LogRecord, PartitionReader } from '../../src/kafka/port.ts';
import { openTestLog, waitFor } from '../support/log-fixtures.ts';

/** Segments closed by a record a second younger than their first, and cleaned as soon as they are closed. */
const CLEANED_AT_ONCE = {
  'cleanup.policy': 'compact',
  'segment.ms': '1000',
  'min.cleanable.dirty.ratio': '0.01',
  'delete.retention.ms': '0',
  'min.compaction.lag.ms': '0',
};

const ROUND_MS = 3_000;

class Following {
  readonly records: LogRecord[] = [];
  readonly failures: unknown[] = [];
  readonly follow: ReturnType<PartitionReader['follow']>;

  constructor(reader: PartitionReader, where: Pick<FollowOptions, 'topic' | 'partition' | 'fromOffset'>) {
    this.follow = reader.follow({
      ...where,
      records: (batch) => void this.records.push(...batch.records),
      failed: (error) => void this.failures.push(error),
    });
  }

  get last(): string | undefined {
    return this.records.at(-1)?.value?.toString();
  }
}

/**
 * Each round is a holder of its own and changes every key, so that all but the last round is cleaned away; what the cleaner
 * leaves of a holder is an empty batch. Rounds lie seconds apart by their timestamps, which closes a segment each.
 */
async function churn(log: Log, prefix: string, topic: string, rounds: number): Promise<void> {
  const startMs = Date.now() - rounds * ROUND_MS;
  for (let round = 0; round < rounds; round += 1) {
    const holder = await log.transactional({ transactionalId: `${prefix}${round}`, transactionTimeoutMs: 10_000 });
    for (let part = 0; part < 4; part += 1) {
      const keys = Array.from({ length: 50 }, (_, index) => `key ${part * 50 + index}`);
      await holder.commit({
        appends: keys.map((key) => ({
          topic,
          partition: 0,
          key: Buffer.from(key),
          value: Buffer.from(`round ${round} `.repeat(10)),
          timestampMs: startMs + round * ROUND_MS,
        })),
      });
    }
    await holder.close();
  }
}

describe('KafkaJS restore', () => {
  it('a reader gets over batches the cleaner has emptied to the barrier behind them', async () => {
    const { log, prefix } = openTestLog();
    const topic = `${prefix}state`;
    const partition = { topic, partition: 0 };
    await log.admin.createTopics([{ name: topic, partitions: 1, config: CLEANED_AT_ONCE }]);
    await churn(log, prefix, topic, 12);
    const { high } = await log.admin.watermarks(partition);
    const owner = await log.transactional({ transactionalId: `${prefix}owner`, transactionTimeoutMs: 10_000 });
    const reader = await log.reader({ clientId: 'restore', topics: [topic] });

    /** One restore as the session does it: a barrier of its own, then reading from the start until it comes back. */
    let barriers = 0;
    const restore = async () => {
      const barrier = `barrier ${barriers++}`;
      await owner.commit({ appends: [{ ...partition, key: Buffer.from('\0barrier'), value: Buffer.from(barrier) }] });
      const following = new Following(reader, { ...partition, fromOffset: 0 });
      await waitFor(() => following.last === barrier, { message: `${barrier} to be read` });
      await following.follow.stop();
      expect(following.failures).toEqual([]);
      return following.records;
    };

    // Every restore on the way must come through, whatever the cleaner has done by then; the last one finds it at work.
    const cleaned = await waitFor(
      async () => {
        const records = await restore();
        const old = records.filter(({ offset }) => offset < high);
        const keys = new Set(old.map(({ key }) => String(key)));
        expect(keys.size).toBe(200);
        return old.length < 800 && records;
      },
      { message: 'the cleaner to have emptied most of the batches', deadlineMs: 60_000, everyMs: 250 },
    );
    const offsets = cleaned.map(({ offset }) => offset);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect(new Set(offsets).size).toBe(offsets.length);
    const latest = new Map(cleaned.map(({ key, value }) => [String(key), String(value)]));
    for (let key = 0; key < 200; key += 1) expect(latest.get(`key ${key}`)).toContain('round 11');
  });

  it('a follow on an idle reader begins at once', async () => {
    const { log, prefix } = openTestLog();
    const topic = `${prefix}state`;
    await log.admin.createTopics([{ name: topic, partitions: 4, config: {} }]);
    const producer = await log.producer({ clientId: 'writer' });
    for (let partition = 0; partition < 4; partition += 1) {
      await producer.append([{ topic, partition, key: null, value: Buffer.from(`in ${partition}`) }]);
    }
    const reader = await log.reader({ clientId: 'restore', topics: [topic] });
    const delaysMs: number[] = [];
    for (let partition = 0; partition < 4; partition += 1) {
      const startedAtMs = performance.now();
      const following = new Following(reader, { topic, partition, fromOffset: 0 });
      await waitFor(() => following.last === `in ${partition}`, { message: 'the record', everyMs: 5 });
      delaysMs.push(performance.now() - startedAtMs);
      await following.follow.stop();
    }
    expect(Math.min(...delaysMs)).toBeLessThan(300);
    expect(Math.max(...delaysMs)).toBeLessThan(3_000);
  });

  it('a follow goes on without loss or repetition when the topic grows and the reader has to rejoin', async () => {
    const { log, prefix } = openTestLog();
    const topic = `${prefix}state`;
    await log.admin.createTopics([{ name: topic, partitions: 1, config: {} }]);
    const producer = await log.producer({ clientId: 'writer' });
    const reader = await log.reader({ clientId: 'restore', topics: [topic] });
    const following = new Following(reader, { topic, partition: 0, fromOffset: 0 });
    const refused = new Following(reader, { topic, partition: 1, fromOffset: 0 });
    expect(refused.failures).toEqual([expect.objectContaining({ code: 'topic_invalid' })]);
    const append = (value: string) => producer.append([{ topic, partition: 0, key: null, value: Buffer.from(value) }]);
    await append('first');
    await waitFor(() => following.last === 'first', { message: 'the first record' });
    await log.admin.growPartitions(topic, 2);
    await append('second');
    await waitFor(() => following.last === 'second', { message: 'the second record' });
    expect(following.records.map(({ offset }) => offset)).toEqual([0, 1]);
    expect(following.failures).toEqual([]);
  });

  it('a callback that throws ends its own follow, is told, and disturbs no other', async () => {
    const { log, prefix } = openTestLog();
    const topic = `${prefix}state`;
    await log.admin.createTopics([{ name: topic, partitions: 2, config: {} }]);
    const producer = await log.producer({ clientId: 'writer' });
    const reader = await log.reader({ clientId: 'restore', topics: [topic] });
    const failures: unknown[] = [];
    let calls = 0;
    reader.follow({
      topic,
      partition: 0,
      fromOffset: 0,
      records: () => {
        calls += 1;
        throw new TypeError('broken callback');
      },
      failed: (error) => void failures.push(error),
    });
    const other = new Following(reader, { topic, partition: 1, fromOffset: 0 });
    await producer.append([{ topic, partition: 0, key: null, value: Buffer.from('poison') }]);
    await waitFor(() => failures.length > 0, { message: 'the failure to be told' });
    await producer.append([0, 1].map((partition) => ({ topic, partition, key: null, value: Buffer.from('next') })));
    await waitFor(() => other.last === 'next', { message: 'the record of the other partition' });
    expect(failures).toEqual([expect.any(TypeError)]);
    expect(calls).toBe(1);
  });
});
