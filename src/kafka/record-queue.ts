/**
 * Records of one shard between the fetcher and the transaction loop, bounded by back-pressure: the owner pauses the
 * partitions when `isFull` and resumes them when `isDrained`. One fetch per partition may still arrive after a pause,
 * so the true bound is `maxRecords` plus one fetch of each partition.
 *
 * Q1 records of one partition leave in the order they came, each at most once
 * Q2 a record below the partition's next offset never enters (a fetch may return what was already delivered)
 */
import type { LogRecord, RecordBatch } from './port.ts';

export class RecordQueue {
  readonly #maxRecords: number;
  readonly #nextOffset = new Map<number, number>();
  #records: LogRecord[] = [];
  #head = 0;

  constructor(maxRecords: number) {
    this.#maxRecords = maxRecords;
  }

  get size(): number {
    return this.#records.length - this.#head;
  }

  get isFull(): boolean {
    return this.size >= this.#maxRecords;
  }

  get isDrained(): boolean {
    return this.size <= this.#maxRecords / 2;
  }

  /** Forgets everything queued; the next record of each partition is the one at `positions`. */
  reset(positions: ReadonlyMap<number, number>): void {
    this.#records = [];
    this.#head = 0;
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
      next = record.offset + 1;
    }
    this.#nextOffset.set(batch.partition, next);
  }

  /** Takes at most `maxRecords` records, oldest first. */
  take(maxRecords: number): readonly LogRecord[] {
    const taken = this.#records.slice(this.#head, this.#head + maxRecords);
    this.#head += taken.length;
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
