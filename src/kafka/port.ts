/**
 * The log port: everything the rest of the house may ask of Kafka.
 *
 * Two implementations stand side by side, `kafkajs/` (a real broker) and `memory/` (deterministic, virtual clock);
 * `test/contract/log.contract.ts` runs one conformance suite over both. Nothing outside `src/kafka` imports kafkajs.
 *
 * Vocabulary: a *record* is what a topic partition holds; an *append* is a record to be written; a *shard* is a fixed
 * set of partitions that are always assigned together and share one transactional.id.
 */
import type { Clock } from '../base/clock.ts';

export type { Clock };

/** Header values as bytes; a name appears once (the last one wins on read). */
export type Headers = Readonly<Record<string, Buffer>>;

/** One record as read from a partition. `offset` fits a JavaScript number (2^53). */
export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Headers;
  /** CreateTime or LogAppendTime, milliseconds since the epoch. */
  readonly timestampMs: number;
}

/** One record to be written. Without `partition` it is murmur2(key) modulo the partition count, as in Java. */
export interface Append {
  readonly topic: string;
  readonly partition?: number;
  /** Never exactly four bytes long: KafkaJS takes such a key for a transaction marker (kafkajs trap, see docs). */
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, Buffer | string>>;
  readonly timestampMs?: number;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** `offset` is the next offset to read, as Kafka commits it. */
export interface CommitOffset extends TopicPartition {
  readonly offset: number;
}

export interface Watermarks {
  /** First offset still in the log. */
  readonly low: number;
  /** Offset the next append will get (not the last stable offset). */
  readonly high: number;
}

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  /** Absent = the broker's default. */
  readonly replicationFactor?: number;
  /** Topic configuration, Kafka's own names (`cleanup.policy`, `retention.ms`, …). */
  readonly config: Readonly<Record<string, string>>;
}

export interface TopicDescription {
  readonly name: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
}

export interface LogAdmin {
  /** Creates what is missing, leaves what exists untouched; resolves when every topic has leaders. Returns the names created. */
  createTopics(specs: readonly TopicSpec[]): Promise<readonly string[]>;
  /** Topics that exist among `names` (all topics when absent). */
  describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]>;
  deleteTopics(names: readonly string[]): Promise<void>;
  /** Only ever grows; throws LogError `topic_invalid` when asked to shrink. */
  growPartitions(name: string, partitions: number): Promise<void>;
  /** Sets exactly these keys, keeping the other overrides of the topic. */
  alterConfig(name: string, config: Readonly<Record<string, string>>): Promise<void>;
  watermarks(partition: TopicPartition): Promise<Watermarks>;
  /** First offset of which the record is of this time or later; the end of the partition where there is none. */
  offsetSince(partition: TopicPartition, timestampMs: number): Promise<number>;
  /** Committed next offsets of a consumer group; null where none is committed. Fence the writer first (no require_stable). */
  committed(groupId: string, partitions: readonly TopicPartition[]): Promise<readonly (number | null)[]>;
  /** Moves a group's offsets; the group must have no running members. */
  commit(groupId: string, offsets: readonly CommitOffset[]): Promise<void>;
}

/** Plain producer for ingest: no transaction, acks=all. */
export interface LogProducer {
  /** Resolves when all replicas in sync have the records. One call = one request; never call again before it settles. */
  append(records: readonly Append[]): Promise<void>;
  close(): Promise<void>;
}

export interface ProducerOptions {
  readonly clientId: string;
  /** Encode, compress and send on a thread of its own: for a caller whose own thread is the bottleneck. */
  readonly ownThread?: boolean;
}

export interface Transaction {
  readonly appends: readonly Append[];
  readonly offsets?: { readonly groupId: string; readonly offsets: readonly CommitOffset[] };
}

/**
 * Transactional producer. Opening it fences every earlier holder of the same transactional.id and completes (commits or
 * aborts) that holder's transaction, so what is read after opening is final.
 */
export interface TransactionalProducer {
  /**
   * All of it or nothing. After any rejection the producer is spent: close it and open another.
   * Rejects with LogError `fenced` (another owner), `commit_unknown` (may or may not have happened) or
   * `log_unavailable` (certainly not committed).
   */
  commit(transaction: Transaction): Promise<void>;
  close(): Promise<void>;
}

export interface TransactionalOptions {
  readonly transactionalId: string;
  readonly transactionTimeoutMs: number;
}

/** Records of one partition, ascending offsets, gaps allowed (compaction, transaction markers). */
export interface RecordBatch extends TopicPartition {
  readonly records: readonly LogRecord[];
}

export interface GroupListener {
  /**
   * The group gave this member a new assignment. Synchronous, and before the first fetch of the new generation: every
   * assigned partition starts paused; call `seek` and `resume` once its session is open. `epoch` grows by one each time.
   * The first call may come before `group()` has resolved.
   */
  assigned(partitions: readonly TopicPartition[], epoch: number): void;
  /** A rebalance has begun: start no new work; the next call is `assigned`. */
  rebalancing(epoch: number): void;
  /** The coordinator accepted a heartbeat sent at `atMs` in generation `epoch`: at that time the assignment was ours. */
  heartbeat(epoch: number, atMs: number): void;
  /**
   * Records of a resumed partition. Must not throw and must return at once; to slow down, `pause` the partition. Should it
   * throw all the same, `crashed` is told, the partition is paused with the batch unread, and the other partitions go on.
   */
  records(batch: RecordBatch): void;
  /** The member is gone for good (fatal client error). The process should exit non-zero. */
  crashed(error: unknown): void;
}

/** Decides who owns what: returns for each member id the partitions it gets. Pure. */
export type Assigner = (
  memberIds: readonly string[],
  topics: ReadonlyMap<string, number>,
) => ReadonlyMap<string, readonly TopicPartition[]>;

export interface GroupOptions {
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly assigner: Assigner;
  readonly sessionTimeoutMs: number;
  readonly listener: GroupListener;
  /** Most bytes fetched per partition and request. */
  readonly maxBytesPerPartition?: number;
  /** Longest wait for company before records are handed over; for who is in no hurry. Default: none. */
  readonly fetchDelayMs?: number;
}

export interface GroupMember {
  seek(partition: TopicPartition, offset: number): void;
  pause(partition: TopicPartition): void;
  resume(partition: TopicPartition): void;
  /** Leaves the group; no listener call follows. */
  close(): Promise<void>;
}

export interface Follow {
  /** No callback follows once it resolves. */
  stop(): Promise<void>;
}

export interface FollowOptions extends TopicPartition {
  /** First offset wanted; lower than the log start means from the log start. */
  readonly fromOffset: number;
  readonly records: (batch: RecordBatch) => void;
  /**
   * Whatever can be read below `nextOffset` has been handed over. It tells the end from a silence: the last offsets of a
   * partition are seldom records (a transaction's marker, an aborted one). May be left out after compaction.
   */
  readonly passed?: (nextOffset: number) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Reads single partitions from any offset, read_committed, without a visible consumer group of ours.
 * A caller that must know "caught up" writes a barrier record and waits for it (see session.ts).
 */
export interface PartitionReader {
  /** One follow per partition at a time; one whose `records` throws has ended and is told through `failed`. */
  follow(options: FollowOptions): Follow;
  close(): Promise<void>;
}

export interface Log {
  readonly clock: Clock;
  readonly admin: LogAdmin;
  producer(options: ProducerOptions): Promise<LogProducer>;
  transactional(options: TransactionalOptions): Promise<TransactionalProducer>;
  group(options: GroupOptions): Promise<GroupMember>;
  /** `topics`: those this reader may be asked to follow. */
  reader(options: { readonly clientId: string; readonly topics: readonly string[] }): Promise<PartitionReader>;
  /** Closes everything opened through this log; collects and reports close errors. */
  close(): Promise<void>;
}
