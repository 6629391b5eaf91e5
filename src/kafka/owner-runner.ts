/**
 * Runs `serve` over one partition for as long as the group assigns it: own it, serve, and own it again after whatever went
 * wrong (lifecycle.ts).
 *
 * N1 at most one `serve` runs per partition: the next is called only when the last has settled and its producer is closed
 * N2 what ended a commit also ends the `serve` that asked for it, whether that looks at the rejection or not
 * N3 a `serve` that has not settled in time after its signal, or returns before it, is a programming error: the process must
 *    end, for it would go on doing things in the world that nobody writes down
 */
import { aborted } from '../base/aborted.ts';
import { CodedError } from '../base/errors.ts';
import { InputFeed } from './input-feed.ts';
import { Lifecycle, type NextMove, type Phase } from './lifecycle.ts';
import { type CommitStats, type OwnedPartition, Ownership } from './owned-partition.ts';
import type { GroupMember, Log, PartitionReader, RecordBatch } from './port.ts';
import type { RestoreStats } from './restore.ts';
import type { LostRange } from './session.ts';

/** Twice this is within a shutdown's time. */
const DEFAULT_SETTLE_MS = 4_000;

export interface OwnerSettings {
  readonly groupId: string;
  /** The compacted topic whose partitions are owned. */
  readonly topic: string;
  /** Read by the owner of the partition of the same number; as many partitions as `topic`. Absent = no input. */
  readonly inputTopic?: string;
  /** Of the input; see GroupOptions. */
  readonly fetchDelayMs?: number;
  readonly transactionTimeoutMs: number;
  readonly restoreStallMs: number;
  /** Bound of the state of one partition. */
  readonly stateMaxBytes: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Longest time from the signal until `serve` has settled, and again from the last commit's answer. */
  readonly settleMs?: number;
}

export interface OwnedPartitionHealth {
  readonly partition: number;
  readonly phase: Phase;
  readonly keys: number;
  readonly stateBytes: number;
  readonly lastCommitAtMs: number | null;
  readonly reopened: number;
  readonly lastError: string | null;
}

/** What a runner tells its surroundings; each call must return at once. */
export interface OwnerRunnerObserver {
  opened(partition: number, restored: RestoreStats): void;
  /** Retention took records of the input before they were finished; it goes on behind them. Told at each open until a commit. */
  lost?(partition: number, range: LostRange): void;
  committed(partition: number, commit: CommitStats): void;
  failed(partition: number, error: CodedError, next: NextMove): void;
  /** A programming error: the process must end, not carry on. */
  crashed(error: unknown): void;
}

export interface OwnerRunnerOptions {
  readonly log: Log;
  readonly reader: PartitionReader;
  readonly partition: number;
  readonly partitionOf: (key: string) => number;
  readonly member: () => GroupMember;
  /** See OwnedPartition. */
  readonly leaseUntilMs: () => number;
  readonly settings: OwnerSettings;
  readonly serve: (owned: OwnedPartition) => Promise<void>;
  readonly observer: OwnerRunnerObserver;
  readonly random: () => number;
  readonly uniqueId: () => string;
}

export class OwnerRunner {
  readonly partition: number;
  /** Resolves when the runner has let go of everything. */
  readonly done: Promise<void>;
  readonly #options: OwnerRunnerOptions;
  readonly #stop = new AbortController();
  readonly #life: Lifecycle;
  #ownership: Ownership | undefined;
  #feed: InputFeed | undefined;
  #lastCommitAtMs: number | null = null;

  /** Starts by itself, once `after` has settled. */
  constructor(options: OwnerRunnerOptions, after: Promise<unknown> = Promise.resolve()) {
    const { settings, log, random, observer } = options;
    this.#options = options;
    this.partition = options.partition;
    this.#life = new Lifecycle({
      ...settings,
      clock: log.clock,
      random,
      failed: (error, next) => observer.failed(this.partition, error, next),
    });
    const run = () => this.#life.run(() => this.#attempt(), this.#stop.signal);
    this.done = after.then(run).catch((error) => {
      this.#life.phase = 'failed';
      this.#life.lastError = String(error);
      observer.crashed(error);
    });
  }

  get health(): OwnedPartitionHealth {
    return {
      partition: this.partition,
      phase: this.#life.phase,
      keys: this.#ownership?.keys ?? 0,
      stateBytes: this.#ownership?.stateBytes ?? 0,
      lastCommitAtMs: this.#lastCommitAtMs,
      reopened: this.#life.reopened,
      lastError: this.#life.lastError,
    };
  }

  heartbeat(atMs: number): void {
    this.#life.heartbeat(atMs);
  }

  stop(): void {
    this.#feed?.stop(true);
    this.#feed = undefined;
    this.#stop.abort();
  }

  records(batch: RecordBatch): void {
    this.#feed?.records(batch);
  }

  /** The group rebalanced and this partition is still ours. */
  reassigned(): void {
    this.#feed?.reassigned();
  }

  /** One ownership from open to its end: undefined after stop(), else what ended it. Other errors are ours and go up. */
  async #attempt(): Promise<CodedError | undefined> {
    try {
      this.#ownership = await this.#open();
      this.#options.observer.opened(this.partition, this.#ownership.restored);
      for (const range of this.#ownership.lost) this.#options.observer.lost?.(this.partition, range);
      this.#life.phase = 'running';
      return await this.#serve(this.#ownership);
    } catch (error) {
      if (error instanceof CodedError) return error;
      throw error;
    } finally {
      this.#feed?.stop(false);
      this.#feed = undefined;
      const ownership = this.#ownership;
      this.#ownership = undefined;
      await ownership?.close().catch((error) => this.#closeFailed(error)); // N1
    }
  }

  #open(): Promise<Ownership> {
    const { log, reader, settings, partition, partitionOf, observer, uniqueId, member, leaseUntilMs } = this.#options;
    const { inputTopic: topic } = settings;
    return Ownership.open({
      ...settings,
      log,
      reader,
      partition,
      partitionOf,
      barrierId: uniqueId(),
      ...(topic === undefined
        ? {}
        : {
            input: {
              topic,
              create: (position) => {
                this.#feed = new InputFeed({ member, input: { topic, partition }, position, admin: log.admin });
                return this.#feed;
              },
            },
          }),
      leaseUntilMs,
      signal: this.#stop.signal,
      committed: (commit) => {
        this.#life.succeeded();
        this.#lastCommitAtMs = log.clock.nowMs();
        observer.committed(partition, commit);
      },
    });
  }

  /** Rejects with what ended it before the signal; resolves after the signal, unless that was a commit's failure (N2). */
  async #serve(ownership: Ownership): Promise<undefined> {
    const { signal } = ownership;
    const settled = new AbortController();
    try {
      await Promise.race([this.#options.serve(ownership), this.#overdue(ownership, settled.signal)]);
    } catch (error) {
      if (!(error instanceof CodedError) && !isInterruption(error, signal)) throw error;
      if (!signal.aborted) throw error;
    } finally {
      settled.abort();
    }
    if (ownership.failure !== undefined) throw ownership.failure.error;
    if (!signal.aborted) throw new TypeError('serve() returned while its partition was still owned'); // N3
  }

  /** N3. Rejects, some time after the signal, unless `serve` has settled by then. A commit in flight is the log's to answer. */
  async #overdue(ownership: Ownership, settled: AbortSignal): Promise<never> {
    const { clock } = this.#options.log;
    const settleMs = this.#options.settings.settleMs ?? DEFAULT_SETTLE_MS;
    await aborted(AbortSignal.any([ownership.signal, settled]));
    if (!settled.aborted) this.#life.phase = 'opening'; // L3
    await clock.sleep(settleMs, settled);
    if (!settled.aborted) await ownership.drain();
    await clock.sleep(settleMs, settled);
    if (!settled.aborted) throw new Error(`serve() of partition ${this.partition} goes on after its signal`);
    return new Promise<never>(() => undefined);
  }

  #closeFailed(error: unknown): void {
    this.#life.lastError = `close: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** What Node's own waits and `signal.throwIfAborted()` reject with when the signal has aborted. */
function isInterruption(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || (error instanceof Error && error.name === 'AbortError'));
}
