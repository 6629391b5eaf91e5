/**
 * Exclusive, recoverable ownership of one partition of a compacted topic, for work that is not driven by records: read
 * what is committed, do something in the world, write down what came of it.
 *
 *   open: fence → barrier → restore to the barrier          commit: appends anywhere + changes here, one transaction
 *
 * O1 fence before everything: the earlier owner's transaction is complete (either way) before we read
 * O2 the state is all of the partition up to a barrier we wrote ourselves (restore.ts)
 * O3 memory changes only after the commit of the transaction that carries the same changes
 * O4 one commit at a time, in the order of the calls; one that fails ends the ownership: the signal aborts, what is queued
 *    behind it is refused unsent, and nothing is ever committed again. Recovery is a new ownership (same steps, one path)
 * O5 the signal also aborts when the partition is to be let go. Until `serve` has settled, commits go through all the same
 *    (what has been done is better written down) unless the next owner has already fenced us
 * O6 with an input, its committed offset is read after the fence, and moves only with a commit that says so
 */
import { CodedError } from '../base/errors.ts';
import type { OwnedInput } from './input-feed.ts';
import { OwnedState } from './owned-state.ts';
import type { Append, CommitOffset, Log, PartitionReader, TransactionalProducer } from './port.ts';
import { BARRIER_KEY, barrierRecord, type RestoreStats, restoreToBarrier } from './restore.ts';
import { type LostRange, type Start, startOf } from './session.ts';
import { transactionalId } from './shards.ts';

/** Commits that may wait; a `serve` that reaches it starts work faster than the log can take it down. */
const MAX_QUEUED_COMMITS = 1000;

/** One partition as `serve` sees it. */
export interface OwnedPartition {
  readonly partition: number;
  /** Aborts when the partition is lost or let go, or a commit has failed; `serve` must settle soon then. */
  readonly signal: AbortSignal;
  /** Greater than that of every earlier owner of the partition, in any process: what is written under it can be told apart. */
  readonly epoch: number;
  /** Until then nobody else is given the partition, by our own clock; the past when a rebalance is on. */
  readonly leaseUntilMs: number;
  /** The input partition of the same number; null when the worker has no input. */
  readonly input: OwnedInput | null;
  /** What the state takes in memory, of `stateMaxBytes`. */
  readonly stateBytes: number;
  /** Committed state, also after the end as this owner last knew it. The bytes are not to be changed. */
  get(key: string): Buffer | undefined;
  entries(): Iterable<readonly [string, Buffer]>;
  /**
   * Keys of those wanted among the next so many entries, round and round; a round's end ends the look. For who looks at all of
   * a large state, a little at a time. The bytes are valid in the call only.
   */
  sweep(looks: number, isWanted: (value: Buffer) => boolean): readonly string[];
  /**
   * One transaction: appends + these changes of this partition of the owned topic (null = tombstone; the port's rules for
   * keys hold). Calls queue. All of it or nothing, but a rejection with `commit_unknown` leaves open which: only the state
   * of the next `serve` tells. After a rejection the partition is reopened, except after `queue_full`, which did nothing.
   * `nextOffset`: of the input, all below is finished.
   */
  commit(appends: readonly Append[], changes: ReadonlyMap<string, Buffer | null>, nextOffset?: number): Promise<void>;
  /** Which partition of the owned topic a key belongs to, as the log places it. */
  partitionOf(key: string): number;
}

export interface OwnershipOptions {
  readonly log: Log;
  readonly reader: PartitionReader;
  readonly groupId: string;
  readonly topic: string;
  readonly partition: number;
  readonly partitionOf: (key: string) => number;
  /** A value no other open of this partition has used. */
  readonly barrierId: string;
  readonly transactionTimeoutMs: number;
  /** Longest time without a restored record before the restore counts as stuck. */
  readonly restoreStallMs: number;
  readonly stateMaxBytes: number;
  readonly input?: { readonly topic: string; readonly create: (position: number) => OwnedInput };
  readonly leaseUntilMs: () => number;
  readonly signal: AbortSignal;
  readonly committed: (commit: CommitStats) => void;
}

interface Opened {
  readonly restored: RestoreStats;
  readonly epoch: number;
  readonly start: Start | null;
}

export interface CommitStats {
  readonly appends: number;
  readonly changes: number;
  readonly durationMs: number;
}

export class Ownership implements OwnedPartition {
  readonly partition: number;
  readonly signal: AbortSignal;
  readonly restored: RestoreStats;
  readonly epoch: number;
  readonly input: OwnedInput | null;
  /** Records of the input that retention took before they were finished. */
  readonly lost: readonly LostRange[];
  readonly #options: OwnershipOptions;
  readonly #producer: TransactionalProducer;
  readonly #state: OwnedState;
  readonly #end = new AbortController();
  #tail: Promise<void> = Promise.resolve();
  #queued = 0;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

  private constructor(
    options: OwnershipOptions,
    producer: TransactionalProducer,
    state: OwnedState,
    { restored, epoch, start }: Opened,
  ) {
    this.#options = options;
    this.#producer = producer;
    this.#state = state;
    this.restored = restored;
    this.epoch = epoch;
    this.lost = start?.lost ?? [];
    const position = start?.positions.get(options.partition);
    this.input = position === undefined ? null : (options.input?.create(position) ?? null);
    this.partition = options.partition;
    this.signal = AbortSignal.any([options.signal, this.#end.signal]);
  }

  /** Rejects with a CodedError; nothing is left open then. */
  static async open(options: OwnershipOptions): Promise<Ownership> {
    const { log, reader, groupId, topic, partition, barrierId, signal } = options;
    const producer = await log.transactional({
      transactionalId: transactionalId(groupId, topic, partition),
      transactionTimeoutMs: options.transactionTimeoutMs,
    });
    try {
      await producer.commit({ appends: [barrierRecord({ topic, partition }, barrierId)] });
      const state = new OwnedState({ topic, partition, maxBytes: options.stateMaxBytes });
      const startedAtMs = log.clock.nowMs();
      const { records, barrierOffset } = await restoreToBarrier({
        reader,
        clock: log.clock,
        topic,
        partition,
        barrierId,
        stallMs: options.restoreStallMs,
        signal,
        restored: (key, value) => state.restore(key.toString(), value),
      });
      const restored = { records, durationMs: log.clock.nowMs() - startedAtMs };
      const { input } = options;
      const start =
        input === undefined ? null : await startOf({ log, groupId, topic: input.topic, partitions: [partition] });
      return new Ownership(options, producer, state, { restored, epoch: barrierOffset, start });
    } catch (error) {
      await producer.close().catch(() => undefined); // the cause matters, a close error of a failed open does not
      throw error;
    }
  }

  /** Why the ownership ended (O4): what the first failed commit rejected with. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  get leaseUntilMs(): number {
    return this.#options.leaseUntilMs();
  }

  get keys(): number {
    return this.#state.size;
  }

  get stateBytes(): number {
    return this.#state.bytes;
  }

  get(key: string): Buffer | undefined {
    return this.#state.get(key);
  }

  entries(): Iterable<readonly [string, Buffer]> {
    return this.#state.entries();
  }

  sweep(looks: number, isWanted: (value: Buffer) => boolean): readonly string[] {
    return this.#state.sweep(looks, isWanted);
  }

  partitionOf(key: string): number {
    return this.#options.partitionOf(key);
  }

  commit(appends: readonly Append[], changes: ReadonlyMap<string, Buffer | null>, nextOffset?: number): Promise<void> {
    if (this.#queued >= MAX_QUEUED_COMMITS) {
      const message = `${MAX_QUEUED_COMMITS} commits of this partition wait already`;
      return Promise.reject(new CodedError('queue_full', message, { partition: this.partition }));
    }
    const all = [...appends];
    const changed = new Map(changes);
    this.#queued++;
    const committed = this.#tail.then(() => this.#commit(all, changed, nextOffset)).finally(() => this.#queued--);
    this.#tail = committed.catch(() => undefined); // the caller is told; the next call asks `#failure`
    return committed;
  }

  /** Refuses what is queued and all later commits; resolves when the one in flight has been answered. */
  async drain(): Promise<void> {
    this.#closed = true;
    this.#end.abort();
    await this.#tail;
  }

  async close(): Promise<void> {
    await this.drain();
    await this.#producer.close();
  }

  async #commit(
    appends: readonly Append[],
    changes: ReadonlyMap<string, Buffer | null>,
    nextOffset: number | undefined,
  ): Promise<void> {
    if (this.#closed || this.#failure !== undefined) {
      throw new CodedError('fenced', 'This ownership has ended; its partition must be opened again');
    }
    const { log, topic, partition, committed } = this.#options;
    const startedAtMs = log.clock.nowMs();
    try {
      if (changes.has(BARRIER_KEY)) throw new TypeError('The key of the barrier is reserved');
      this.#state.assertFits(changes);
      const all: Append[] = [...appends];
      for (const [key, value] of changes) all.push({ topic, partition, key: Buffer.from(key), value });
      const offsets = nextOffset === undefined ? {} : { offsets: this.#offsets(nextOffset) };
      await this.#producer.commit({ appends: all, ...offsets });
    } catch (error) {
      this.#failure = { error };
      this.#end.abort();
      throw error;
    }
    for (const [key, value] of changes) this.#state.set(key, value); // O3
    committed({ appends: appends.length, changes: changes.size, durationMs: log.clock.nowMs() - startedAtMs });
  }

  #offsets(offset: number): { readonly groupId: string; readonly offsets: readonly CommitOffset[] } {
    const { groupId, input, partition } = this.#options;
    if (input === undefined) throw new TypeError('There is no input whose offset could be committed');
    return { groupId, offsets: [{ topic: input.topic, partition, offset }] };
  }
}
