/**
 * Records of one shard between the fetcher and the transaction loop, bounded by back-pressure: the owner pauses the
 * partitions when `isFull` and resumes them when `isDrained`. One fetch per partition may still arrive after a pause,
 * so the true bounds are `maxRecords` and `maxBytes` plus one fetch of each partition.
 *
 * Q1 records of one partition leave in the order they came, each at most once
 * Q2 a record below the partition's next offset never enters (a fetch may return what was already delivered)
 * Q3 what is taken at once stays within its bounds, but for a single record that is larger by itself
 */
import type { LogRecord, RecordBatch } from './port.ts';

/** Headers, and those that whatever is made of the record has on top. */
const RECORD_OVERHEAD_BYTES = 512;

/** What a record may come to when it is written on as it is. */
export function recordBytes({ key, value }: LogRecord): number {
  return (key?.length ?? 0) + (value?.length ?? 0) + RECORD_OVERHEAD_BYTES;
}

export class RecordQueue {
  readonly #maxRecords: number;
  readonly #maxBytes: number;
  readonly #nextOffset = new Map<number, number>();
  #records: LogRecord[] = [];
  #head = 0;
  #bytes = 0;

  constructor(maxRecords: number, maxBytes = Number.POSITIVE_INFINITY) {
    this.#maxRecords = maxRecords;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#records.length - this.#head;
  }

  get isFull(): boolean {
    return this.size >= this.#maxRecords || this.#bytes >= this.#maxBytes;
  }

  get isDrained(): boolean {
    return this.size <= this.#maxRecords / 2 && this.#bytes <= this.#maxBytes / 2;
  }

  /** Forgets everything queued; the next record of each partition is the one at `positions`. */
  reset(positions: ReadonlyMap<number, number>): void {
    this.#records = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#nextOffset.clear();
    for (const [partition, offset] of positions) this.#nextOffset.set(partition, offset);
  }

  /** Partitions unknown since the last reset are ignored: their batch belongs to an earlier assignment. */
  push(batch: RecordBatch): void {
    let next = this.#nextOffset.get(batch.partition);
    if (next === undefined) return;
    for (const record of batch.records) {
      if (record.offset < next) continue;
      this.#records.push(record);
      this.#bytes += recordBytes(record);
      next = record.offset + 1;
    }
    this.#nextOffset.set(batch.partition, next);
  }

  /** Takes at most `maxRecords` records of together at most `maxBytes`, but at least one; oldest first (Q3). */
  take(maxRecords: number, maxBytes = Number.POSITIVE_INFINITY): readonly LogRecord[] {
    const most = Math.min(this.#records.length, this.#head + maxRecords);
    let end = this.#head;
    let bytes = 0;
    while (end < most) {
      const next = recordBytes(this.#records[end] as LogRecord);
      if (end > this.#head && bytes + next > maxBytes) break;
      bytes += next;
      end++;
    }
    const taken = this.#records.slice(this.#head, end);
    this.#head = end;
    this.#bytes -= bytes;
    if (this.#head === this.#records.length) {
      this.#records = [];
      this.#head = 0;
    } else if (this.#head > this.#maxRecords) {
      this.#records = this.#records.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }
}
