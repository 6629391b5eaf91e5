/**
 * Reads single partitions. KafkaJS has no `assign()`, so the reader is the only member of a private group that gets every
 * partition of its topics, all paused; following one is a seek and a resume.
 *
 * F1 a follow gets each visible record at or after its offset once, in order, across rebalances and replaced clients
 * F2 after stop() no callback of that follow comes; a callback that throws ends its follow and no other
 */
import { randomUUID } from 'node:crypto';
import { CodedError } from '../../base/errors.ts';
import type { Follow, FollowOptions, LogRecord, PartitionReader, TopicPartition } from '../port.ts';
import { everythingToOne, kafkaAssigner } from './assigner.ts';
import { type ConsumerEvents, ManagedConsumer } from './consumer.ts';
import type { ClientOptions } from './settings.ts';

/** Restores want large fetches, yet one fetch is decoded in one go and must not hold the event loop for long. */
const MAX_BYTES_PER_PARTITION = 2_097_152;
const MAX_BYTES = 8_388_608;
const SESSION_TIMEOUT_MS = 15_000;
const HEARTBEAT_INTERVAL_MS = 1_500;

export interface ReaderOptions {
  readonly client: ClientOptions;
  readonly topics: readonly string[];
  /** Forgets the private group once it is empty; best effort. */
  readonly deleteGroup: (groupId: string) => Promise<void>;
}

interface Following extends FollowOptions {
  position: number;
}

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

export class KafkaReader implements PartitionReader, ConsumerEvents {
  readonly #options: ReaderOptions;
  readonly #groupId: string;
  readonly #follows = new Map<string, Following>();
  #consumer: ManagedConsumer | undefined;
  #gone: CodedError | undefined;
  #closed = false;

  private constructor(options: ReaderOptions) {
    this.#options = options;
    this.#groupId = `${options.client.settings.clientId}-reader-${randomUUID()}`;
  }

  static async open(options: ReaderOptions): Promise<KafkaReader> {
    const reader = new KafkaReader(options);
    reader.#consumer = await ManagedConsumer.start({
      client: options.client,
      groupId: reader.#groupId,
      isPrivate: true,
      topics: options.topics,
      assigner: kafkaAssigner(everythingToOne),
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
      maxBytesPerPartition: MAX_BYTES_PER_PARTITION,
      maxBytes: MAX_BYTES,
      events: reader,
    });
    return reader;
  }

  follow(options: FollowOptions): Follow {
    const key = keyOf(options);
    if (this.#closed) throw new CodedError('shutting_down', 'The reader is closed');
    if (this.#gone !== undefined) throw this.#gone;
    if (!this.#options.topics.includes(options.topic)) {
      throw new CodedError('topic_invalid', `The reader was not opened for topic ${options.topic}`, { key });
    }
    if (this.#follows.has(key)) throw new TypeError(`${key} is already followed by this reader`);
    const following = { ...options, position: options.fromOffset };
    this.#follows.set(key, following);
    if (this.#consumer?.joined === true) this.#begin(following);
    return {
      stop: async () => {
        this.#end(following);
      },
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#follows.clear();
    await this.#consumer?.close();
    // Only the present group, and best effort: a group without offsets goes by itself once its member is missed.
    const groupId = this.#consumer?.groupId;
    if (groupId !== undefined) await this.#options.deleteGroup(groupId).catch(() => undefined);
  }

  joined(): void {
    // During start() the consumer is not ours yet and nothing can be followed.
    for (const following of [...this.#follows.values()]) this.#begin(following);
  }

  rebalancing(): void {}

  heartbeat(): void {}

  records(topic: string, partition: number, records: LogRecord[]): void {
    const following = this.#follows.get(keyOf({ topic, partition }));
    const last = records.at(-1);
    if (following === undefined || last === undefined) return;
    const { position } = following;
    const first = records[0] as LogRecord;
    const wanted = first.offset >= position ? records : records.filter(({ offset }) => offset >= position);
    if (wanted.length === 0) return;
    following.position = last.offset + 1;
    try {
      following.records({ topic, partition, records: wanted });
    } catch (error) {
      this.#end(following);
      following.failed(error);
    }
  }

  passed(topic: string, partition: number, from: number, to: number): void {
    const following = this.#follows.get(keyOf({ topic, partition }));
    // From further on than we are: of a fetch before a seek, or of a log with gaps.
    if (following === undefined || from > following.position || to <= following.position) return;
    following.position = to;
    following.passed?.(to);
  }

  positionReset(topic: string, partition: number): void {
    const following = this.#follows.get(keyOf({ topic, partition }));
    if (following !== undefined) following.position = 0; // what is there now is all there is
  }

  gone(error: CodedError): void {
    this.#gone = error;
    const follows = [...this.#follows.values()];
    this.#follows.clear();
    for (const { failed } of follows) failed(error);
  }

  handlerFailed(partition: TopicPartition, error: unknown): void {
    this.#follows.get(keyOf(partition))?.failed(error);
  }

  #begin(following: Following): void {
    const { topic, partition } = following;
    if (this.#consumer?.isAssigned(following) !== true) {
      this.#end(following);
      following.failed(
        new CodedError('topic_invalid', `Topic ${topic} has no partition ${partition}`, { topic, partition }),
      );
      return;
    }
    this.#consumer.seek(following, following.position);
    this.#consumer.resume(following);
  }

  #end(following: Following): void {
    const key = keyOf(following);
    if (this.#follows.get(key) !== following) return;
    this.#follows.delete(key);
    this.#consumer?.pause(following);
  }
}
