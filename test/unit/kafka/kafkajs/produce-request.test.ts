import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import '../../../../src/kafka/kafkajs/index.ts'; // KafkaJS as it is in service: our codecs, decoder and produce request
import { registerCodecs } from '../../../../src/kafka/kafkajs/codecs.ts';
import { type PackedBatch, packBatch } from '../../../../src/kafka/kafkajs/packed.ts';
import {
  encodePacked,
  groupPacked,
  packedOf,
  packedTopicMessages,
} from '../../../../src/kafka/kafkajs/produce-request.ts';
import { partitionOfKey } from '../../../../src/kafka/murmur2.ts';
import type { Append } from '../../../../src/kafka/port.ts';

registerCodecs();
const require = createRequire(import.meta.url);
const Decoder = require('kafkajs/src/protocol/decoder') as new (
  bytes: Buffer,
) => {
  readInt16(): number;
  readInt32(): number;
  readString(): string | null;
  slice(length: number): unknown;
  forward(bytes: number): void;
};
interface Decoded {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Record<string, Buffer>;
  readonly offset: string;
  readonly timestamp: string;
}
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: unknown,
) => Promise<{ records: Decoded[]; maxTimestamp: string; lastOffsetDelta: number }>;

const PARTITIONS = 3;
const NOW_MS = 1_700_000_000_000;
const NO_MEMORY = Buffer.alloc(0);

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const key = fc.oneof(bytes, fc.constant(null)).filter((one) => one === null || one.length !== 4);
// Not the names every object inherits, which the decoder used here takes for values.
const headerName = fc.string({ unit: 'grapheme' }).map((name) => `h-${name}`);
const append: fc.Arbitrary<Append> = fc.record(
  {
    topic: fc.constantFrom('raw', 'żółw', 'other'),
    key,
    value: fc.oneof(bytes, fc.constant(null)),
    partition: fc.nat({ max: PARTITIONS - 1 }),
    timestampMs: fc.integer({ min: NOW_MS - 2 ** 33, max: NOW_MS + 2 ** 33 }),
    headers: fc.dictionary(headerName, fc.oneof(bytes, fc.string({ unit: 'grapheme' })), {
      maxKeys: 5,
    }),
  },
  { requiredKeys: ['topic', 'key', 'value'] },
);

/** Topic and partition → the records in the request's batch, read with KafkaJS's decoder. */
async function sent({ bytes: memory, length }: PackedBatch): Promise<Map<string, Decoded[]>> {
  const topicData = packedTopicMessages(memory, length).map(({ topic, messages }) => {
    const packed = packedOf(messages);
    if (packed === undefined) throw new Error('not packed');
    const groups = groupPacked(packed, PARTITIONS);
    return {
      topic,
      partitions: Object.entries(groups).map(([partition, group]) => ({
        partition: Number(partition),
        messages: group,
      })),
    };
  });
  const request = encodePacked({ acks: -1, timeout: 1_000, topicData });
  if (request === undefined) throw new Error('not encoded');
  const decoder = new Decoder(request.buffer);
  expect([decoder.readString(), decoder.readInt16(), decoder.readInt32()]).toEqual([null, -1, 1_000]);
  const result = new Map<string, Decoded[]>();
  for (let topics = decoder.readInt32(); topics > 0; topics -= 1) {
    const topic = decoder.readString();
    for (let partitions = decoder.readInt32(); partitions > 0; partitions -= 1) {
      const partition = decoder.readInt32();
      const size = decoder.readInt32();
      const { records, maxTimestamp, lastOffsetDelta } = await decodeBatch(decoder.slice(size));
      decoder.forward(size);
      expect(lastOffsetDelta).toBe(records.length - 1);
      expect(Number(maxTimestamp)).toBe(Math.max(...records.map(({ timestamp }) => Number(timestamp))));
      result.set(`${topic} ${partition}`, records);
    }
  }
  return result;
}

/** What a reader must find of an append. */
const seen = ({ key: recordKey, value, headers = {}, timestampMs = NOW_MS }: Append) => ({
  key: recordKey?.toString('hex') ?? null,
  value: value?.toString('hex') ?? null,
  timestamp: String(timestampMs),
  headers: Object.entries(headers).map(([name, one]) => [name, Buffer.from(one as Buffer).toString('hex')]),
});

const found = ({ key: recordKey, value, headers, timestamp }: Decoded) => ({
  key: recordKey?.toString('hex') ?? null,
  value: value?.toString('hex') ?? null,
  timestamp,
  headers: Object.entries(headers).map(([name, one]) => [name, one.toString('hex')]),
});

describe('packed records', () => {
  it('reach the request unchanged, each in its partition, in the order they were appended', async () => {
    // Without key and partition any partition would do; that case has its own test below.
    const placed = append.map((one) => (one.key === null ? { partition: 0, ...one } : one));
    await fc.assert(
      fc.asyncProperty(fc.array(placed, { minLength: 1, maxLength: 40 }), async (appends) => {
        const wanted = new Map<string, object[]>();
        for (const one of appends) {
          const place = `${one.topic} ${one.partition ?? partitionOfKey(one.key as Buffer, PARTITIONS)}`;
          wanted.set(place, [...(wanted.get(place) ?? []), seen(one)]);
        }
        const batches = await sent(packBatch(appends, NOW_MS, NO_MEMORY));
        expect(new Map(Array.from(batches, ([place, records]) => [place, records.map(found)]))).toEqual(wanted);
      }),
    );
  });

  it('keep a partition once it was chosen, so that a repeated request is the same request', () => {
    const appends = [1, 2, 3, 4, 5].map(() => ({ topic: 'raw', key: null, value: Buffer.from('v') }));
    const { bytes: memory, length } = packBatch(appends, NOW_MS, NO_MEMORY);
    const group = () => {
      const packed = packedOf(packedTopicMessages(memory, length)[0]?.messages ?? []);
      if (packed === undefined) throw new Error('not packed');
      return Object.entries(groupPacked(packed, PARTITIONS)).map(([name, [one]]) => [name, one?.packed.frames]);
    };
    const first = group();
    expect(first).toHaveLength(PARTITIONS);
    expect(group()).toEqual(first);
  });

  it('use the memory given where it is large enough, and leave it alone where not', () => {
    const small = { topic: 'raw', key: null, value: Buffer.alloc(1_000, 'a') };
    const first = packBatch([small], NOW_MS, NO_MEMORY);
    expect(packBatch([small, small], NOW_MS, first.bytes).bytes).toBe(first.bytes);
    const large = { topic: 'raw', key: null, value: Buffer.alloc(first.bytes.length, 'b') };
    const before = Buffer.from(first.bytes);
    expect(packBatch([large], NOW_MS, first.bytes).bytes).not.toBe(first.bytes);
    expect(first.bytes.equals(before)).toBe(true);
  });

  it('refuse the one key that is not safe to read', () => {
    const marker = { topic: 'raw', key: Buffer.alloc(4), value: null };
    expect(() => packBatch([marker], NOW_MS, NO_MEMORY)).toThrow(RangeError);
  });

  it('leave other requests to KafkaJS', () => {
    const topicData = [{ topic: 'raw', partitions: [{ partition: 0, messages: [{ value: Buffer.from('v') }] }] }];
    expect(encodePacked({ acks: -1, timeout: 1, topicData })).toBeUndefined();
  });
});
