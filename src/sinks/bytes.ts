/**
 * Compact bytes for what the sink remembers: LEB128 numbers, length-prefixed texts, hashes as they are. Reading past the end
 * or a number too large throws: what wrote the bytes is not what reads them.
 */
const INITIAL_BYTES = 256;
const MAX_NUMBER_BYTES = 8;

export class ByteWriter {
  #bytes = Buffer.allocUnsafe(INITIAL_BYTES);
  #at = 0;

  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
    return this;
  }

  /** Unsigned, up to 2^53 - 1: beyond 32 bits JavaScript's shifts do not reach. */
  number(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a whole number from 0: ${value}`);
    this.#reserve(MAX_NUMBER_BYTES);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
    return this;
  }

  text(value: string): this {
    const length = Buffer.byteLength(value);
    this.number(length).#reserve(length);
    this.#at += this.#bytes.write(value, this.#at);
    return this;
  }

  bytes(value: Buffer): this {
    this.number(value.length).#reserve(value.length);
    this.#at += value.copy(this.#bytes, this.#at);
    return this;
  }

  /** Lower-case hex of `byteCount` bytes. */
  hex(value: string, byteCount: number): this {
    this.#reserve(byteCount);
    if (value.length !== 2 * byteCount || this.#bytes.write(value, this.#at, 'hex') !== byteCount)
      throw new RangeError(`not ${byteCount} bytes of hex`);
    this.#at += byteCount;
    return this;
  }

  /** A byte that says whether there is a value, then the value. */
  optional<T>(value: T | null, write: (value: T) => unknown): this {
    this.byte(value === null ? 0 : 1);
    if (value !== null) write(value);
    return this;
  }

  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#at));
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#at + count));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  skip(count: number): this {
    if (this.#at + count > this.#bytes.length) throw new RangeError('the bytes end early');
    this.#at += count;
    return this;
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw new RangeError('the bytes end early');
    return value;
  }

  number(): number {
    let value = 0;
    for (let scale = 1, count = 0; count < MAX_NUMBER_BYTES; scale *= 128, count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte > 0x7f) continue;
      if (!Number.isSafeInteger(value)) break;
      return value;
    }
    throw new RangeError('a number is too large');
  }

  text(): string {
    return this.#take(this.number()).toString('utf8');
  }

  /** A copy: what is read from may be large, and is not to live as long. */
  bytes(): Buffer {
    return Buffer.from(this.#take(this.number()));
  }

  hex(byteCount: number): string {
    return this.#take(byteCount).toString('hex');
  }

  optional<T>(read: () => T): T | null {
    const flag = this.byte();
    if (flag > 1) throw new RangeError(`neither there nor absent: ${flag}`);
    return flag === 0 ? null : read();
  }

  #take(count: number): Buffer {
    if (this.#at + count > this.#bytes.length) throw new RangeError('the bytes end early');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}
