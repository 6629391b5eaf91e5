import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EncodableRecord, encodeRecord } from '../../../../src/kafka/kafkajs/record-encoder.ts';

const require = createRequire(import.meta.url);
/** KafkaJS's own encoder and decoder: nothing in this file opens a client, so the encoder is not replaced here. */
const original = require('kafkajs/src/protocol/recordBatch/record/v0') as (record: EncodableRecord) => {
  buffer: Buffer;
};
const decode = require('kafkajs/src/protocol/recordBatch/record/v0/decoder') as (
  decoder: unknown,
  context: object,
) => { key: Buffer | null; value: Buffer | null; headers: Record<string, Buffer>; offset: string; timestamp: string };
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => { readVarIntBytes(): Buffer };

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const header = fc.oneof(bytes, fc.string(), fc.array(bytes, { minLength: 1, maxLength: 3 }));
const record = fc.record(
  {
    offsetDelta: fc.nat(),
    // Above 2^31: a batch may hold records of very different CreateTime.
    timestampDelta: fc.oneof(
      fc.nat(),
      fc.integer({ min: -100_000, max: -1 }),
      fc.constant(2 ** 40),
      fc.constant(2 ** 31),
    ),
    key: fc.oneof(bytes, fc.string(), fc.constant(null)),
    value: fc.oneof(bytes, fc.string(), fc.constant(null)),
    headers: fc.dictionary(fc.string({ minLength: 1 }), header, { maxKeys: 10 }),
  },
  { requiredKeys: [] },
);

describe('encodeRecord', () => {
  it('writes the same bytes as the encoder it replaces', () => {
    fc.assert(
      fc.property(record, (input) => {
        const encoded = encodeRecord(input as EncodableRecord);
        expect(encoded.buffer.equals(original(input as EncodableRecord).buffer)).toBe(true);
        expect(encoded.size()).toBe(encoded.buffer.length);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([0, 63, 64, 8_191, 8_192, 1_048_575, 1_048_576])(
    'frames a value of %i bytes so that it comes back',
    (length) => {
      const value = Buffer.alloc(length, 7);
      const { buffer } = encodeRecord({ offsetDelta: 3, timestampDelta: 5, key: null, value, headers: { ä: 'ü' } });
      const framed = new Decoder(buffer).readVarIntBytes();
      const decoded = decode(new Decoder(framed), { firstOffset: '10', firstTimestamp: '1000' });
      expect(decoded.value?.equals(value)).toBe(true);
      expect(decoded).toMatchObject({ key: null, offset: '13', timestamp: '1005', headers: { ä: Buffer.from('ü') } });
    },
  );
});
