/** The quota topic as this process follows it: the book of each partition, begun from its twin (B5 of book.ts). */
import { CodedError } from '../../base/errors.ts';
import type { Follow, Log, PartitionReader, RecordBatch } from '../../kafka/port.ts';
import { barrierRecord, restoreToBarrier } from '../../kafka/restore.ts';
import type { TopicNames } from '../../kafka/topics.ts';
import { PartitionBook } from './partition-book.ts';
import type { ReadBacks } from './read-backs.ts';
import { TwinReading } from './twin.ts';

const FORGET_LOOKS = 100;
const REFOLLOW_MS = 1000;
const BARRIER_KEY = Buffer.from('~barrier');

export interface QuotaReadingOptions {
  readonly log: Log;
  readonly topics: Pick<TopicNames, 'quota' | 'quotaState'>;
  readonly reader: PartitionReader;
  readonly partitions: number;
  readonly backs: ReadBacks;
  /** Unique to this run of this process. */
  readonly id: string;
  /** Longest time without a record before the reading at the start counts as stuck. */
  readonly stallMs: number;
  readonly stop: AbortSignal;
  readonly failed: (doing: string, error: unknown) => void;
}

interface Slot {
  readonly partition: number;
  book: PartitionBook;
  follow: Follow | undefined;
}

export class QuotaReading {
  readonly #options: QuotaReadingOptions;
  readonly #slots: readonly Slot[];

  constructor(options: QuotaReadingOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.partitions }, (_, partition) => ({
      partition,
      book: PartitionBook.empty(),
      follow: undefined,
    }));
  }

  get following(): number {
    return this.#slots.filter(({ follow }) => follow !== undefined).length;
  }

  get books(): readonly PartitionBook[] {
    return this.#slots.map(({ book }) => book);
  }

  isFollowed(partition: number): boolean {
    return this.#slots[partition]?.follow !== undefined;
  }

  /** As far as it has been read. */
  bookOf(partition: number): PartitionBook {
    return (this.#slots[partition] as Slot).book;
  }

  /** Resolves when all of the log up to now has been read. */
  async open(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#slots.map((slot) => this.#open(slot, signal)));
  }

  async close(): Promise<void> {
    await Promise.all(this.#slots.map(({ follow }) => follow?.stop()));
  }

  async #open(slot: Slot, signal: AbortSignal): Promise<void> {
    const { log, topics, reader, backs, id, stallMs, stop } = this.#options;
    const { partition } = slot;
    const twin = { topic: topics.quotaState, partition };
    const barrierId = `${id}:${partition}`;
    const reading = new TwinReading();
    await backs.send(barrierRecord(twin, barrierId));
    await restoreToBarrier({
      ...twin,
      reader,
      clock: log.clock,
      barrierId,
      stallMs,
      signal: AbortSignal.any([signal, stop]),
      restored: (key, value) => reading.read(key.toString('latin1'), value),
    });
    slot.book = reading.finish();
    await this.#assertNotBeyondEnd(partition, slot.book.position.nextOffset);
    this.#follow(slot);
    const append = { topic: topics.quota, partition, key: BARRIER_KEY, value: null };
    const told = await backs.append(append, { deadlineMs: Number.POSITIVE_INFINITY, signal, isPatient: false });
    if ('why' in told)
      throw new CodedError('log_unavailable', `The quota topic was not read: ${told.why}`, { partition });
  }

  async #assertNotBeyondEnd(partition: number, nextOffset: number): Promise<void> {
    const { log, topics } = this.#options;
    const { high } = await log.admin.watermarks({ topic: topics.quota, partition });
    if (nextOffset <= high) return;
    const message = `The quota twin is at ${nextOffset}, but partition ${partition} of ${topics.quota} ends at ${high}: its log was cut or restored; delete ${topics.quotaState}, which is made anew`;
    throw new CodedError('offset_beyond_end', message, { partition, nextOffset, high });
  }

  #follow(slot: Slot): void {
    const { log, topics, reader, stop, failed } = this.#options;
    if (stop.aborted) return;
    slot.follow = reader.follow({
      topic: topics.quota,
      partition: slot.partition,
      fromOffset: slot.book.position.nextOffset,
      records: (batch) => this.#records(slot.book, batch),
      failed: (error) => {
        slot.follow = undefined;
        failed('reading the quota topic', error);
        void log.clock.sleep(REFOLLOW_MS, stop).then(() => this.#refollow(slot));
      },
    });
  }

  #refollow(slot: Slot): void {
    try {
      this.#follow(slot);
    } catch (error) {
      this.#options.failed('reading the quota topic', error); // the reader is gone for good, and `health` says so
    }
  }

  #records(book: PartitionBook, { records }: RecordBatch): void {
    for (const record of records) this.#options.backs.cameBack(record, book.apply(record));
    book.forget(FORGET_LOOKS);
  }
}
