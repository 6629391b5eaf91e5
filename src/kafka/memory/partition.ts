/**
 * One partition of the in-memory log.
 *
 * P1 Offsets only grow and are never given twice; a transaction's end takes one (the control marker), so there are gaps.
 * P2 The last stable offset (LSO) is the first offset of the oldest open transaction here, else the next offset.
 * P3 A read never returns a record at or above the LSO, nor one of an aborted transaction.
 * P4 Compaction and deletion leave the offsets of what remains as they were.
 */
import type { LogRecord, Watermarks } from '../port.ts';

/** Identity of an open transaction; compared by reference. */
export type TransactionRef = object;

interface Entry {
  readonly record: LogRecord;
  readonly bytes: number;
  /** Null once committed or when written without a transaction. */
  transaction: TransactionRef | null;
}

/** What a record costs besides its key and value; only batch sizes depend on it. */
const RECORD_OVERHEAD_BYTES = 64;

export class Partition {
  #entries: Entry[] = [];
  #low = 0;
  #next = 0;
  readonly #open = new Map<TransactionRef, number>();
  readonly #watchers = new Set<() => void>();

  get watermarks(): Watermarks {
    return { low: this.#low, high: this.#next };
  }

  /** P2 */
  get lastStableOffset(): number {
    let stable = this.#next;
    for (const first of this.#open.values()) stable = Math.min(stable, first);
    return stable;
  }

  /** `record.offset` is given here. */
  append(record: Omit<LogRecord, 'offset'>, transaction: TransactionRef | null): void {
    const offset = this.#next;
    this.#next += 1;
    if (transaction !== null && !this.#open.has(transaction)) this.#open.set(transaction, offset);
    const { topic, partition, key, value, headers, timestampMs } = record;
    const bytes = (key?.length ?? 0) + (value?.length ?? 0) + RECORD_OVERHEAD_BYTES;
    const placed: LogRecord = { topic, partition, offset, key, value, headers, timestampMs };
    this.#entries.push({ record: placed, bytes, transaction });
  }

  /** Ends a transaction that wrote here: its marker takes an offset, and what it held back becomes readable. */
  end(transaction: TransactionRef, outcome: 'commit' | 'abort'): void {
    const first = this.#open.get(transaction);
    if (first === undefined) return;
    this.#open.delete(transaction);
    this.#next += 1;
    const from = this.#indexOf(first);
    if (outcome === 'abort') {
      const kept = this.#entries.splice(from).filter((entry) => entry.transaction !== transaction);
      for (const entry of kept) this.#entries.push(entry);
      return;
    }
    for (let at = from; at < this.#entries.length; at += 1) {
      const entry = this.#entries[at] as Entry;
      if (entry.transaction === transaction) entry.transaction = null;
    }
  }

  /** Readable records from `offset` on: at least one where there is one, and at most about `maxBytes`. */
  read(offset: number, maxBytes: number): readonly LogRecord[] {
    const stable = this.lastStableOffset;
    const records: LogRecord[] = [];
    let bytes = 0;
    for (let at = this.#indexOf(offset); at < this.#entries.length; at += 1) {
      const entry = this.#entries[at] as Entry;
      if (entry.record.offset >= stable) break;
      bytes += entry.bytes;
      if (records.length > 0 && bytes > maxBytes) break;
      records.push(entry.record);
    }
    return records;
  }

  /** First offset of which the record is of this time or later, visible or not; the end where there is none. */
  offsetSince(timestampMs: number): number {
    return this.#entries.find(({ record }) => record.timestampMs >= timestampMs)?.record.offset ?? this.#next;
  }

  /** As the log cleaner would at its most thorough: last value per key below the LSO, tombstones gone. */
  compact(): void {
    const stable = this.lastStableOffset;
    const last = new Map<string, number>();
    for (const { record } of this.#entries) {
      if (record.key !== null && record.offset < stable) last.set(record.key.toString('latin1'), record.offset);
    }
    this.#entries = this.#entries.filter(({ record }) => {
      if (record.key === null || record.offset >= stable) return true;
      return record.value !== null && last.get(record.key.toString('latin1')) === record.offset;
    });
  }

  /** As retention would: everything below `offset` is gone, never beyond the LSO. */
  deleteBefore(offset: number): void {
    this.#low = Math.max(this.#low, Math.min(offset, this.lastStableOffset));
    this.#entries.splice(0, this.#indexOf(this.#low));
  }

  /** `wake` is called whenever something may have become readable. */
  watch(wake: () => void): () => void {
    this.#watchers.add(wake);
    return () => this.#watchers.delete(wake);
  }

  /** Called by the broker after a change, so that one request wakes each reader once. */
  wakeReaders(): void {
    for (const wake of this.#watchers) wake();
  }

  /** Index of the first entry at or above `offset`. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle] as Entry).record.offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
