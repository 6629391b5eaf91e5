/**
 * The records of one input partition for work that takes them at its own pace and finishes them in its own order. What has
 * been handed out is the taker's: it is not read again while the ownership lasts, also not after a rebalance.
 *
 * I1 records come in order, each once, from the committed position on
 *    (after `seek` from the offset it names)
 * I2 nothing is fetched before `listen`, while the queue is full, or after `stop`
 */
import type { GroupMember, LogAdmin, LogRecord, RecordBatch, TopicPartition } from './port.ts';
import { RecordQueue } from './record-queue.ts';

const MAX_QUEUED_RECORDS = 1000;
const MAX_QUEUED_BYTES = 4 * 1024 * 1024;

/** As `serve` sees it. */
export interface OwnedInput {
  /** Offset of the first record that comes: what is committed, or where the log begins. */
  readonly position: number;
  /** Starts the reading. `wake` is called whenever there may be more to take; it must return at once. */
  listen(wake: () => void): void;
  /** At most so many records, in order; empty when there is none for now. */
  take(maxRecords: number): readonly LogRecord[];
  /** The next record to be taken is the one at this offset, be it once more; nothing before `position`. */
  seek(offset: number): void;
  /** See LogAdmin. Rejects with a CodedError. */
  offsetSince(timestampMs: number): Promise<number>;
}

export interface InputFeedOptions {
  readonly member: () => GroupMember;
  readonly input: TopicPartition;
  readonly position: number;
  readonly admin: Pick<LogAdmin, 'offsetSince'>;
}

export class InputFeed implements OwnedInput {
  readonly position: number;
  readonly #member: () => GroupMember;
  readonly #input: TopicPartition;
  readonly #admin: InputFeedOptions['admin'];
  readonly #queue = new RecordQueue(MAX_QUEUED_RECORDS, MAX_QUEUED_BYTES);
  #wake: (() => void) | undefined;
  #nextOffset: number;
  #paused = true;

  constructor({ member, input, position, admin }: InputFeedOptions) {
    this.#member = member;
    this.#admin = admin;
    this.#input = input;
    this.position = position;
    this.#nextOffset = position;
    this.#queue.reset(new Map([[input.partition, position]]));
  }

  listen(wake: () => void): void {
    this.#wake = wake;
    this.reassigned();
  }

  take(maxRecords: number): readonly LogRecord[] {
    const taken = this.#queue.size === 0 ? [] : this.#queue.take(maxRecords);
    if (this.#paused && this.#wake !== undefined && this.#queue.isDrained) this.#setPaused(false);
    return taken;
  }

  seek(offset: number): void {
    this.#nextOffset = Math.max(offset, this.position);
    this.#queue.reset(new Map([[this.#input.partition, this.#nextOffset]]));
    this.reassigned();
  }

  offsetSince(timestampMs: number): Promise<number> {
    return this.#admin.offsetSince(this.#input, timestampMs);
  }

  records(batch: RecordBatch): void {
    if (this.#wake === undefined) return;
    this.#queue.push(batch);
    const last = batch.records.at(-1);
    if (last !== undefined) this.#nextOffset = Math.max(this.#nextOffset, last.offset + 1);
    if (this.#queue.isFull && !this.#paused) this.#setPaused(true);
    this.#wake();
  }

  /** A new assignment has paused the partition and forgotten its position. */
  reassigned(): void {
    if (this.#wake === undefined) return;
    this.#member().seek(this.#input, this.#nextOffset);
    this.#setPaused(this.#queue.isFull);
  }

  /** `lost`: the partition is not ours any more, and there is nothing to pause. */
  stop(lost: boolean): void {
    this.#wake = undefined;
    if (!lost) this.#setPaused(true);
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    if (paused) this.#member().pause(this.#input);
    else this.#member().resume(this.#input);
  }
}
