/** LogProducer, and what becomes of an append. */
import { expect } from 'vitest';
import { partitionOfKey } from '../../src/kafka/murmur2.ts';
import type { Append, LogRecord } from '../../src/kafka/port.ts';
import type { LogHarness } from './harness.ts';
import type { Prove } from './log.contract.ts';
import { FollowRecorder, text } from './recorders.ts';

export function producerContract(prove: Prove): void {
  prove('a key decides the partition by murmur2 as in Java, and an explicit partition overrides it', async (h) => {
    const keys = Array.from({ length: 40 }, (_, index) => `customer-${index}`);
    const keyed: Append[] = keys.map((key) => ({ topic: '', key: Buffer.from(key), value: Buffer.from('by key') }));
    const placed: Append[] = keys.map((key) => ({
      topic: '',
      partition: 2,
      key: Buffer.from(key),
      value: Buffer.from('placed'),
    }));
    const read = await roundTrip(h, 4, [...keyed, ...placed]);
    for (const record of read) {
      const wanted = text(record.value) === 'placed' ? 2 : partitionOfKey(record.key as Buffer, 4);
      expect(record.partition).toBe(wanted);
    }
    // Java's own answer for one key, so that a mistake shared with murmur2.ts would show.
    expect(partitionOfKey(Buffer.from('foobar'), 4)).toBe((-790332482 & 0x7fffffff) % 4);
  });

  prove('a record without key and partition lands in one of the partitions', async (h) => {
    const read = await roundTrip(h, 3, [
      { topic: '', key: null, value: Buffer.from('one') },
      { topic: '', key: null, value: Buffer.from('two') },
    ]);
    expect(read.map((record) => text(record.value)).sort()).toEqual(['one', 'two']);
  });

  prove('key, value and headers come back byte for byte; null is not empty', async (h) => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const read = await roundTrip(h, 1, [
      { topic: '', key: bytes, value: bytes, headers: { raw: bytes, text: 'żółw', empty: '' } },
      { topic: '', key: null, value: null },
      { topic: '', key: Buffer.from('tombstone'), value: null, headers: {} },
      { topic: '', key: Buffer.alloc(0), value: Buffer.alloc(0) },
    ]);
    const [full, nothing, tombstone, empty] = read as [LogRecord, LogRecord, LogRecord, LogRecord];
    expect(full.key?.equals(bytes)).toBe(true);
    expect(full.value?.equals(bytes)).toBe(true);
    expect(Object.keys(full.headers).sort()).toEqual(['empty', 'raw', 'text']);
    expect(full.headers['raw']?.equals(bytes)).toBe(true);
    expect(full.headers['text']?.toString()).toBe('żółw');
    expect(full.headers['empty']).toHaveLength(0);
    expect(nothing).toMatchObject({ key: null, value: null, headers: {} });
    expect(tombstone.value).toBeNull();
    expect(empty.key).toHaveLength(0);
    expect(empty.value).toHaveLength(0);
  });

  prove('a timestamp is kept, and without one it is the time of the append', async (h) => {
    const beforeMs = h.log.clock.nowMs();
    const [given, own] = await roundTrip(h, 1, [
      { topic: '', key: null, value: Buffer.from('given'), timestampMs: 1_700_000_000_123 },
      { topic: '', key: null, value: Buffer.from('own') },
    ]);
    const afterMs = h.log.clock.nowMs();
    expect(given?.timestampMs).toBe(1_700_000_000_123);
    expect(own?.timestampMs).toBeGreaterThanOrEqual(beforeMs);
    expect(own?.timestampMs).toBeLessThanOrEqual(afterMs);
  });

  prove('with LogAppendTime the broker gives the time, whatever the append says', async (h) => {
    const beforeMs = h.log.clock.nowMs();
    const append: Append = { topic: '', key: null, value: Buffer.from('stamped'), timestampMs: 1_700_000_000_123 };
    const [stamped] = await roundTrip(h, 1, [append], { 'message.timestamp.type': 'LogAppendTime' });
    expect(stamped?.timestampMs).toBeGreaterThanOrEqual(beforeMs);
    expect(stamped?.timestampMs).toBeLessThanOrEqual(h.log.clock.nowMs());
  });

  prove('append resolves when the log has the records, and offsets follow the order of the appends', async (h) => {
    const topic = h.unique('order');
    await h.log.admin.createTopics([{ name: topic, partitions: 2, config: {} }]);
    const producer = await h.log.producer({ clientId: 'contract' });
    for (let request = 0; request < 5; request += 1) {
      await producer.append(
        Array.from({ length: 400 }, (_, index) => ({
          topic,
          partition: index % 2,
          key: Buffer.from(`key-${index}`),
          value: Buffer.from(String(request * 400 + index)),
        })),
      );
      const high = (request + 1) * 200;
      expect(await h.log.admin.watermarks({ topic, partition: 0 })).toEqual({ low: 0, high });
    }
    await producer.close();
    const reader = await h.log.reader({ clientId: 'contract', topics: [topic] });
    const ears = [0, 1].map((partition) => new FollowRecorder(reader, { topic, partition }));
    await h.until('all is read', () => ears.every((one) => one.records.length >= 1000));
    for (const [partition, one] of ears.entries()) {
      expect(one.values).toEqual(Array.from({ length: 1000 }, (_, index) => String(index * 2 + partition)));
      expect(one.records.map((record) => record.offset)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    }
  });

  prove('bytes may be reused by the caller once append has resolved', async (h) => {
    const topic = h.unique('scratch');
    await h.log.admin.createTopics([{ name: topic, partitions: 1, config: {} }]);
    const producer = await h.log.producer({ clientId: 'contract' });
    const scratch = Buffer.from('first!');
    await producer.append([{ topic, key: scratch, value: scratch, headers: { copy: scratch } }]);
    scratch.fill('x');
    await producer.close();
    const reader = await h.log.reader({ clientId: 'contract', topics: [topic] });
    const ears = new FollowRecorder(reader, { topic, partition: 0 });
    await h.until('the record is read', () => ears.records.length > 0);
    const [record] = ears.records;
    expect([text(record?.key ?? null), text(record?.value ?? null)]).toEqual(['first!', 'first!']);
    expect(record?.headers['copy']?.toString()).toBe('first!');
  });
}

/** Appends to a new topic (the topic of each append is filled in) and reads it back, in order per partition. */
async function roundTrip(
  h: LogHarness,
  partitions: number,
  appends: readonly Append[],
  config: Readonly<Record<string, string>> = {},
): Promise<readonly LogRecord[]> {
  const topic = h.unique('round-trip');
  await h.log.admin.createTopics([{ name: topic, partitions, config }]);
  const producer = await h.log.producer({ clientId: 'contract' });
  await producer.append(appends.map((append) => ({ ...append, topic })));
  await producer.close();
  const reader = await h.log.reader({ clientId: 'contract', topics: [topic] });
  const ears = Array.from({ length: partitions }, (_, partition) => new FollowRecorder(reader, { topic, partition }));
  const read = () => ears.flatMap((one) => one.records);
  await h.until('all appends are read', () => read().length >= appends.length);
  expect(read()).toHaveLength(appends.length);
  await reader.close();
  return read();
}
