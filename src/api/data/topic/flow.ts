/**
 * A topic from given positions on, oldest first, for one reader who takes what he can and when he can: what he has not
 * asked for yet stays in the log.
 *
 * F1 From its positions on each record is handed out once, in the order of its partition, in whatever pieces it is asked for.
 * F2 Of what is there at the same time the oldest comes first, so that a catching-up reader sees history in its order.
 * F3 It holds at most MAX_BYTES, or its share of what all readers of the topic may hold, give or take a record of each
 *    partition: one piece per partition, and half of another while they are filled. Pieces are large because what lies in the
 *    past costs a moment to begin with, however little is read.
 */
import { CodedError } from '../../../base/errors.ts';
import type { LogRecord } from '../../../kafka/port.ts';
import type { Positions } from './positions.ts';
import { copied, type Ring, sizeOf } from './ring.ts';
import type { RangeRead } from './scanner.ts';

export interface FlowSource {
  readonly partitions: number;
  /** Who share what may be held. */
  readonly readers: number;
  ring(partition: number): Ring;
  read(read: RangeRead): Promise<boolean>;
}

const MAX_BYTES = 4_194_304;
const ALL_READERS_MAX_BYTES = 16_777_216;
const MIN_PIECE_BYTES = 32_768;
const PIECE_RECORDS = 2_000;
/** Looked at in the past before somebody else has a turn at it. */
const WINDOW_OFFSETS = 8_192;

interface Piece {
  records: readonly LogRecord[];
  /** Index of the next. */
  at: number;
}

export class Flow {
  readonly #source: FlowSource;
  readonly #positions: number[];
  readonly #pieces: Piece[];

  /** A partition that the positions do not name has been added since: it is read from its beginning. */
  constructor(source: FlowSource, from: Positions) {
    this.#source = source;
    this.#positions = Array.from({ length: source.partitions }, (_, partition) => from[partition] ?? 0);
    this.#pieces = this.#positions.map(() => ({ records: [], at: 0 }));
  }

  /** Next offsets: what has been handed out lies before them. */
  get positions(): Positions {
    return this.#positions.map((position, partition) => this.#head(partition)?.offset ?? position);
  }

  /** Undefined when nothing is there at the moment, or the signal has aborted. */
  async next(signal: AbortSignal): Promise<LogRecord | undefined> {
    await this.#refill(signal);
    if (signal.aborted) return undefined;
    let oldest: number | undefined;
    for (const partition of this.#pieces.keys()) {
      const head = this.#head(partition);
      const best = oldest === undefined ? undefined : this.#head(oldest);
      if (head !== undefined && (best === undefined || head.timestampMs < best.timestampMs)) oldest = partition;
    }
    if (oldest === undefined) return undefined;
    const piece = this.#pieces[oldest] as Piece;
    const record = piece.records[piece.at] as LogRecord;
    piece.at += 1;
    if (piece.at === piece.records.length) this.#pieces[oldest] = { records: [], at: 0 };
    return record;
  }

  get #pieceBytes(): number {
    const { readers, partitions } = this.#source;
    const share = Math.min(MAX_BYTES, ALL_READERS_MAX_BYTES / Math.max(1, readers));
    return Math.max(MIN_PIECE_BYTES, Math.floor((share * 2) / 3 / partitions));
  }

  #head(partition: number): LogRecord | undefined {
    const { records, at } = this.#pieces[partition] as Piece;
    return records[at];
  }

  #isBehind(partition: number): boolean {
    return (this.#positions[partition] as number) < this.#source.ring(partition).to;
  }

  #isEmpty(partition: number): boolean {
    return this.#head(partition) === undefined;
  }

  /** When one has run out, those that soon will are read along with it. */
  async #refill(signal: AbortSignal): Promise<void> {
    const behind = [...this.#pieces.keys()].filter((partition) => this.#isBehind(partition));
    if (!behind.some((partition) => this.#isEmpty(partition))) return;
    const isShort = (partition: number): boolean => {
      const { records, at } = this.#pieces[partition] as Piece;
      return records.length <= 2 * at;
    };
    await Promise.all(behind.filter(isShort).map((partition) => this.#fill(partition, signal)));
  }

  /** Until it has something, or there is nothing left to read. */
  async #fill(partition: number, signal: AbortSignal): Promise<void> {
    for (let isFirst = true; isFirst || this.#isEmpty(partition); isFirst = false) {
      if (!this.#isBehind(partition) || signal.aborted) return;
      const from = this.#positions[partition] as number;
      const ring = this.#source.ring(partition);
      const kept = piece(ring.slice(from, ring.to, PIECE_RECORDS), this.#pieceBytes);
      if (kept === null) await this.#readPast(partition, from, Math.min(ring.from, from + WINDOW_OFFSETS), signal);
      else this.#take(partition, kept.records, kept.isFull ? null : ring.to);
    }
  }

  async #readPast(partition: number, from: number, to: number, signal: AbortSignal): Promise<void> {
    const records: LogRecord[] = [];
    let bytes = 0;
    let isFull = false;
    const maxBytes = this.#pieceBytes;
    const take = (record: LogRecord): boolean => {
      records.push(copied(record));
      bytes += sizeOf(record);
      isFull = records.length >= PIECE_RECORDS || bytes >= maxBytes;
      return !isFull;
    };
    const complete = await this.#source.read({ partition, from, to, take, signal });
    // What came is in order and without a gap, so it counts also where it was broken off.
    if (complete || records.length > 0) this.#take(partition, records, complete && !isFull ? to : null);
    else if (!signal.aborted) throw new CodedError('shutting_down', 'the topic is being closed');
  }

  /** `end`: nothing more can be read before it; null = unknown, reading goes on behind the last of these records. */
  #take(partition: number, records: readonly LogRecord[], end: number | null): void {
    const { records: before, at } = this.#pieces[partition] as Piece;
    this.#pieces[partition] = { records: [...before.slice(at), ...records], at: 0 };
    const last = records.at(-1);
    this.#positions[partition] = end ?? (last === undefined ? (this.#positions[partition] as number) : last.offset + 1);
  }
}

/** What would outlive its place in the ring for as long as a slow reader holds it, so it is bounded too. */
function piece(
  records: readonly LogRecord[] | null,
  maxBytes: number,
): { records: readonly LogRecord[]; isFull: boolean } | null {
  if (records === null) return null;
  let bytes = 0;
  const full = records.findIndex((record) => {
    bytes += sizeOf(record);
    return bytes >= maxBytes;
  });
  if (full !== -1) return { records: records.slice(0, full + 1), isFull: true };
  return { records, isFull: records.length >= PIECE_RECORDS };
}
