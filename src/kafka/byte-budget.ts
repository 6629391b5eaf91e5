import { CodedError } from '../base/errors.ts';

/** Counts bytes allocated against a bound. */
export class ByteBudget {
  readonly maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Call before allocating; negative gives back. Throws `state_full`, having counted nothing, when the bound is passed. */
  take(bytes: number): void {
    const usedBytes = this.#usedBytes + bytes;
    if (bytes > 0 && usedBytes > this.maxBytes) {
      throw new CodedError('state_full', 'The state table has reached its bound', {
        usedBytes: this.#usedBytes,
        wantedBytes: bytes,
        maxBytes: this.maxBytes,
      });
    }
    this.#usedBytes = usedBytes;
  }

  reset(): void {
    this.#usedBytes = 0;
  }
}
