/** The queue of one lane of the batching producer: plain data, oldest first, cut into batches by records and bytes. */
import type { Append } from './port.ts';

export interface Entry {
  readonly record: Append;
  readonly bytes: number;
  readonly deadlineMs: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  settled: boolean;
}

export interface BatchLimits {
  readonly maxBatchRecords: number;
  readonly maxBatchBytes: number;
}

/** Deadlines must not decrease from one push to the next. */
export class BatchQueue {
  readonly #limits: BatchLimits;
  #entries: Entry[] = [];
  /** Entries before this one have been taken; the array is cut when they are many, so that taking stays cheap. */
  #head = 0;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.length - this.#head;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** The next batch: at least one entry if there is any, then as many as fit both limits. */
  take(): Entry[] {
    const { maxBatchRecords, maxBatchBytes } = this.#limits;
    let end = this.#head;
    let bytes = 0;
    while (end < this.#entries.length && end - this.#head < maxBatchRecords) {
      bytes += (this.#entries[end] as Entry).bytes;
      if (bytes > maxBatchBytes && end > this.#head) break;
      end += 1;
    }
    return this.#cut(end);
  }

  /** Entries whose deadline has come. */
  takeExpired(nowMs: number): Entry[] {
    let end = this.#head;
    while (end < this.#entries.length && (this.#entries[end] as Entry).deadlineMs <= nowMs) end += 1;
    return this.#cut(end);
  }

  #cut(end: number): Entry[] {
    const taken = this.#entries.slice(this.#head, end);
    this.#head = end;
    if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    } else if (this.#head > 4_096) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }
}
