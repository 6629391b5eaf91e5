/**
 * Reads ranges of a topic that lie before its live end. One reader, opened when first needed and closed when idle: joining
 * takes a client a moment, and a reader has one position per partition, so ranges of one partition are read in turn.
 *
 * S1 Every read ends: at its end, when the signal aborts, or when nothing has come for a while although the broker answers.
 * S2 No more than `maxWaiting` reads stand in line for a partition; further ones are refused with `queue_full`.
 */
import { CodedError } from '../../../base/errors.ts';
import type { Log, LogRecord, PartitionReader } from '../../../kafka/port.ts';

export interface Range {
  readonly partition: number;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

export interface ScannerOptions {
  readonly log: Log;
  readonly topic: string;
  readonly idleMs: number;
  readonly maxWaiting: number;
}

export interface RangeRead extends Range {
  /** Each record of the range, in order; false = enough. Must return at once. */
  readonly take: (record: LogRecord) => boolean;
  readonly signal: AbortSignal;
}

interface Line {
  waiting: number;
  last: Promise<unknown>;
}

const LOOK_EVERY_MS = 50;
const QUIET_MS = 2_000;

export class Scanner {
  readonly #options: ScannerOptions;
  readonly #lines = new Map<number, Line>();
  readonly #closing = new AbortController();
  #reader: Promise<PartitionReader> | undefined;
  #users = 0;
  #idle = new AbortController();

  constructor(options: ScannerOptions) {
    this.#options = options;
  }

  /** True when it came to the end of the range, or had enough. */
  async read(read: RangeRead): Promise<boolean> {
    if (read.from >= read.to) return true;
    const line = this.#lines.get(read.partition) ?? { waiting: 0, last: Promise.resolve() };
    if (line.waiting >= this.#options.maxWaiting) {
      throw new CodedError('queue_full', 'too many reads of one topic wait for their turn', { waiting: line.waiting });
    }
    this.#lines.set(read.partition, line);
    line.waiting += 1;
    this.#users += 1;
    const turn = line.last.then(() => this.#inTurn(read));
    line.last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      line.waiting -= 1;
      this.#users -= 1;
      if (this.#users === 0) void this.#closeWhenIdle();
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#lines.values()].map(({ last }) => last));
    await this.#forget();
  }

  async #inTurn(read: RangeRead): Promise<boolean> {
    const { log, topic } = this.#options;
    const signal = AbortSignal.any([read.signal, this.#closing.signal]);
    if (signal.aborted) return false;
    this.#reader ??= log.reader({ clientId: 'api-scan', topics: [topic] });
    const opening = this.#reader;
    const reader = await opening.catch((error) => {
      if (this.#reader === opening) this.#reader = undefined;
      throw error;
    });
    try {
      return await this.#follow(reader, read, signal);
    } catch (error) {
      // It may be the client that is broken: the next read brings its own.
      if (this.#reader === opening) {
        this.#reader = undefined;
        void reader.close().catch(() => undefined);
      }
      throw error;
    }
  }

  async #follow(reader: PartitionReader, { partition, from, to, take }: RangeRead, signal: AbortSignal) {
    const { log, topic } = this.#options;
    const { clock } = log;
    const end = Promise.withResolvers<boolean>();
    const over = new AbortController();
    let atMs = clock.nowMs();
    const follow = reader.follow({
      topic,
      partition,
      fromOffset: from,
      records: ({ records }) => {
        if (over.signal.aborted) return;
        atMs = clock.nowMs();
        for (const record of records) {
          if (record.offset < to && take(record) && record.offset + 1 < to) continue;
          over.abort();
          return end.resolve(true);
        }
      },
      passed: (nextOffset) => {
        atMs = clock.nowMs();
        if (nextOffset >= to) end.resolve(true);
      },
      failed: end.reject,
    });
    const quiet = async (): Promise<boolean> => {
      while (!over.signal.aborted && !signal.aborted) {
        await clock.sleep(LOOK_EVERY_MS, AbortSignal.any([over.signal, signal]));
        if (clock.nowMs() - atMs < QUIET_MS) continue;
        await log.admin.watermarks({ topic, partition }); // throws when the silence is the broker's
        return true;
      }
      return over.signal.aborted;
    };
    try {
      return await Promise.race([end.promise, quiet()]);
    } finally {
      over.abort();
      await follow.stop();
    }
  }

  async #closeWhenIdle(): Promise<void> {
    this.#idle.abort();
    const idle = new AbortController();
    this.#idle = idle;
    await this.#options.log.clock.sleep(this.#options.idleMs, AbortSignal.any([idle.signal, this.#closing.signal]));
    if (this.#users === 0 && !idle.signal.aborted) await this.#forget();
  }

  async #forget(): Promise<void> {
    const opened = this.#reader;
    this.#reader = undefined;
    await opened?.then((reader) => reader.close()).catch(() => undefined);
  }
}
