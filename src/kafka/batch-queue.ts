/**
 * The queue of one lane of the batching producer: plain data, cut into batches by records and bytes.
 *
 * Q1 of one party, oldest first; nothing is lost, repeated or reordered
 * Q2 of several parties, one record each in turn: who has one record waiting is in the next batch, behind at most one of each
 *    other party, however many those have
 * Q3 a batch stays within its limits, but for a single record that is larger by itself
 */
import type { Append } from './port.ts';

export interface Entry {
  readonly record: Append;
  readonly party: string;
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

/** What one party has waiting. */
class Line {
  #entries: Entry[] = [];
  /** Entries before this one have been taken; the array is cut when they are many, so that taking stays cheap. */
  #head = 0;

  get size(): number {
    return this.#entries.length - this.#head;
  }

  get first(): Entry | undefined {
    return this.#entries[this.#head];
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** The next `count`. */
  cut(count: number): Entry[] {
    const end = this.#head + count;
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

  /** How many of the next fit. */
  fitting({ maxBatchRecords, maxBatchBytes }: BatchLimits): number {
    const most = Math.min(this.size, maxBatchRecords);
    let bytes = 0;
    for (let count = 0; count < most; count += 1) {
      bytes += (this.#entries[this.#head + count] as Entry).bytes;
      if (bytes > maxBatchBytes && count > 0) return count;
    }
    return most;
  }

  expired(nowMs: number): number {
    let count = 0;
    while (count < this.size && (this.#entries[this.#head + count] as Entry).deadlineMs <= nowMs) count += 1;
    return count;
  }
}

/** Deadlines must not decrease from one push to the next. */
export class BatchQueue {
  readonly #limits: BatchLimits;
  /** Of those that have something waiting, whose turn it is first: a Map keeps the order of insertion. */
  readonly #lines = new Map<string, Line>();
  #size = 0;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  push(entry: Entry): void {
    this.#size += 1;
    let line = this.#lines.get(entry.party);
    if (line === undefined) {
      line = new Line();
      this.#lines.set(entry.party, line);
    }
    line.push(entry);
  }

  /** The next batch: at least one entry if there is any, then as many as fit both limits. */
  take(): Entry[] {
    const batch = this.#lines.size > 1 ? this.#takeInTurn() : this.#takeOfOne();
    this.#size -= batch.length;
    return batch;
  }

  /** Entries whose deadline has come. */
  takeExpired(nowMs: number): Entry[] {
    const taken: Entry[] = [];
    for (const [party, line] of this.#lines) {
      const count = line.expired(nowMs);
      if (count === 0) continue;
      taken.push(...line.cut(count));
      if (line.size === 0) this.#lines.delete(party);
    }
    this.#size -= taken.length;
    return taken;
  }

  /** As nearly always; an array is cut and nothing is looked up. */
  #takeOfOne(): Entry[] {
    for (const [party, line] of this.#lines) {
      const batch = line.cut(line.fitting(this.#limits));
      if (line.size === 0) this.#lines.delete(party);
      return batch;
    }
    return [];
  }

  #takeInTurn(): Entry[] {
    const { maxBatchRecords, maxBatchBytes } = this.#limits;
    const batch: Entry[] = [];
    let bytes = 0;
    while (batch.length < maxBatchRecords && this.#lines.size > 0) {
      // One round. Those it does not come to are first in the next batch; those it came to, last.
      for (const [party, line] of [...this.#lines]) {
        const next = line.first as Entry;
        bytes += next.bytes;
        if (batch.length === maxBatchRecords || (bytes > maxBatchBytes && batch.length > 0)) return batch;
        batch.push(...line.cut(1));
        this.#lines.delete(party);
        if (line.size > 0) this.#lines.set(party, line);
      }
    }
    return batch;
  }
}
