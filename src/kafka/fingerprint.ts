/**
 * 64-bit fingerprints of keys, as two int32. A string and its UTF-8 bytes have the same fingerprint, so a key that comes
 * back from the log as bytes finds the entry that was written under the string.
 *
 * F1 ofString(s) = ofBytes(UTF-8 of s), lone surrogates counted as U+FFFD, as Kafka records hold them
 * F2 `high` is never 0, so a table may take 0 for "no entry"
 * F3 ASCII strings are hashed without allocating
 *
 * Not cryptographic. The seed is drawn per process, so that a sender cannot prepare keys that crowd one slot.
 */

/** Keys up to this many UTF-8 bytes are converted without allocating. */
const SCRATCH_BYTES = 1024;

export class Fingerprinter {
  /** The fingerprint last computed; fields rather than a returned pair, because a pair would be an allocation per key. */
  low = 0;
  high = 0;
  readonly #seed: number;
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  of(key: string | Uint8Array): void {
    if (typeof key === 'string') this.ofString(key);
    else this.ofBytes(key, key.length);
  }

  ofString(key: string): void {
    const length = key.length;
    let a = this.#seed;
    let b = ~this.#seed;
    let seen = 0;
    let index = 0;
    // Code units are packed as if each were one byte; `seen` tells afterwards whether they all were.
    for (const end = length - 3; index < end; index += 4) {
      const c0 = key.charCodeAt(index);
      const c1 = key.charCodeAt(index + 1);
      const c2 = key.charCodeAt(index + 2);
      const c3 = key.charCodeAt(index + 3);
      seen |= c0 | c1 | c2 | c3;
      const word = c0 | (c1 << 8) | (c2 << 16) | (c3 << 24);
      a = mixA(a, b, word);
      b = mixB(b, a, word);
    }
    let tail = 0;
    for (let shift = 0; index < length; index++, shift += 8) {
      const code = key.charCodeAt(index);
      seen |= code;
      tail |= code << shift;
    }
    if (seen > 0x7f) this.#ofOtherString(key);
    else this.#finish(a, b, tail, length);
  }

  ofBytes(key: Uint8Array, length: number): void {
    let a = this.#seed;
    let b = ~this.#seed;
    let index = 0;
    for (const end = length - 3; index < end; index += 4) {
      const word =
        (key[index] as number) |
        ((key[index + 1] as number) << 8) |
        ((key[index + 2] as number) << 16) |
        ((key[index + 3] as number) << 24);
      a = mixA(a, b, word);
      b = mixB(b, a, word);
    }
    let tail = 0;
    for (let shift = 0; index < length; index++, shift += 8) tail |= (key[index] as number) << shift;
    this.#finish(a, b, tail, length);
  }

  #ofOtherString(key: string): void {
    if (key.length * 3 <= SCRATCH_BYTES) this.ofBytes(this.#scratch, this.#scratch.write(key));
    else {
      const bytes = Buffer.from(key);
      this.ofBytes(bytes, bytes.length);
    }
  }

  #finish(a: number, b: number, tail: number, length: number): void {
    a = mixA(a, b, tail);
    b = mixB(b, a, tail);
    a ^= length;
    b ^= length;
    a = avalanche((a + b) | 0);
    b = avalanche((b + Math.imul(a, 0x9e3779b1)) | 0);
    this.low = a;
    this.high = b === 0 ? 1 : b;
  }
}

/** Two lanes in the manner of MurmurHash3, each step a bijection of its lane for a given word and other lane. */
function mixA(a: number, b: number, word: number): number {
  const k = Math.imul(word, 0xcc9e2d51);
  const mixed = a ^ Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  return (Math.imul(((mixed << 13) | (mixed >>> 19)) + b, 5) + 0xe6546b64) | 0;
}

function mixB(b: number, a: number, word: number): number {
  const k = Math.imul(word, 0x239b961b);
  const mixed = b ^ Math.imul((k << 16) | (k >>> 16), 0xab0e9789);
  return (Math.imul(((mixed << 17) | (mixed >>> 15)) + a, 5) + 0x561ccd1b) | 0;
}

function avalanche(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
