/**
 * A member of a consumer group that runs one StreamTask over every shard the group gives it. Adding processes adds
 * members; the assigner deals whole shards.
 *
 * W1 a shard kept across a rebalance keeps its session: it only sets its positions again
 * W2 a shard lost is stopped; should it come back, the new runner opens only after the old one let go (runner-set.ts)
 * W3 the state reader is private to this process; the group only decides who owns what
 */
import type { CodedError } from '../base/errors.ts';
import { closeWorker } from './closing.ts';
import type { NextMove } from './lifecycle.ts';
import type { GroupMember, Log, PartitionReader } from './port.ts';
import { RunnerSet } from './runner-set.ts';
import type { LostRange } from './session.ts';
import { type ShardHealth, ShardRunner, type ShardSettings } from './shard-runner.ts';
import { byShard, shardAssigner } from './shards.ts';
import type { StreamTask } from './task.ts';

export interface StreamWorkerOptions {
  readonly log: Log;
  readonly clientId: string;
  readonly settings: ShardSettings & { readonly shardCount: number; readonly sessionTimeoutMs: number };
  readonly createTask: (shard: number) => StreamTask;
  readonly observer: StreamObserver;
  readonly random: () => number;
  readonly uniqueId: () => string;
}

/** What the worker tells its surroundings; each call must return at once. */
export interface StreamObserver {
  assigned(epoch: number, shards: readonly number[]): void;
  opened(shard: number, restored: { records: number; durationMs: number }): void;
  /** Retention took records before they were processed; the shard goes on behind them. Each is told once. */
  lost(shard: number, range: LostRange): void;
  committed(shard: number, commit: { records: number; appends: number; durationMs: number }): void;
  failed(shard: number, error: CodedError, next: NextMove): void;
  /** The process must end non-zero: a programming error, or the client is gone for good. */
  crashed(error: unknown): void;
}

export interface StreamWorkerHealth {
  readonly epoch: number;
  /** Milliseconds since the last accepted heartbeat was sent; null before the first. */
  readonly heartbeatAgeMs: number | null;
  readonly shards: readonly ShardHealth[];
  /** Assigned, heartbeats accepted, and every shard running. */
  readonly ready: boolean;
}

export class StreamWorker {
  readonly #options: StreamWorkerOptions;
  readonly #runners = new RunnerSet<ShardRunner>();
  /** An assignment may arrive while `log.group` is still settling; runners wait for the member. */
  readonly #joined = Promise.withResolvers<void>();
  #member: GroupMember | undefined;
  #reader: PartitionReader | null = null;
  #epoch = 0;
  #heartbeatAtMs: number | null = null;
  #closing = false;

  private constructor(options: StreamWorkerOptions) {
    this.#options = options;
  }

  /** Resolves when the member has joined; assignments follow by themselves. */
  static async start(options: StreamWorkerOptions): Promise<StreamWorker> {
    const worker = new StreamWorker(options);
    const { log, settings, clientId } = options;
    const { stateTopic } = settings;
    if (stateTopic !== null) {
      worker.#reader = await log.reader({ clientId: `${clientId}-restore`, topics: [stateTopic] });
    }
    worker.#member = await log.group({
      groupId: settings.groupId,
      topics: [settings.topic],
      assigner: shardAssigner(settings.topic, settings.shardCount),
      sessionTimeoutMs: settings.sessionTimeoutMs,
      maxBytesPerPartition: 262_144,
      listener: {
        assigned: (partitions, epoch) =>
          worker.#assigned(byShard(partitions, settings.topic, settings.shardCount), epoch),
        rebalancing: () => undefined,
        heartbeat: (_epoch, atMs) => {
          worker.#heartbeatAtMs = atMs;
          worker.#runners.heartbeat(atMs);
        },
        records: (batch) => worker.#runners.get(batch.partition % settings.shardCount)?.records(batch),
        crashed: (error) => {
          if (!worker.#closing) options.observer.crashed(error);
        },
      },
    });
    worker.#joined.resolve();
    return worker;
  }

  get health(): StreamWorkerHealth {
    const { log, settings } = this.#options;
    const shards = this.#runners.values().map((runner) => runner.health);
    const heartbeatAgeMs = this.#heartbeatAtMs === null ? null : log.clock.nowMs() - this.#heartbeatAtMs;
    return {
      epoch: this.#epoch,
      heartbeatAgeMs,
      shards,
      ready:
        this.#epoch > 0 &&
        heartbeatAgeMs !== null &&
        heartbeatAgeMs < settings.sessionTimeoutMs &&
        shards.every((shard) => shard.phase === 'running'),
    };
  }

  /** Sets the positions of a shard again, which wakes a fetcher that stands still; changes nothing otherwise. */
  nudge(shard: number): void {
    this.#runners.get(shard)?.reassigned();
  }

  /** In-flight transactions settle, then the member leaves (closing.ts); nothing new is started. */
  async close(): Promise<void> {
    this.#closing = true;
    const { sessionTimeoutMs } = this.#options.settings;
    const { heartbeatAgeMs } = this.health;
    const [runners, member, reader] = [this.#runners, this.#member, this.#reader];
    await closeWorker({ runners, member, reader, heartbeatAgeMs, sessionTimeoutMs });
  }

  #assigned(shards: ReadonlyMap<number, readonly number[]>, epoch: number): void {
    if (this.#closing) return;
    this.#epoch = epoch;
    const kept = this.#runners.assign(shards.keys(), (shard, after) =>
      this.#start(shard, shards.get(shard) as readonly number[], after),
    );
    for (const runner of kept) runner.reassigned();
    this.#options.observer.assigned(epoch, [...shards.keys()]);
  }

  #start(shard: number, partitions: readonly number[], after: Promise<void> | undefined): ShardRunner {
    const { log, settings, observer, random, uniqueId, createTask } = this.#options;
    return new ShardRunner(
      {
        log,
        settings,
        random,
        uniqueId,
        shard,
        partitions,
        reader: this.#reader,
        member: () => this.#member as GroupMember,
        task: createTask(shard),
        observer: {
          opened: (...args) => observer.opened(...args),
          lost: (...args) => observer.lost(...args),
          committed: (...args) => observer.committed(...args),
          failed: (...args) => observer.failed(...args),
          crashed: (_shard, error) => observer.crashed(error),
        },
      },
      Promise.all([this.#joined.promise, after]),
    );
  }
}
