/**
 * The live end of a topic: one follow of each partition for all who watch it in this process, and a ring of what came last.
 *
 * T1 `rings[p]` grows with what becomes readable in partition p, in order; a follow that fails goes on where it was.
 * T2 It has ended once `failure` is set (the topic is gone, or the client for good): those who watch are woken, and
 *    begin again with another.
 * T3 Nobody who watches can slow it down: a listener must return at once, everyone else reads the ring when he likes.
 */
import type { Clock } from '../../../base/clock.ts';
import { CodedError, hasCode } from '../../../base/errors.ts';
import type { Log, LogRecord, PartitionReader, RecordBatch, Watermarks } from '../../../kafka/port.ts';
import { Ring } from './ring.ts';
import { Wake } from './wake.ts';

export interface TailOptions {
  readonly log: Log;
  readonly topic: string;
  /** Of each partition, now. */
  readonly ends: readonly Watermarks[];
  /** So many offsets of each partition are read at first: what people look at is mostly new. */
  readonly primeOffsets: number;
  /** For all partitions together, as it is at the moment. */
  readonly maxBytes: () => number;
  /** A follow failed and is begun again. */
  readonly failed: (error: unknown) => void;
}

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;

export class TopicTail {
  readonly rings: readonly Ring[];
  readonly #options: TailOptions;
  readonly #clock: Clock;
  readonly #reader: PartitionReader;
  readonly #changed = new Wake();
  readonly #listeners = new Set<(record: LogRecord) => void>();
  readonly #stop = new AbortController();
  #following: Promise<unknown> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;

  static async open(options: TailOptions): Promise<TopicTail> {
    const reader = await options.log.reader({ clientId: 'api-tail', topics: [options.topic] });
    const tail = new TopicTail(options, reader);
    tail.#following = Promise.all(tail.rings.map((_, partition) => tail.#keepFollowing(partition)));
    return tail;
  }

  private constructor(options: TailOptions, reader: PartitionReader) {
    const { ends, primeOffsets, maxBytes, log } = options;
    this.#options = options;
    this.#clock = log.clock;
    this.#reader = reader;
    const share = (): number => Math.floor(maxBytes() / Math.max(1, ends.length));
    this.rings = ends.map(({ low, high }) => new Ring({ at: Math.max(low, high - primeOffsets), maxBytes: share }));
  }

  /** T2 */
  get failure(): { readonly error: unknown } | null {
    return this.#failure;
  }

  /** Of all rings together. */
  get bytes(): number {
    return this.rings.reduce((sum, ring) => sum + ring.bytes, 0);
  }

  /** There is less room than before. */
  trim(): void {
    for (const ring of this.rings) ring.trim();
  }

  /** Resolves when something has come, or the tail has ended. Take it before looking. */
  get changed(): Promise<void> {
    return this.#changed.next;
  }

  /** Told of each record as it comes, in the order of its partition. */
  listen(listener: (record: LogRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Has those who wait look again: not for what came, but for whom they have it from. */
  nudge(): void {
    this.#changed.wake();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
    await this.#reader.close();
    this.#end(new CodedError('shutting_down', 'the tail is closed'));
  }

  async #keepFollowing(partition: number): Promise<void> {
    for (let retryMs = RETRY_MIN_MS; !this.#stop.signal.aborted && this.#failure === null; ) {
      const ring = this.rings[partition] as Ring;
      const startedAt = ring.to;
      const error = await this.#follow(partition, ring);
      if (this.#stop.signal.aborted) return;
      if (hasCode(error, 'topic_invalid', 'log_fatal', 'shutting_down')) return this.#end(error);
      this.#options.failed(error);
      retryMs = ring.to > startedAt ? RETRY_MIN_MS : Math.min(2 * retryMs, RETRY_MAX_MS);
      await this.#clock.sleep(retryMs, this.#stop.signal);
    }
  }

  /** Until it fails: with what. */
  async #follow(partition: number, ring: Ring): Promise<unknown> {
    const { topic } = this.#options;
    const over = Promise.withResolvers<unknown>();
    const stop = (): void => over.resolve(undefined);
    this.#stop.signal.addEventListener('abort', stop, { once: true });
    try {
      const follow = this.#reader.follow({
        topic,
        partition,
        fromOffset: ring.to,
        records: (batch) => this.#take(batch, ring),
        passed: (nextOffset) => {
          if (nextOffset <= ring.to) return;
          ring.passed(nextOffset);
          this.#changed.wake();
        },
        failed: over.resolve,
      });
      const error = await over.promise;
      await follow.stop();
      return error;
    } catch (error) {
      return error;
    } finally {
      this.#stop.signal.removeEventListener('abort', stop);
    }
  }

  #take({ records }: RecordBatch, ring: Ring): void {
    for (const record of records) {
      // The log begins anew: another topic of the same name, in which our offsets mean nothing.
      if (record.offset < ring.to) throw new CodedError('topic_invalid', 'The topic has been made anew');
      ring.push(record);
      for (const listener of this.#listeners) listener(record);
    }
    this.#changed.wake();
  }

  #end(error: unknown): void {
    this.#failure ??= { error };
    this.#changed.wake();
  }
}
