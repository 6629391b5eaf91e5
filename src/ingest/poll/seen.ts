/**
 * What was published lately: id and revision of every row that the next window may show again. In memory a map, in the
 * log a ring of small records, one per page that brought something new, so that a page costs what is new in it.
 *
 * Invariants (test/unit/ingest/poll/seen.test.ts cites them):
 * S1 `knows` is exact: never true for a row that was not remembered at this revision or a later one.
 * S2 A row is forgotten only when its time lies before the bound given, or to keep the bounds of S3; then it is published
 *    again, which costs a duplicate and never a row.
 * S3 No more than `maxRows` rows and RING records.
 * S4 Restored from its records it knows what it knew.
 */
import { createHash } from 'node:crypto';
import type { Row } from './streams.ts';
import type { Known } from './walk.ts';

/** Keys are used in turn: a compacted topic keeps a tombstone of every key for a day. */
const RING = 1024;
const ID_BYTES = 12;
const ENTRY_BYTES = ID_BYTES + 8 + 8;
/** What one value of the owned topic holds. */
export const MAX_ROWS_PER_RECORD = Math.floor(65_535 / ENTRY_BYTES);
export const DEFAULT_MAX_ROWS = 100_000;

export interface SeenRange {
  /** First record that may exist, and the next to be written: both only ever grow. */
  readonly first: number;
  readonly next: number;
}

export interface SeenChange {
  readonly range: SeenRange;
  /** Slot of the ring → record, null = gone. */
  readonly slots: ReadonlyMap<number, Buffer | null>;
  readonly added: readonly Entry[];
  readonly dropped: readonly number[];
  /** Forgotten for want of room. */
  readonly crowdedOut: number;
}

interface Entry {
  readonly key: string;
  readonly rev: number | null;
  readonly timeMs: number;
}

interface Kept extends Entry {
  readonly record: number;
}

export class Seen implements Known {
  readonly #maxRows: number;
  readonly #byKey = new Map<string, Kept>();
  readonly #records = new Map<number, readonly Entry[]>();
  #range: SeenRange = { first: 0, next: 0 };

  constructor(maxRows: number = DEFAULT_MAX_ROWS) {
    this.#maxRows = maxRows;
  }

  get range(): SeenRange {
    return this.#range;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** `slot` gives the record of a slot. */
  static restore(range: SeenRange, slot: (slot: number) => Buffer | undefined, maxRows?: number): Seen {
    const seen = new Seen(maxRows);
    seen.#range = range;
    for (let record = range.first; record < range.next; record += 1) {
      const value = slot(record % RING);
      if (value !== undefined) seen.#add(record, unpack(value));
    }
    return seen;
  }

  knows({ id, rev, timeMs }: Row): boolean {
    const kept = this.#byKey.get(keyOf(id));
    if (kept === undefined) return false;
    if (rev !== null && kept.rev !== null) return rev <= kept.rev;
    return timeMs !== null && timeMs <= kept.timeMs;
  }

  /** What has to be written so that these rows are known and older ones forgotten; `apply` it once it is. */
  plan(rows: readonly Row[], forgetBeforeMs: number): SeenChange {
    const added = rows.flatMap(({ id, rev, timeMs }) =>
      timeMs === null || timeMs < forgetBeforeMs ? [] : [{ key: keyOf(id), rev, timeMs }],
    );
    const dropped: number[] = [];
    for (const [record, entries] of this.#records) {
      if (entries.every(({ timeMs }) => timeMs < forgetBeforeMs)) dropped.push(record);
    }
    const written = Math.ceil(added.length / MAX_ROWS_PER_RECORD);
    const next = this.#range.next + written;
    const crowdedOut = this.#crowdedOut(new Set(dropped), added.length, next);
    const gone = new Set([...dropped, ...crowdedOut.records]);
    let first = this.#range.first;
    while (first < this.#range.next && (gone.has(first) || !this.#records.has(first))) first += 1;
    const slots = new Map<number, Buffer | null>();
    for (const record of gone) slots.set(record % RING, null);
    for (let part = 0; part < written; part += 1) {
      const entries = added.slice(part * MAX_ROWS_PER_RECORD, (part + 1) * MAX_ROWS_PER_RECORD);
      slots.set((this.#range.next + part) % RING, pack(entries));
    }
    return { range: { first, next }, slots, added, dropped: [...gone], crowdedOut: crowdedOut.rows };
  }

  apply({ range, added, dropped }: SeenChange): void {
    for (const record of dropped) this.#drop(record);
    const from = this.#range.next;
    for (let part = 0; from + part < range.next; part += 1) {
      this.#add(from + part, added.slice(part * MAX_ROWS_PER_RECORD, (part + 1) * MAX_ROWS_PER_RECORD));
    }
    this.#range = range;
  }

  /** S3: the oldest records that have to go for what comes. */
  #crowdedOut(dropped: ReadonlySet<number>, adding: number, next: number): { records: number[]; rows: number } {
    const kept = [...this.#records].filter(([record]) => !dropped.has(record)).sort(([a], [b]) => a - b);
    let total = adding + kept.reduce((sum, [, entries]) => sum + entries.length, 0);
    const records: number[] = [];
    let rows = 0;
    for (const [record, entries] of kept) {
      if (total <= this.#maxRows && next - record < RING) break;
      records.push(record);
      rows += entries.length;
      total -= entries.length;
    }
    return { records, rows };
  }

  #add(record: number, entries: readonly Entry[]): void {
    this.#records.set(record, entries);
    for (const entry of entries) this.#byKey.set(entry.key, { ...entry, record });
  }

  #drop(record: number): void {
    for (const { key } of this.#records.get(record) ?? []) {
      if (this.#byKey.get(key)?.record === record) this.#byKey.delete(key);
    }
    this.#records.delete(record);
  }
}

/** The vendor's ids are 24 hexadecimal digits. Others stand there by a hash as long: S1 holds but for one in 2^96. */
function keyOf(id: string): string {
  if (/^[0-9a-f]{24}$/.test(id)) return id;
  return createHash('sha256')
    .update(id)
    .digest('hex')
    .slice(0, 2 * ID_BYTES);
}

function pack(entries: readonly Entry[]): Buffer {
  const bytes = Buffer.alloc(entries.length * ENTRY_BYTES);
  for (const [index, { key, rev, timeMs }] of entries.entries()) {
    const start = index * ENTRY_BYTES;
    bytes.write(key, start, 'hex');
    bytes.writeDoubleBE(rev ?? -1, start + ID_BYTES);
    bytes.writeDoubleBE(timeMs, start + ID_BYTES + 8);
  }
  return bytes;
}

function unpack(bytes: Buffer): readonly Entry[] {
  const entries: Entry[] = [];
  for (let start = 0; start + ENTRY_BYTES <= bytes.length; start += ENTRY_BYTES) {
    const rev = bytes.readDoubleBE(start + ID_BYTES);
    entries.push({
      key: bytes.toString('hex', start, start + ID_BYTES),
      rev: rev < 0 ? null : rev,
      timeMs: bytes.readDoubleBE(start + ID_BYTES + 8),
    });
  }
  return entries;
}
