/** The conformance suite's harness on a real broker. What the port cannot do (dying, deleting) goes through KafkaJS itself. */
import { randomUUID } from 'node:crypto';
import { type Admin, Kafka, logLevel, type Message } from 'kafkajs';
import { inject } from 'vitest';
import { realClock } from '../../src/base/clock.ts';
import { openKafkaLog } from '../../src/kafka/kafkajs/index.ts';
import type { Append, Log, TopicPartition } from '../../src/kafka/port.ts';
import type { LogHarness } from './harness.ts';
import { FollowRecorder } from './recorders.ts';

const WAIT_MS = 20_000;
const POLL_MS = 10;
const SEGMENT_MS = 1_000;
const COMPACTION = {
  'cleanup.policy': 'compact',
  'segment.ms': String(SEGMENT_MS),
  'min.cleanable.dirty.ratio': '0.01',
  'delete.retention.ms': '0',
};

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** From the test setup, else from the environment. */
export function brokersOfThisRun(): readonly string[] {
  const brokers = (inject('kafkaBrokers' as never) as string | undefined) ?? process.env['KAFKA_BROKERS'];
  if (brokers === undefined) throw new Error('no broker: neither the test setup nor KAFKA_BROKERS names one');
  return brokers.split(',');
}

/** One broker for all tests of a file. */
export class KafkaBench {
  readonly #brokers: readonly string[];
  readonly #kafka: Kafka;
  readonly #admin: Admin;
  readonly #prefix = `contract-${randomUUID().slice(0, 8)}`;
  readonly #names: string[] = [];

  private constructor(brokers: readonly string[]) {
    this.#brokers = brokers;
    this.#kafka = new Kafka({
      brokers: [...brokers],
      clientId: this.#prefix,
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 20, retries: 20 },
    });
    this.#admin = this.#kafka.admin();
  }

  static async open(): Promise<KafkaBench> {
    const bench = new KafkaBench(brokersOfThisRun());
    await bench.#admin.connect();
    return bench;
  }

  async harness(): Promise<LogHarness> {
    const logs: Log[] = [];
    const connect = () => {
      const settings = { brokers: this.#brokers, clientId: `${this.#prefix}-${logs.length}` };
      const log = openKafkaLog({ settings, logger: silent });
      logs.push(log);
      return log;
    };
    const log = connect();
    return {
      log,
      connect: async () => connect(),
      unique: (name) => {
        const unique = `${this.#prefix}-${this.#names.length}-${name}`;
        this.#names.push(unique);
        return unique;
      },
      until,
      leaveOpen: (transaction) => this.#leaveOpen(transaction),
      compactedTopic: (name) => ({ name, partitions: 1, config: COMPACTION }),
      compact: (partition) => this.#compact(log, partition),
      deleteRecordsBefore: (partition, offset) => this.#deleteRecordsBefore(partition, offset),
      close: async () => {
        await Promise.all(logs.map((one) => one.close()));
      },
    };
  }

  async close(): Promise<void> {
    const existing = new Set(await this.#admin.listTopics());
    await this.#admin.deleteTopics({ topics: this.#names.filter((name) => existing.has(name)) });
    await this.#admin.disconnect();
  }

  /** A new client each time: KafkaJS finds leaders only for topics it has just been asked about. */
  async #deleteRecordsBefore({ topic, partition }: TopicPartition, offset: number): Promise<void> {
    const admin = this.#kafka.admin();
    await admin.connect();
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
    await admin.disconnect();
  }

  async #leaveOpen({ transactionalId, appends, offsets }: Parameters<LogHarness['leaveOpen']>[0]): Promise<void> {
    const producer = this.#kafka.producer({ transactionalId, transactionTimeout: 60_000, maxInFlightRequests: 1 });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.sendBatch({
      topicMessages: appends.map((append) => ({ topic: append.topic, messages: [message(append)] })),
    });
    if (offsets !== undefined) {
      await transaction.sendOffsets({
        consumerGroupId: offsets.groupId,
        topics: offsets.offsets.map(({ topic, partition, offset }) => ({
          topic,
          partitions: [{ partition, offset: String(offset) }],
        })),
      });
    }
    // Only the connection goes: the broker keeps the transaction open, as after a crash.
    await producer.disconnect();
  }

  /** The cleaner leaves the active segment alone, so a record from the near future rolls it; then it is a matter of time. */
  async #compact(log: Log, at: TopicPartition): Promise<void> {
    const { high } = await log.admin.watermarks(at);
    const producer = await log.producer({ clientId: 'roller' });
    const rollMs = Date.now() + 2 * SEGMENT_MS;
    await producer.append([{ ...at, key: Buffer.from('roller'), value: Buffer.from('rolls'), timestampMs: rollMs }]);
    const deadlineMs = Date.now() + WAIT_MS;
    for (let probe = 0; ; probe += 1) {
      const value = `probe ${probe}`;
      await producer.append([{ ...at, key: Buffer.from('roller'), value: Buffer.from(value), timestampMs: rollMs }]);
      const reader = await log.reader({ clientId: 'cleaner-probe', topics: [at.topic] });
      const ears = new FollowRecorder(reader, at);
      await until('the probe is read', () => ears.values.at(-1) === value);
      await reader.close();
      const keys = ears.records.filter((record) => record.offset < high).map((record) => record.key?.toString());
      if (new Set(keys).size === keys.length) break;
      if (Date.now() > deadlineMs) throw new Error('the cleaner has not run in time');
    }
    await producer.close();
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + WAIT_MS;
  while (!condition()) {
    if (Date.now() > deadlineMs) throw new Error(`waited in vain: ${what}`);
    await realClock.sleep(POLL_MS);
  }
}

function message({ key, value, partition }: Append): Message {
  return { key, value, ...(partition === undefined ? {} : { partition }) };
}
