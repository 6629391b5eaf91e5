/**
 * A member of a consumer group that owns partitions of one compacted topic and runs background work over each. The group
 * decides who owns what, and the transactional producers see to it that this holds. With an input topic the owner of a
 * partition also reads the input partition of that number (input-feed.ts); without one no record is consumed.
 *
 * W1 a partition kept across a rebalance keeps running, undisturbed
 * W2 a partition lost is let go; should it come back, it is owned anew only after that (runner-set.ts)
 * W3 the owned topic is read by each owner for itself, up to its barrier; without an input every partition stays paused
 * W4 the lease runs from the last heartbeat that was accepted since the last rebalance (lease.ts); during one there is none
 */
import { CodedError } from '../base/errors.ts';
import { closeWorker } from './closing.ts';
import { Lease } from './lease.ts';
import { partitionOfKey } from './murmur2.ts';
import type { OwnedPartition } from './owned-partition.ts';
import {
  type OwnedPartitionHealth,
  OwnerRunner,
  type OwnerRunnerObserver,
  type OwnerSettings,
} from './owner-runner.ts';
import type { GroupMember, Log, PartitionReader, TopicDescription, TopicPartition } from './port.ts';
import { RunnerSet } from './runner-set.ts';
import { shardAssigner } from './shards.ts';

export type { CommitStats, OwnedPartition } from './owned-partition.ts';
export type { OwnedPartitionHealth, OwnerSettings } from './owner-runner.ts';

export interface OwnerWorkerOptions {
  readonly log: Log;
  readonly clientId: string;
  readonly settings: OwnerSettings & { readonly sessionTimeoutMs: number };
  /**
   * Runs until `owned.signal` aborts and settles soon after. A rejection with a CodedError has the partition reopened, or
   * stopped when it is fatal; any other rejection is a crash.
   */
  readonly serve: (owned: OwnedPartition) => Promise<void>;
  readonly observer: OwnerObserver;
  readonly random: () => number;
  readonly uniqueId: () => string;
}

/** What the worker tells its surroundings; each call must return at once. */
export interface OwnerObserver extends OwnerRunnerObserver {
  assigned(epoch: number, partitions: readonly number[]): void;
}

export interface OwnerWorkerHealth {
  readonly epoch: number;
  /** Milliseconds since the last accepted heartbeat was sent; null before the first. */
  readonly heartbeatAgeMs: number | null;
  readonly partitions: readonly OwnedPartitionHealth[];
  /** Assigned, heartbeats accepted, and every partition running. */
  readonly ready: boolean;
}

export class OwnerWorker {
  readonly #options: OwnerWorkerOptions;
  readonly #reader: PartitionReader;
  readonly #partitionCount: number;
  readonly #runners = new RunnerSet<OwnerRunner>();
  readonly #lease: Lease;
  /** An assignment may arrive while `log.group` is still settling; runners wait for the member. */
  readonly #joined = Promise.withResolvers<void>();
  #member: GroupMember | undefined;
  #epoch = 0;
  #heartbeatAtMs: number | null = null;
  #closing = false;

  private constructor(options: OwnerWorkerOptions, reader: PartitionReader, partitionCount: number) {
    this.#options = options;
    this.#reader = reader;
    this.#partitionCount = partitionCount;
    this.#lease = new Lease({ clock: options.log.clock, sessionTimeoutMs: options.settings.sessionTimeoutMs });
  }

  /** Resolves when the member has joined; assignments follow by themselves. */
  static async start(options: OwnerWorkerOptions): Promise<OwnerWorker> {
    const { log, clientId, settings } = options;
    const { topic } = settings;
    const [described] = await log.admin.describeTopics([topic]);
    if (described === undefined) throw new CodedError('topic_invalid', `The topic ${topic} does not exist`, { topic });
    if (settings.inputTopic !== undefined) await assertTwins(log, settings.inputTopic, described);
    const reader = await log.reader({ clientId: `${clientId}-restore`, topics: [topic] });
    const worker = new OwnerWorker(options, reader, described.partitions);
    try {
      worker.#member = await worker.#join();
    } catch (error) {
      worker.#closing = true;
      await reader.close().catch(() => undefined); // the cause matters
      throw error;
    }
    worker.#joined.resolve();
    return worker;
  }

  get health(): OwnerWorkerHealth {
    const { log, settings } = this.#options;
    const partitions = this.#runners.values().map((runner) => runner.health);
    const heartbeatAgeMs = this.#heartbeatAtMs === null ? null : log.clock.nowMs() - this.#heartbeatAtMs;
    return {
      epoch: this.#epoch,
      heartbeatAgeMs,
      partitions,
      ready:
        this.#epoch > 0 &&
        heartbeatAgeMs !== null &&
        heartbeatAgeMs < settings.sessionTimeoutMs &&
        partitions.every((partition) => partition.phase === 'running'),
    };
  }

  /** Which partition a key belongs to, as the log places it. */
  partitionOf(key: string): number {
    return partitionOfKey(Buffer.from(key), this.#partitionCount);
  }

  /** Every `serve` is told and settles, then the member leaves (closing.ts); nothing new is started. */
  async close(): Promise<void> {
    this.#closing = true;
    const { sessionTimeoutMs } = this.#options.settings;
    const { heartbeatAgeMs } = this.health;
    const [runners, member, reader] = [this.#runners, this.#member, this.#reader];
    await closeWorker({ runners, member, reader, heartbeatAgeMs, sessionTimeoutMs });
  }

  #join(): Promise<GroupMember> {
    const { log, settings, observer } = this.#options;
    const { groupId, sessionTimeoutMs, inputTopic, fetchDelayMs } = settings;
    const topic = inputTopic ?? settings.topic;
    return log.group({
      groupId,
      topics: [topic],
      assigner: shardAssigner(topic, this.#partitionCount),
      sessionTimeoutMs,
      ...(fetchDelayMs === undefined ? {} : { fetchDelayMs }),
      listener: {
        assigned: (partitions, epoch) => this.#assigned(partitions, epoch),
        rebalancing: () => this.#lease.lapse(),
        heartbeat: (_epoch, atMs) => {
          this.#heartbeatAtMs = atMs;
          this.#lease.renew(atMs);
          this.#runners.heartbeat(atMs);
        },
        records: (batch) => this.#runners.get(batch.partition)?.records(batch),
        crashed: (error) => {
          if (!this.#closing) observer.crashed(error);
        },
      },
    });
  }

  #assigned(assigned: readonly TopicPartition[], epoch: number): void {
    if (this.#closing) return;
    this.#epoch = epoch;
    const partitions = assigned.map(({ partition }) => partition);
    const kept = this.#runners.assign(partitions, (partition, after) => this.#start(partition, after));
    for (const runner of kept) runner.reassigned();
    this.#options.observer.assigned(epoch, partitions);
  }

  #start(partition: number, after: Promise<void> | undefined): OwnerRunner {
    const { log, settings, serve, observer, random, uniqueId } = this.#options;
    return new OwnerRunner(
      {
        log,
        reader: this.#reader,
        partition,
        partitionOf: (key) => this.partitionOf(key),
        member: () => this.#member as GroupMember,
        leaseUntilMs: () => this.#lease.untilMs,
        settings,
        serve,
        observer,
        random,
        uniqueId,
      },
      Promise.all([this.#joined.promise, after]),
    );
  }
}

/** Partition p of the one is the twin of partition p of the other. */
async function assertTwins(log: Log, inputTopic: string, { name, partitions }: TopicDescription): Promise<void> {
  const [input] = await log.admin.describeTopics([inputTopic]);
  if (input?.partitions === partitions) return;
  const message = `${inputTopic} and ${name} must exist and have equal partition counts`;
  throw new CodedError('topic_invalid', message, { topic: inputTopic, partitions: input?.partitions ?? 0 });
}
