/** Our record decoder gives what KafkaJS's own gives, for whatever our encoder writes. */
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BatchContext, type Cursor, decodeRecord } from '../../../../src/kafka/kafkajs/record-decoder.ts';
import { encodeRecord } from '../../../../src/kafka/kafkajs/record-encoder.ts';

const require = createRequire(import.meta.url);
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => Cursor & { readVarInt(): number };
const theirs = require('kafkajs/src/protocol/recordBatch/record/v0/decoder') as typeof decodeRecord;

const bytes = fc.option(
  fc.uint8Array({ maxLength: 200 }).map((list) => Buffer.from(list)),
  { nil: null },
);
const headers = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 12 }).filter((name) => !(name in {})), // there KafkaJS itself is wrong
  fc.oneof(fc.string(), fc.array(fc.string(), { minLength: 2, maxLength: 3 })),
  { maxKeys: 9 },
);
const records = fc.record({
  offsetDelta: fc.nat(),
  timestampDelta: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  key: bytes,
  value: bytes,
  headers,
});
const contexts: fc.Arbitrary<BatchContext> = fc.record({
  firstOffset: fc.nat({ max: 2 ** 48 }).map(String),
  firstTimestamp: fc.nat({ max: 2 ** 44 }).map(String),
  maxTimestamp: fc.constant('1790000000000'),
  magicByte: fc.constant(2),
  isControlBatch: fc.boolean(),
  timestampType: fc.constantFrom(0, 1),
});

function decodedBy(decode: typeof decodeRecord, encoded: Buffer, context: BatchContext) {
  const cursor = new Decoder(encoded);
  cursor.readVarInt(); // the length, read by whoever calls the record decoder
  const record = decode(cursor, context);
  return { record, end: cursor.offset };
}

test('any record decodes as KafkaJS decodes it, and the cursor stands behind it', () => {
  fc.assert(
    fc.property(records, contexts, (record, context) => {
      const encoded = encodeRecord(record).buf;
      const ours = decodedBy(decodeRecord, encoded, context);
      expect(ours).toEqual(decodedBy(theirs, encoded, context));
      expect(ours.end).toBe(encoded.length);
    }),
    { numRuns: 500 },
  );
});

test('names that change from record to record are not mixed up', () => {
  for (const name of ['tenant', 'tenanu', 'tenan', 'tenant']) {
    const encoded = encodeRecord({ key: null, value: null, headers: { [name]: 'x' } }).buf;
    const { record } = decodedBy(decodeRecord, encoded, { firstOffset: '0', firstTimestamp: '0' });
    expect(Object.keys(record.headers)).toEqual([name]);
  }
});

test('a header named like what every object has is no earlier value', () => {
  const encoded = encodeRecord({ key: null, value: null, headers: { constructor: 'x' } }).buf;
  const { record } = decodedBy(decodeRecord, encoded, { firstOffset: '0', firstTimestamp: '0' });
  expect(record.headers['constructor']).toEqual(Buffer.from('x'));
});
