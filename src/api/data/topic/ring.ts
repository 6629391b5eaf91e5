/**
 * The latest records of one partition, as far as they fit. Pure.
 *
 * G1 What can be read of the offsets from `from` to before `to` is all here, in order.
 * G2 Never more than `maxBytes` says, once told of it (`trim`, `push`): the oldest go first, and a record that is larger by
 *    itself is not kept at all.
 */
import type { LogRecord } from '../../../kafka/port.ts';

/** What a record costs beside its bytes. */
const RECORD_OVERHEAD_BYTES = 300;
/** The front is cut off in pieces: cutting it record by record would move all the others each time. */
const CUT_RECORDS = 256;

export class Ring {
  readonly #maxBytes: () => number;
  #records: LogRecord[] = [];
  /** Index of the first that counts. */
  #first = 0;
  #bytes = 0;
  #from: number;
  #to: number;

  constructor(options: { readonly at: number; readonly maxBytes: () => number }) {
    this.#maxBytes = options.maxBytes;
    this.#from = options.at;
    this.#to = options.at;
  }

  get from(): number {
    return this.#from;
  }

  get to(): number {
    return this.#to;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** At or after `to`; copied, because what a client hands over is part of a whole fetch, which it would keep alive. */
  push(record: LogRecord): void {
    const copy = copied(record);
    this.#records.push(copy);
    this.#bytes += sizeOf(copy);
    this.#to = record.offset + 1;
    this.trim();
  }

  /** Keeps no more than may be kept now. */
  trim(): void {
    const maxBytes = this.#maxBytes();
    while (this.#bytes > maxBytes) this.#dropOldest();
  }

  /** Nothing can be read between `to` and there. */
  passed(nextOffset: number): void {
    this.#to = Math.max(this.#to, nextOffset);
  }

  /** Up to `max` records of `from` to before `to`, ascending; null where G1 does not reach that far back. */
  slice(from: number, to: number, max: number): readonly LogRecord[] | null {
    if (from < this.#from) return null;
    const start = this.#indexOf(from);
    const end = Math.min(this.#indexOf(to), start + max);
    return this.#records.slice(start, end);
  }

  #dropOldest(): void {
    const oldest = this.#records[this.#first] as LogRecord;
    this.#first += 1;
    this.#bytes -= sizeOf(oldest);
    this.#from = oldest.offset + 1;
    if (this.#first < CUT_RECORDS) return;
    this.#records = this.#records.slice(this.#first);
    this.#first = 0;
  }

  #indexOf(offset: number): number {
    let low = this.#first;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#records[middle] as LogRecord).offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export function sizeOf({ key, value, headers }: LogRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) bytes += name.length + (headers[name] as Buffer).length;
  return bytes;
}

export function copied(record: LogRecord): LogRecord {
  const { key, value } = record;
  const headers = Object.fromEntries(Object.entries(record.headers).map(([name, bytes]) => [name, Buffer.from(bytes)]));
  return { ...record, key: key && Buffer.from(key), value: value && Buffer.from(value), headers };
}
