/** The committed state of one owned partition: few keys, all in memory, within a bound. */
import { CodedError } from '../base/errors.ts';
import type { TopicPartition } from './port.ts';

/** What a key costs beside its bytes, roughly: an entry of the map, a string, a Buffer. */
const ENTRY_BYTES = 200;

export interface OwnedStateOptions extends TopicPartition {
  readonly maxBytes: number;
}

export class OwnedState {
  readonly #options: OwnedStateOptions;
  readonly #values = new Map<string, Buffer>();
  #bytes = 0;

  constructor(options: OwnedStateOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#values.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Buffer | undefined {
    return this.#values.get(key);
  }

  entries(): IterableIterator<[string, Buffer]> {
    return this.#values.entries();
  }

  /** Throws `state_full` when these changes would add to the state and pass its bound. Changes nothing. */
  assertFits(changes: ReadonlyMap<string, Buffer | null>): void {
    let bytes = this.#bytes;
    for (const [key, value] of changes) bytes += cost(key, value) - cost(key, this.#values.get(key));
    if (bytes > this.#bytes) this.#assertAtMost(this.#options.maxBytes, bytes);
  }

  /** `null` deletes. */
  set(key: string, value: Buffer | null): void {
    this.#bytes += cost(key, value) - cost(key, this.#values.get(key));
    if (value === null) this.#values.delete(key);
    else this.#values.set(key, value);
  }

  /**
   * As `set`, for a record read back. What fitted when it was written must open again, also where one transaction passed the
   * bound on its way, so the bound is twice as wide here; it is there to end a restore before memory does.
   */
  restore(key: string, value: Buffer | null): void {
    this.set(key, value);
    this.#assertAtMost(2 * this.#options.maxBytes, this.#bytes);
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

function cost(key: string, value: Buffer | null | undefined): number {
  return value === null || value === undefined ? 0 : ENTRY_BYTES + 2 * key.length + value.length;
}
