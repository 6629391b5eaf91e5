import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fingerprinter } from '../../../src/kafka/fingerprint.ts';

function fingerprint(seed: number, key: string | Uint8Array): string {
  const fingerprinter = new Fingerprinter(seed);
  fingerprinter.of(key);
  return `${fingerprinter.high}:${fingerprinter.low}`;
}

describe('Fingerprinter', () => {
  it('F1: a string and its UTF-8 bytes agree, whatever the string holds', () => {
    const strings = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.string({ unit: 'grapheme', maxLength: 80 }),
      fc.string({ unit: 'binary-ascii', maxLength: 80 }),
    );
    fc.assert(
      fc.property(fc.integer(), strings, (seed, key) => {
        expect(fingerprint(seed, key)).toBe(fingerprint(seed, Buffer.from(key)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('F1: umlauts, emoji, lone surrogates and keys longer than the scratch agree too', () => {
    for (const key of [
      '',
      'é',
      'abcé',
      'Größe',
      '会話:1',
      '🙂🙂',
      '\ud800',
      'a\udfffb',
      'ü'.repeat(5_000),
      'x'.repeat(5_000),
    ]) {
      expect(fingerprint(7, key), JSON.stringify(key.slice(0, 10))).toBe(fingerprint(7, Buffer.from(key)));
    }
  });

  it('a view into a larger buffer counts only its own bytes', () => {
    const whole = Buffer.from('--conversation:42--');
    expect(fingerprint(1, whole.subarray(2, 17))).toBe(fingerprint(1, 'conversation:42'));
  });

  it('keys that are easily confused differ', () => {
    const keys = [
      '',
      '\0',
      '\0\0',
      '\0\0\0\0',
      'a',
      'a\0',
      'ab',
      'ba',
      'abcd',
      'abcde',
      'abcd\0',
      'é',
      'Ã©',
      '\u0001',
      '\u0101',
    ];
    expect(new Set(keys.map((key) => fingerprint(3, key))).size).toBe(keys.length);
  });

  it('F2: no key has a high word of 0, and both words and both seeds spread like random numbers', () => {
    const count = 300_000;
    const fingerprinter = new Fingerprinter(11);
    const pairs = new Set<string>();
    const lows = new Set<number>();
    const highs = new Set<number>();
    const buckets = new Uint32Array(256);
    for (let index = 0; index < count; index++) {
      fingerprinter.ofString(`cn_1:conversation:${index.toString(16).padStart(24, '0')}`);
      expect(fingerprinter.high === 0).toBe(false);
      pairs.add(`${fingerprinter.high}:${fingerprinter.low}`);
      lows.add(fingerprinter.low);
      highs.add(fingerprinter.high);
      const bucket = fingerprinter.high & 255;
      buckets[bucket] = (buckets[bucket] as number) + 1;
    }
    expect(pairs.size).toBe(count);
    // 300,000 random 32-bit numbers hold about 10.5 pairs of equals; 40 is far outside chance.
    expect(count - lows.size).toBeLessThan(40);
    expect(count - highs.size).toBeLessThan(40);
    const expected = count / 256;
    const chiSquare = buckets.reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(380); // 255 degrees of freedom: p ≈ 5e-7
    expect(fingerprint(1, 'conversation:1')).not.toBe(fingerprint(2, 'conversation:1'));
  });
});
