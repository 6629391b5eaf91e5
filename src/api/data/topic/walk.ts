/**
 * A page of a topic, newest first. The partitions are walked downwards, each from where the page before left it, and merged
 * by the time of their records.
 *
 * P1 Each partition is walked strictly downwards and no record is passed over but by the filter: the pages from one first
 *    page on have every matching record that was there, once, however many come in meanwhile.
 * P2 What is left unread is said: `next` leads on wherever there may be more, also when the page was not filled because
 *    the bounds of one request were reached.
 * P3 Once something has been found, only those partitions are read on whose unread part may hold something newer.
 * P4 At most `maxRecords` are looked at, `maxBytes` held, and it ends soon after `signal` aborts.
 */
import { CodedError } from '../../../base/errors.ts';
import type { LogRecord } from '../../../kafka/port.ts';
import type { Positions } from './positions.ts';
import { copied, type Ring, sizeOf } from './ring.ts';
import type { Range, RangeRead } from './scanner.ts';

/** What of a view a walk needs. */
export interface WalkSource {
  ring(partition: number): Ring;
  read(read: RangeRead): Promise<boolean>;
}

export interface WalkOptions<T> {
  readonly source: WalkSource;
  /** Exclusive; partitions beyond have come since, and so have their records. */
  readonly from: Positions;
  /** Where each partition ends for this walk: the first offset wanted. */
  readonly floors: Positions;
  readonly limit: number;
  /** Cheap, and may say yes too often. */
  readonly mayMatch: (record: LogRecord) => boolean;
  /** Undefined = it does not match. */
  readonly read: (record: LogRecord) => Promise<T | undefined>;
  readonly bounds: WalkBounds;
  /** Its abortion is no failure: the page ends there. */
  readonly signal: AbortSignal;
}

export interface WalkBounds {
  readonly maxRecords: number;
  /** Of what is held and given, together. */
  readonly maxBytes: number;
  /** Offsets of a partition that are read first; default 128, or twice the page. */
  readonly firstWindowOffsets?: number;
}

export interface WalkRow<T> {
  readonly item: T;
  /** For a stream: everything newer than this row, and nothing else, comes after these. */
  readonly after: Positions;
}

export interface WalkPage<T> {
  readonly rows: readonly WalkRow<T>[];
  /** Null when there is nothing more. */
  readonly next: Positions | null;
}

interface Walker {
  readonly partition: number;
  readonly floor: number;
  /** Ascending: the last is the newest. */
  found: LogRecord[];
  /** Everything from here on has been looked at. */
  unread: number;
  /** Time of the oldest record looked at: what is left is hardly newer. */
  reachedMs: number;
  windowOffsets: number;
}

const FIRST_WINDOW_OFFSETS = 128;
const MAX_WINDOW_OFFSETS = 16_384;

export async function newestFirst<T>(options: WalkOptions<T>): Promise<WalkPage<T>> {
  const { from, floors, limit, bounds, signal, read } = options;
  const walkers: Walker[] = from.map((unread, partition) => ({
    partition,
    floor: Math.min(unread, floors[partition] ?? unread),
    found: [],
    unread,
    reachedMs: Number.POSITIVE_INFINITY,
    windowOffsets: bounds.firstWindowOffsets ?? Math.max(FIRST_WINDOW_OFFSETS, 2 * limit),
  }));
  const spent = { records: 0, bytes: 0 };
  const rows: WalkRow<T>[] = [];
  const mayReadOn = (): boolean => !signal.aborted && spent.records < bounds.maxRecords;

  for (;;) {
    const behind = lagging(walkers);
    if (behind.length > 0) {
      if (!mayReadOn()) break;
      const complete = await Promise.all(behind.map((walker) => readWindow(walker, options, walkers.length, spent)));
      if (!complete.every(Boolean)) break;
      continue;
    }
    const newest = walkers.filter(({ found }) => found.length > 0).reduce(later, undefined);
    if (newest === undefined || spent.bytes >= bounds.maxBytes) break;
    const record = newest.found.at(-1) as LogRecord;
    const item = await read(record);
    if (item !== undefined) {
      if (rows.length === limit) break; // one more than asked for: there is a next page
      rows.push({ item, after: positionsOf(walkers, newest, record) });
      spent.bytes += sizeOf(record);
    }
    newest.found.pop();
  }
  const isMore = walkers.some(({ found, unread, floor }) => found.length > 0 || unread > floor);
  const next = isMore ? walkers.map(positionOf) : null;
  // An empty page that leads nowhere would be asked for again and again.
  if (rows.length === 0 && next?.every((offset, partition) => offset === from[partition]) === true) {
    throw new CodedError('log_unavailable', 'nothing could be read in time');
  }
  return { rows, next };
}

/** P3: those whose unread part may hold something newer than all that has been found. */
function lagging(walkers: readonly Walker[]): readonly Walker[] {
  const newestMs = Math.max(...walkers.map(({ found }) => found.at(-1)?.timestampMs ?? Number.NEGATIVE_INFINITY));
  const open = walkers.filter(({ found, unread, floor }) => found.length === 0 && unread > floor);
  return open.filter(({ reachedMs }) => reachedMs >= newestMs);
}

function later(best: Walker | undefined, walker: Walker): Walker {
  if (best === undefined) return walker;
  const [a, b] = [best.found.at(-1) as LogRecord, walker.found.at(-1) as LogRecord];
  return b.timestampMs >= a.timestampMs ? walker : best;
}

function positionOf({ found, unread }: Walker): number {
  const newest = found.at(-1);
  return newest === undefined ? unread : newest.offset + 1;
}

function positionsOf(walkers: readonly Walker[], own: Walker, record: LogRecord): Positions {
  return walkers.map((walker) => (walker === own ? record.offset + 1 : positionOf(walker)));
}

/** False when it was broken off: what was read of the window then is not its newest part, and counts for nothing. */
async function readWindow<T>(
  walker: Walker,
  { source, mayMatch, limit, bounds, signal }: WalkOptions<T>,
  walkers: number,
  spent: { records: number; bytes: number },
): Promise<boolean> {
  const range = windowOf(walker, source.ring(walker.partition));
  const keep = new Keep(limit + 1, bounds.maxBytes / walkers);
  let oldestMs: number | undefined;
  const look = (record: LogRecord, isOurs: boolean): void => {
    oldestMs ??= record.timestampMs;
    spent.records += 1;
    if (mayMatch(record)) keep.add(isOurs ? record : copied(record));
  };
  const kept = source.ring(walker.partition).slice(range.from, range.to, Number.POSITIVE_INFINITY);
  if (kept !== null) for (const record of kept) look(record, true);
  else {
    const take = (record: LogRecord): boolean => {
      look(record, false);
      return true;
    };
    if (!(await source.read({ ...range, take, signal }))) return false;
  }
  walker.found = keep.records;
  walker.unread = keep.droppedBelow ?? range.from;
  walker.reachedMs = Math.min(walker.reachedMs, keep.droppedMs ?? oldestMs ?? walker.reachedMs);
  walker.windowOffsets = Math.min(4 * walker.windowOffsets, MAX_WINDOW_OFFSETS);
  return true;
}

/** Not across the ring's border: what lies on one side of it is there at once, on the other it is fetched. */
function windowOf({ partition, unread, floor, windowOffsets }: Walker, ring: Ring): Range {
  const from = Math.max(floor, unread - windowOffsets);
  return { partition, from: unread > ring.from ? Math.max(from, ring.from) : from, to: unread };
}

/** The newest records of a window, as many as may be needed and fit; always at least one. */
class Keep {
  readonly #max: number;
  readonly #maxBytes: number;
  #bytes = 0;
  readonly records: LogRecord[] = [];
  /** Below this offset the window is unread after all. */
  droppedBelow: number | null = null;
  droppedMs: number | null = null;

  constructor(max: number, maxBytes: number) {
    this.#max = max;
    this.#maxBytes = maxBytes;
  }

  add(record: LogRecord): void {
    this.records.push(record);
    this.#bytes += sizeOf(record);
    while (this.records.length > this.#max || (this.#bytes > this.#maxBytes && this.records.length > 1)) {
      const dropped = this.records.shift() as LogRecord;
      this.#bytes -= sizeOf(dropped);
      this.droppedBelow = dropped.offset + 1;
      this.droppedMs = dropped.timestampMs;
    }
  }
}
