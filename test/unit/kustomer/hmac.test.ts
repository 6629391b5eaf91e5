import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { HmacKey } from '../../../src/kustomer/hmac.ts';

const theirs = (secret: string, message: Buffer) => createHmac('sha256', secret).update(message).digest('hex');

it('signs as createHmac does, for secrets shorter and longer than a block', () => {
  const secret = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'grapheme', maxLength: 80 }));
  fc.assert(
    fc.property(secret, fc.uint8Array({ maxLength: 3_000 }), (text, bytes) => {
      const message = Buffer.from(bytes);
      expect(new HmacKey(text).sign(message)).toBe(theirs(text, message));
    }),
  );
});

it.each([0, 1, 63, 64, 65, 65_535, 65_536, 65_537, 1_048_576])('signs a message of %i bytes', (length) => {
  const message = Buffer.alloc(length, 'webhook');
  expect(new HmacKey('token').sign(message)).toBe(theirs('token', message));
});

it('keeps two keys apart that sign in turn', () => {
  const [one, two] = [new HmacKey('one'), new HmacKey('two')];
  const message = Buffer.from('{}');
  const signed = [one.sign(message), two.sign(message), one.sign(message)];
  expect(signed).toEqual([theirs('one', message), theirs('two', message), theirs('one', message)]);
});

it('shows nothing of its secret', () => {
  const key = new HmacKey('token');
  expect(inspect(key, { depth: 9, showHidden: true })).not.toMatch(/token|Buffer|[0-9a-f]{8}/);
  expect(JSON.stringify(key)).toBe('{}');
});
