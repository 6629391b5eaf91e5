import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sign, signingKey, verifySignature } from '../../../src/kustomer/signature.ts';

const body = Buffer.from('{"id":"1","name":"kustomer.conversation.create"}');
const [first, second, stranger] = ['token-one', 'token-two', 'token-x'].map(signingKey) as [never, never, never];

describe('verifySignature', () => {
  it('takes the signature Kustomer documents: lowercase hex HMAC-SHA256 of the raw body', () => {
    const documented = createHmac('sha256', 'token-one').update(body).digest('hex');
    expect(sign(body, first)).toBe(documented);
    expect(verifySignature(body, documented, [first])).toBe('valid');
  });

  it('takes any live token and no other', () => {
    expect(verifySignature(body, sign(body, first), [first, second])).toBe('valid');
    expect(verifySignature(body, sign(body, second), [first, second])).toBe('valid');
    expect(verifySignature(body, sign(body, stranger), [first, second])).toBe('invalid');
    expect(verifySignature(body, sign(body, first), [second])).toBe('invalid');
  });

  it('takes nothing when no token is live', () => {
    expect(verifySignature(body, sign(body, first), [])).toBe('invalid');
  });

  it.each([[undefined], ['']])('calls %j missing', (header) => {
    expect(verifySignature(body, header, [first])).toBe('missing');
  });

  const good = sign(body, first);
  it.each([
    ['upper case', good.toUpperCase()],
    ['one digit short', good.slice(1)],
    ['one digit long', `${good}0`],
    ['a prefix', `sha256=${good}`],
    ['repeated as Node joins headers', `${good}, ${good}`],
    ['base64', Buffer.from(good, 'hex').toString('base64')],
    ['no hex', 'z'.repeat(64)],
    [
      'wide characters of the same low bytes',
      [...good].map((c) => String.fromCharCode(c.charCodeAt(0) + 0x100)).join(''),
    ],
  ])('refuses %s', (_what, header) => {
    expect(verifySignature(body, header, [first])).toBe('invalid');
  });

  it('refuses every body and header but the pair that was signed', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.nat({ max: 63 }),
        (bytes, at, flip, digit) => {
          const signed = Buffer.from(bytes);
          const header = sign(signed, first);
          expect(verifySignature(signed, header, [second, first])).toBe('valid');
          const altered = Buffer.from(signed);
          altered[at % altered.length] = (altered[at % altered.length] as number) ^ flip;
          expect(verifySignature(altered, header, [second, first])).toBe('invalid');
          const other = `${header.slice(0, digit)}${header[digit] === '0' ? '1' : '0'}${header.slice(digit + 1)}`;
          expect(verifySignature(signed, other, [second, first])).toBe('invalid');
        },
      ),
    );
  });
});
