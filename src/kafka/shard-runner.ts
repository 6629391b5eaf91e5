/**
 * Runs a StreamTask over one shard for as long as the group assigns it: open a session, take records in batches, decide,
 * commit, and reopen after whatever went wrong (lifecycle.ts).
 *
 * R1 a batch is decided only on records of the current assignment, at or after the committed position, in order
 * R2 positions move only with a commit; whatever was taken but not committed is read again
 * R3 at most one transaction is open per shard
 * R4 a fenced shard fences back only when a heartbeat sent after the fencing was accepted (L1)
 * R5 a fatal error stops this shard, is reported, and leaves its offsets where they are (L2); other shards go on
 * R6 waiting for what a batch needs (a topic, say) does not hold up a stop
 */
import { CodedError } from '../base/errors.ts';
import { HEADER } from './headers.ts';
import { Lifecycle, type NextMove, type Phase } from './lifecycle.ts';
import { Pace } from './pace.ts';
import type { GroupMember, Log, LogRecord, PartitionReader, RecordBatch, TopicPartition } from './port.ts';
import { RecordQueue } from './record-queue.ts';
import { type LostRange, PartitionSession } from './session.ts';
import { StateOverlay } from './state-overlay.ts';
import type { StreamTask } from './task.ts';

/**
 * Most bytes of records in one transaction, so that large records bound its memory and time as small ones are bounded
 * by their number. (Batches that a topic takes are the transactional producer's matter.)
 */
const MAX_BATCH_BYTES = 2_000_000;
const MAX_QUEUED_BYTES = 8 * MAX_BATCH_BYTES;

export interface ShardSettings {
  readonly groupId: string;
  readonly topic: string;
  /** Compacted, with as many partitions as `topic`; null = the task keeps no state. */
  readonly stateTopic: string | null;
  /** Most records in one transaction. */
  readonly maxBatchRecords: number;
  /** Time between the starts of two transactions, unless a full batch waits or a tenant that sends little (pace.ts). */
  readonly paceMs: number;
  readonly maxQueuedRecords: number;
  readonly transactionTimeoutMs: number;
  readonly restoreStallMs: number;
  readonly stateMaxBytes: number;
  /** State untouched for this long is forgotten, as the topic's retention does on disk. */
  readonly stateRetentionMs: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

export interface ShardHealth {
  readonly shard: number;
  readonly partitions: readonly number[];
  readonly phase: Phase;
  /** Next offset to process, by partition; empty while the session is not open. */
  readonly positions: Readonly<Record<number, number>>;
  readonly queued: number;
  readonly resources: number;
  readonly stateBytes: number;
  readonly lastCommitAtMs: number | null;
  readonly reopened: number;
  readonly lastError: string | null;
}

/** What a runner tells its surroundings; each call must return at once. */
export interface ShardObserver {
  opened(shard: number, restored: { records: number; durationMs: number }): void;
  /** Retention took records before they were processed; the shard goes on behind them. Each is told once. */
  lost(shard: number, range: LostRange): void;
  committed(shard: number, commit: { records: number; appends: number; durationMs: number }): void;
  failed(shard: number, error: CodedError, next: NextMove): void;
  /** A programming error: the process must end, not carry on. */
  crashed(shard: number, error: unknown): void;
}

export interface ShardRunnerOptions {
  readonly log: Log;
  /** Null without a state topic. */
  readonly reader: PartitionReader | null;
  readonly member: () => GroupMember;
  readonly task: StreamTask;
  readonly shard: number;
  readonly partitions: readonly number[];
  readonly settings: ShardSettings;
  readonly observer: ShardObserver;
  readonly random: () => number;
  readonly uniqueId: () => string;
}

export class ShardRunner {
  readonly shard: number;
  readonly #options: ShardRunnerOptions;
  readonly #queue: RecordQueue;
  readonly #stop = new AbortController();
  readonly #inputs: readonly TopicPartition[];
  readonly #life: Lifecycle;
  #wake: (() => void) | undefined;
  #session: PartitionSession | undefined;
  readonly #pace: Pace;
  #paused = true;
  #reassigned = false;
  #lastCommitAtMs: number | null = null;
  /** By partition: up to where lost records were told. */
  readonly #lostUpTo = new Map<number, number>();
  /** Resolves when the runner has let go of everything. */
  readonly done: Promise<void>;

  /** Starts once `after` has settled. */
  constructor(options: ShardRunnerOptions, after: Promise<unknown> = Promise.resolve()) {
    this.#options = options;
    this.shard = options.shard;
    this.#life = new Lifecycle({
      ...options.settings,
      clock: options.log.clock,
      random: options.random,
      failed: (error, next) => options.observer.failed(this.shard, error, next),
    });
    this.#pace = new Pace(options.settings.paceMs);
    this.#queue = new RecordQueue(options.settings.maxQueuedRecords, MAX_QUEUED_BYTES);
    this.#inputs = options.partitions.map((partition) => ({ topic: options.settings.topic, partition }));
    const run = () => this.#life.run(() => this.#attempt(), this.#stop.signal);
    this.done = after.then(run).catch((error) => options.observer.crashed(this.shard, error));
  }

  get health(): ShardHealth {
    return {
      shard: this.shard,
      partitions: this.#options.partitions,
      phase: this.#life.phase,
      positions: Object.fromEntries(this.#session?.positions ?? []),
      queued: this.#queue.size,
      resources: this.#session?.table.size ?? 0,
      stateBytes: this.#session?.table.bytes ?? 0,
      lastCommitAtMs: this.#lastCommitAtMs,
      reopened: this.#life.reopened,
      lastError: this.#life.lastError,
    };
  }

  records(batch: RecordBatch): void {
    this.#queue.push(batch);
    if (this.#queue.isFull && !this.#paused) this.#setPaused(true);
    // With a full batch nothing waits for the pace.
    if (this.#queue.size < this.#options.settings.maxBatchRecords)
      for (const record of batch.records) this.#pace.arrived(tenantOf(record));
    this.#wake?.();
  }

  /**
   * The group rebalanced and this shard is still ours: partitions are paused again and their positions are to be set.
   * Also the remedy for a fetcher that stands still.
   */
  reassigned(): void {
    this.#reassigned = true;
    this.#wake?.();
  }

  heartbeat(atMs: number): void {
    this.#life.heartbeat(atMs);
  }

  stop(): void {
    this.#stop.abort();
    this.#wake?.();
  }

  /** One session from open to its end: undefined after stop(), else what ended it. Other errors are ours and go up. */
  async #attempt(): Promise<CodedError | undefined> {
    try {
      this.#session = await this.#open();
      await this.#loop(this.#session);
      return undefined;
    } catch (error) {
      if (error instanceof CodedError) return error;
      throw error;
    } finally {
      if (!this.#stop.signal.aborted) this.#setPaused(true);
      this.#queue.reset(new Map());
      const session = this.#session;
      this.#session = undefined;
      await session?.close().catch((error) => this.#closeFailed(error));
    }
  }

  #closeFailed(error: unknown): void {
    this.#life.lastError = `close: ${error instanceof Error ? error.message : String(error)}`;
  }

  async #open(): Promise<PartitionSession> {
    const { log, reader, settings, shard, partitions, uniqueId, observer } = this.#options;
    const session = await PartitionSession.open({
      ...settings,
      log,
      reader,
      shard,
      partitions,
      barrierId: uniqueId(),
      signal: this.#stop.signal,
    });
    observer.opened(shard, session.restored);
    for (const range of session.lost) this.#tellLost(range);
    return session;
  }

  /** Every open finds the same ones until something is committed. */
  #tellLost({ partition, from, to }: LostRange): void {
    const untold = Math.max(from, this.#lostUpTo.get(partition) ?? 0);
    if (untold >= to) return;
    this.#lostUpTo.set(partition, to);
    this.#options.observer.lost(this.shard, { partition, from: untold, to });
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    const member = this.#options.member();
    for (const input of this.#inputs) {
      if (paused) member.pause(input);
      else member.resume(input);
    }
  }

  /** Starts (again) at the committed positions. */
  #position(session: PartitionSession): void {
    this.#reassigned = false;
    this.#queue.reset(session.positions);
    const member = this.#options.member();
    for (const input of this.#inputs) member.seek(input, session.positions.get(input.partition) as number);
    this.#setPaused(false);
  }

  async #loop(session: PartitionSession): Promise<void> {
    const { settings, log } = this.#options;
    this.#position(session);
    this.#life.phase = 'running';
    while (!this.#stop.signal.aborted) {
      if (this.#reassigned) this.#position(session);
      const waitMs = this.#pace.waitMs(log.clock.nowMs());
      if (this.#queue.size === 0) await this.#woken();
      else if (this.#queue.size < settings.maxBatchRecords && waitMs > 0) await this.#woken(waitMs);
      else {
        const startedAtMs = log.clock.nowMs();
        const records = this.#queue.take(settings.maxBatchRecords, MAX_BATCH_BYTES);
        this.#pace.started(records.map(tenantOf), startedAtMs);
        await this.#step(session, records, startedAtMs);
      }
    }
  }

  async #step(session: PartitionSession, records: readonly LogRecord[], startedAtMs: number): Promise<void> {
    const { task, observer, log, settings } = this.#options;
    const prepared = task.prepare(records);
    if (prepared !== undefined && !(await this.#unlessStopped(prepared))) return;
    const overlay = new StateOverlay(session.table);
    const appends = task.decide(records, overlay, startedAtMs);
    const next = new Map<number, number>();
    for (const record of records) next.set(record.partition, record.offset + 1);
    await session.commit(appends, overlay, next);
    this.#life.succeeded();
    this.#lastCommitAtMs = log.clock.nowMs();
    session.table.expireOlderThan(this.#lastCommitAtMs - settings.stateRetentionMs, records.length);
    observer.committed(this.shard, {
      records: records.length,
      appends: appends.length,
      durationMs: this.#lastCommitAtMs - startedAtMs,
    });
    if (this.#paused && this.#queue.isDrained && !this.#reassigned) this.#setPaused(false);
  }

  /** R6: false when a stop came first; whatever becomes of the work then is nobody's concern. */
  async #unlessStopped(work: Promise<void>): Promise<boolean> {
    const { signal } = this.#stop;
    if (signal.aborted) {
      work.catch(() => undefined);
      return false;
    }
    const stopped = Promise.withResolvers<boolean>();
    const stop = () => stopped.resolve(false);
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await Promise.race([work.then(() => true), stopped.promise]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Until something happened (records, reassignment, stop) or `timeoutMs` passed. */
  async #woken(timeoutMs?: number): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const woken = Promise.withResolvers<void>();
    const timer = new AbortController();
    this.#wake = () => woken.resolve();
    const waits = timeoutMs === undefined ? [] : [this.#options.log.clock.sleep(timeoutMs, timer.signal)];
    await Promise.race([woken.promise, ...waits]);
    timer.abort();
    this.#wake = undefined;
  }
}

/** Empty where the record names none. */
function tenantOf({ headers }: LogRecord): string {
  return headers[HEADER.tenant]?.toString() ?? '';
}
