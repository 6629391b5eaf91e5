/**
 * The committed state of one owned partition, all of it in memory, within a bound. Entries are small and may be many, so they
 * are packed with their keys into one table (about 115 bytes for a ledger's entry of 60); what is large stands beside it.
 *
 * S1 behaves as a Map from key to bytes; what `get` and `entries` give is the caller's
 * S2 `entries` of a state that changes meanwhile may miss or repeat what was moved by it, and nothing else
 * S3 the cost of an entry does not depend on the others, so what `assertFits` has let pass, `set` takes
 */
import { CodedError } from '../base/errors.ts';
import type { TopicPartition } from './port.ts';
import { StateTable } from './state-table.ts';

/** What an entry of the table costs beside its bytes: a slot of 16 at a load between a half and three quarters, and rounding. */
const PACKED_BYTES = 36;
/** Of what the table's memory holds, its slack included. */
const SLACK = 1.25;
/** What an entry of the map costs beside its bytes, roughly: a place, a string, a Buffer. */
const LARGE_BYTES = 200;
/** Larger ones come and go one at a time, and would leave holes in the table. */
const MAX_PACKED_BYTES = 4096;
const MAX_PACKED_KEY_BYTES = 0xfe;
/** Instead of its length: the key is this many hex digits, kept as half as many bytes. */
const HEX_MARK = 0xff;
const HEX_KEY = /^[0-9a-f]{32}$/;
const HEX_KEY_BYTES = 16;

export interface OwnedStateOptions extends TopicPartition {
  readonly maxBytes: number;
}

export class OwnedState {
  readonly #options: OwnedStateOptions;
  readonly #packed = new StateTable({ maxBytes: Number.MAX_SAFE_INTEGER });
  /** And what would share its place in the table with another key. */
  readonly #large = new Map<string, Buffer>();
  #bytes = 0;
  #sweep = this.#places();

  constructor(options: OwnedStateOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#packed.size + this.#large.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Buffer | undefined {
    const large = this.#large.get(key);
    if (large !== undefined) return large;
    const packed = this.#packed.get(key);
    return packed === undefined || !isOf(packed, key) ? undefined : bytesOf(packed);
  }

  *entries(): IterableIterator<[string, Buffer]> {
    for (const packed of this.#packed.values()) yield [keyOf(packed), bytesOf(packed)];
    yield* this.#large;
  }

  /**
   * Keys of those that are wanted among the next so many entries, which begin where the last ones ended; where the state ends,
   * so does the look. The bytes given are valid in the call only.
   */
  sweep(looks: number, isWanted: (value: Buffer) => boolean): readonly string[] {
    const found: string[] = [];
    for (let looked = 0; looked < looks; looked++) {
      const { value, done } = this.#sweep.next();
      if (done) {
        this.#sweep = this.#places();
        break;
      }
      const isPlaced = typeof value !== 'string';
      const bytes = isPlaced ? value.subarray(keyEnd(value)) : this.#large.get(value);
      if (bytes !== undefined && isWanted(bytes)) found.push(isPlaced ? keyOf(value) : value);
    }
    return found;
  }

  /** Throws `state_full` when these changes would add to the state and pass its bound. Changes nothing. */
  assertFits(changes: ReadonlyMap<string, Buffer | null>): void {
    let bytes = this.#bytes;
    for (const [key, value] of changes) bytes += cost(key, value) - this.#costOf(key);
    if (bytes > this.#bytes) this.#assertAtMost(this.#options.maxBytes, bytes);
  }

  /** `null` deletes. */
  set(key: string, value: Buffer | null): void {
    this.#bytes += cost(key, value) - this.#costOf(key);
    const there = this.#packed.get(key);
    const isOurs = there !== undefined && isOf(there, key);
    const fits = value !== null && isPacked(key, value) && (there === undefined || isOurs);
    if (fits) this.#packed.set(key, pack(key, value), 0);
    else if (isOurs) this.#packed.delete(key);
    if (value !== null && !fits) this.#large.set(key, value);
    else if (this.#large.size > 0) this.#large.delete(key);
  }

  /**
   * As `set`, for a record read back. What fitted when it was written must open again, also where one transaction passed the
   * bound on its way, so the bound is twice as wide here; it is there to end a restore before memory does.
   */
  restore(key: string, value: Buffer | null): void {
    // Of its own: what was read is part of a larger batch.
    this.set(key, value === null || isPacked(key, value) ? value : Buffer.from(value));
    this.#assertAtMost(2 * this.#options.maxBytes, this.#bytes);
  }

  /** Of the packed ones as they lie there, of the large ones their keys. */
  *#places(): Generator<Buffer | string, undefined> {
    yield* this.#packed.values();
    yield* this.#large.keys();
  }

  #costOf(key: string): number {
    const large = this.#large.get(key);
    if (large !== undefined) return cost(key, large);
    const packed = this.#packed.get(key);
    return packed === undefined || !isOf(packed, key) ? 0 : packedCost(packed.length);
  }

  #assertAtMost(maxBytes: number, bytes: number): void {
    const { topic, partition } = this.#options;
    if (bytes <= maxBytes) return;
    throw new CodedError('state_full', `The state of partition ${partition} of ${topic} has reached its bound`, {
      topic,
      partition,
      wantedBytes: bytes,
      maxBytes,
    });
  }
}

function cost(key: string, value: Buffer | null): number {
  if (value === null) return 0;
  if (isPacked(key, value)) return packedCost(1 + keyBytes(key) + value.length);
  return LARGE_BYTES + 2 * key.length + value.length;
}

function packedCost(bytes: number): number {
  return PACKED_BYTES + Math.ceil(SLACK * bytes);
}

function isPacked(key: string, value: Buffer): boolean {
  return value.length <= MAX_PACKED_BYTES && keyBytes(key) <= MAX_PACKED_KEY_BYTES;
}

function keyBytes(key: string): number {
  return HEX_KEY.test(key) ? HEX_KEY_BYTES : Buffer.byteLength(key);
}

/** Used again for every entry: the table copies it. */
const scratch = Buffer.allocUnsafeSlow(1 + MAX_PACKED_KEY_BYTES + MAX_PACKED_BYTES);

/** Length of the key, or the mark of hex digits; the key; the value. */
function pack(key: string, value: Buffer): Buffer {
  const isHex = HEX_KEY.test(key);
  const length = isHex ? scratch.write(key, 1, 'hex') : scratch.write(key, 1);
  scratch[0] = isHex ? HEX_MARK : length;
  scratch.set(value, 1 + length);
  return scratch.subarray(0, 1 + length + value.length);
}

function keyEnd(packed: Buffer): number {
  const length = packed[0] as number;
  return 1 + (length === HEX_MARK ? HEX_KEY_BYTES : length);
}

function keyOf(packed: Buffer): string {
  return packed.toString(packed[0] === HEX_MARK ? 'hex' : 'utf8', 1, keyEnd(packed));
}

function isOf(packed: Buffer, key: string): boolean {
  return keyOf(packed) === key;
}

function bytesOf(packed: Buffer): Buffer {
  return Buffer.from(packed.subarray(keyEnd(packed)));
}
