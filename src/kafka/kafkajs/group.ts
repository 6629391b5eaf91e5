/** A member of a consumer group, on KafkaJS. What KafkaJS needs to be kept upright for this is in consumer.ts. */
import { CodedError } from '../../base/errors.ts';
import type { GroupListener, GroupMember, GroupOptions, TopicPartition } from '../port.ts';
import { kafkaAssigner } from './assigner.ts';
import { type ConsumerEvents, ManagedConsumer } from './consumer.ts';
import { messageOf } from './failures.ts';
import type { ClientOptions } from './settings.ts';

const DEFAULT_MAX_BYTES_PER_PARTITION = 1_048_576;
const MAX_BYTES = 10_485_760;
const MAX_HEARTBEAT_INTERVAL_MS = 1_000;
/** Heartbeats go out often: what they prove (the assignment was ours) is only as fresh as the last one. */
const HEARTBEATS_PER_SESSION = 10;

/** Turns consumer events into listener calls, with the epoch of each. */
class Membership implements ConsumerEvents {
  readonly #listener: GroupListener;
  readonly #client: ClientOptions;
  readonly #groupId: string;
  #epoch = 0;
  #crashed = false;

  constructor(options: GroupOptions, client: ClientOptions) {
    this.#listener = options.listener;
    this.#groupId = options.groupId;
    this.#client = client;
  }

  joined(partitions: readonly TopicPartition[]): void {
    this.#epoch += 1;
    this.#listener.assigned(partitions, this.#epoch);
  }

  rebalancing(): void {
    this.#listener.rebalancing(this.#epoch);
  }

  heartbeat(atMs: number): void {
    this.#listener.heartbeat(this.#epoch, atMs);
  }

  records(topic: string, partition: number, records: Parameters<ConsumerEvents['records']>[2]): void {
    this.#listener.records({ topic, partition, records });
  }

  positionReset(topic: string, partition: number): void {
    const fields = { groupId: this.#groupId, topic, partition };
    this.#client.logger.error(
      fields,
      'The position of a group is no longer in the log; records were lost to retention',
    );
  }

  gone(error: CodedError): void {
    this.#crash(error);
  }

  handlerFailed({ topic, partition }: TopicPartition, cause: unknown): void {
    const detail = { groupId: this.#groupId, topic, partition };
    const message = `The listener threw on records: ${messageOf(cause)}`;
    this.#client.logger.error({ ...detail, error: messageOf(cause) }, 'A group listener threw; its partition is held');
    this.#crash(new CodedError('log_fatal', message, detail, { cause }));
  }

  #crash(error: CodedError): void {
    if (this.#crashed) return;
    this.#crashed = true;
    this.#listener.crashed(error);
  }
}

/** Resolves when the group has been joined; `assigned` is called before that. */
export async function openGroup(options: GroupOptions, client: ClientOptions): Promise<GroupMember> {
  const { groupId, topics, sessionTimeoutMs } = options;
  const intervalMs = Math.min(MAX_HEARTBEAT_INTERVAL_MS, Math.floor(sessionTimeoutMs / HEARTBEATS_PER_SESSION));
  return ManagedConsumer.start({
    client,
    groupId,
    topics,
    assigner: kafkaAssigner(options.assigner),
    sessionTimeoutMs,
    heartbeatIntervalMs: intervalMs,
    maxBytesPerPartition: options.maxBytesPerPartition ?? DEFAULT_MAX_BYTES_PER_PARTITION,
    maxBytes: MAX_BYTES,
    fetchDelayMs: options.fetchDelayMs,
    events: new Membership(options, client),
  });
}
