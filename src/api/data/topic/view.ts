/**
 * One topic as the API reads it: its live end (tail.ts), and whatever lies before it (scanner.ts).
 *
 * Nobody asks for offsets above what the tail has reached, so nothing that is read can still be held back by an open
 * transaction: a read of a range comes to its end by itself.
 */
import { CodedError } from '../../../base/errors.ts';
import type { Log, LogRecord, Watermarks } from '../../../kafka/port.ts';
import type { Positions } from './positions.ts';
import type { Ring } from './ring.ts';
import { type RangeRead, Scanner } from './scanner.ts';
import { TopicTail } from './tail.ts';

export interface ViewSettings {
  readonly primeOffsets: number;
  /** Most bytes the rings of one topic take, however few there are. */
  readonly ringMaxBytes: number;
  readonly scannerIdleMs: number;
  readonly scannerMaxWaiting: number;
  /** Longest wait for the tail to reach what the broker calls the end, which may be an open transaction's. */
  readonly freshMs: number;
  /** Longest wait for it to reach what another process has seen. */
  readonly reachMs: number;
}

export const VIEW_SETTINGS: ViewSettings = {
  primeOffsets: 200,
  ringMaxBytes: 4_194_304,
  scannerIdleMs: 60_000,
  scannerMaxWaiting: 32,
  freshMs: 300,
  reachMs: 3_000,
};

export interface Bounds {
  /** First offsets that can still be read. */
  readonly lows: Positions;
  /** What the next records get, at the broker. */
  readonly highs: Positions;
  /** Where the live end stands here. */
  readonly ends: Positions;
}

export interface ViewOptions {
  readonly log: Log;
  readonly topic: string;
  readonly partitions: number;
  readonly settings: ViewSettings;
  /** For the rings of the topic, as it is at the moment. */
  readonly ringBytes: () => number;
  readonly failed: (error: unknown) => void;
}

export class TopicView {
  readonly topic: string;
  readonly partitions: number;
  readonly tail: TopicTail;
  /** Leases there are. */
  readers = 0;
  readonly #options: ViewOptions;
  readonly #scanner: Scanner;

  static async open(options: ViewOptions): Promise<TopicView> {
    const { log, topic, partitions, settings, ringBytes, failed } = options;
    const ends = await watermarks(log, topic, partitions);
    const { primeOffsets } = settings;
    const tail = await TopicTail.open({ log, topic, ends, primeOffsets, maxBytes: ringBytes, failed });
    const view = new TopicView(options, tail);
    // Before that the rings are shorter than the log, and would hide what stands behind their ends.
    await view.#reached(
      ends.map(({ high }) => high),
      settings.freshMs,
    );
    return view;
  }

  private constructor(options: ViewOptions, tail: TopicTail) {
    const { log, topic, settings } = options;
    this.topic = topic;
    this.partitions = options.partitions;
    this.tail = tail;
    this.#options = options;
    this.#scanner = new Scanner({
      log,
      topic,
      idleMs: settings.scannerIdleMs,
      maxWaiting: settings.scannerMaxWaiting,
    });
  }

  /** Where the live end stands: everything before it can be read. */
  get ends(): Positions {
    return this.tail.rings.map(({ to }) => to);
  }

  /**
   * As the broker has it now. The live end reaches the highs within a moment, or what stands before them cannot be read
   * yet: nothing that was readable before the call lies behind `ends` after it.
   */
  async bounds(): Promise<Bounds> {
    const marks = await watermarks(this.#options.log, this.topic, this.partitions);
    const highs = marks.map(({ high }) => high);
    await this.#reached(highs, this.#options.settings.freshMs);
    return { lows: marks.map(({ low }) => low), highs, ends: this.ends };
  }

  /** Waits until the live end is there: another process may have told of what has not come here yet. */
  async reach(positions: Positions): Promise<void> {
    if (await this.#reached(positions, this.#options.settings.reachMs)) return;
    throw new CodedError('log_unavailable', 'the end of the topic was not read in time');
  }

  /** First offsets of this time or later. */
  since(timeMs: number): Promise<Positions> {
    const { admin } = this.#options.log;
    const partitions = Array.from({ length: this.partitions }, (_, partition) => partition);
    return Promise.all(partitions.map((partition) => admin.offsetSince({ topic: this.topic, partition }, timeMs)));
  }

  ring(partition: number): Ring {
    return this.tail.rings[partition] as Ring;
  }

  /** Records of a range, in order; true when it was read to its end. `to` is at most the live end. */
  read(read: RangeRead): Promise<boolean> {
    return this.#scanner.read(read);
  }

  /** The record at this place; undefined when none stands there, or no longer. */
  async at(partition: number, offset: number, signal: AbortSignal): Promise<LogRecord | undefined> {
    if (partition >= this.partitions || offset >= this.ring(partition).to) return undefined;
    const range = { partition, from: offset, to: offset + 1 };
    const kept = this.ring(partition).slice(range.from, range.to, 1);
    if (kept !== null) return kept[0];
    let found: LogRecord | undefined;
    const take = (record: LogRecord): boolean => {
      found = record;
      return false;
    };
    const complete = await this.read({ ...range, take, signal });
    if (!complete) throw new CodedError('log_unavailable', 'the record could not be read in time');
    return found;
  }

  async close(): Promise<void> {
    await Promise.all([this.tail.close(), this.#scanner.close()]);
  }

  async #reached(ends: Positions, withinMs: number): Promise<boolean> {
    const late = new AbortController();
    const { clock } = this.#options.log;
    const deadline = clock.sleep(withinMs, late.signal);
    let isLate = false;
    void deadline.then(() => {
      isLate = true;
    });
    try {
      for (;;) {
        const { changed, failure } = this.tail;
        if (failure !== null) throw failure.error;
        if (this.ends.every((end, partition) => end >= (ends[partition] ?? 0))) return true;
        if (isLate) return false;
        await Promise.race([changed, deadline]);
      }
    } finally {
      late.abort();
    }
  }
}

function watermarks(log: Log, topic: string, partitions: number): Promise<readonly Watermarks[]> {
  return Promise.all(Array.from({ length: partitions }, (_, partition) => log.admin.watermarks({ topic, partition })));
}
