import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { crc32c } from '../../../../src/kafka/kafkajs/crc32c.ts';

const require = createRequire(import.meta.url);
const original = require('kafkajs/src/protocol/recordBatch/crc32C/crc32C') as (bytes: Uint8Array) => number;

it('gives the check value of the polynomial', () => {
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283);
});

it('agrees with the one it replaces, over any part of a buffer', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.nat(), (bytes, a, b) => {
      const [start, end] = [a % (bytes.length + 1), b % (bytes.length + 1)].sort((x, y) => x - y) as [number, number];
      expect(crc32c(bytes, start, end)).toBe(original(bytes.subarray(start, end)) >>> 0);
    }),
  );
});
