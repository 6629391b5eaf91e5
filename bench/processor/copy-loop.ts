/**
 * The yardstick: a KafkaJS loop that copies records exactly-once and does nothing else. Transactions as large as ours,
 * one transactional producer for each partition, all partitions at once, the same codec and retry times, Buffers
 * throughout. It keeps no state, parses nothing, and survives nothing: what it does is the least Kafka asks of anyone.
 *
 * env: KAFKA_BROKERS, SOURCE, TARGET, GROUP, BATCH_RECORDS
 */
import kafkajs, { type Kafka, type Producer } from 'kafkajs';
import { registerCodecs } from '../../src/kafka/kafkajs/codecs.ts';

const { CompressionTypes, Kafka: KafkaClient, logLevel } = kafkajs;
const env = process.env as Record<'KAFKA_BROKERS' | 'SOURCE' | 'TARGET' | 'GROUP' | 'BATCH_RECORDS', string>;
const maxRecords = Number(env.BATCH_RECORDS);

registerCodecs();
const client = (initialRetryTime: number): Kafka =>
  new KafkaClient({
    clientId: 'copy-loop',
    brokers: env.KAFKA_BROKERS.split(','),
    logLevel: logLevel.ERROR,
    retry: { initialRetryTime, maxRetryTime: 300, multiplier: 1.5, retries: 25 },
  });

const producers = new Map<number, Promise<Producer>>();

async function openProducer(partition: number): Promise<Producer> {
  const producer = client(3).producer({
    transactionalId: `${env.GROUP}-${partition}`,
    transactionTimeout: 15_000,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
  });
  await producer.connect();
  return producer;
}

const consumer = client(20).consumer({
  groupId: env.GROUP,
  maxWaitTimeInMs: 50,
  maxBytesPerPartition: 1024 * 1024,
});
await consumer.connect();
await consumer.subscribe({ topic: env.SOURCE, fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachBatchAutoResolve: false,
  partitionsConsumedConcurrently: 64,
  eachBatch: async ({ batch: { partition, messages }, resolveOffset, heartbeat }) => {
    const opening = producers.get(partition) ?? openProducer(partition);
    producers.set(partition, opening);
    const producer = await opening;
    for (let from = 0; from < messages.length; from += maxRecords) {
      const part = messages.slice(from, from + maxRecords);
      const last = part.at(-1)?.offset ?? '0';
      const transaction = await producer.transaction();
      await transaction.send({
        topic: env.TARGET,
        acks: -1,
        compression: CompressionTypes.ZSTD,
        messages: part.map(({ key, value, timestamp, headers = {} }) => ({
          partition,
          key,
          value,
          timestamp,
          headers,
        })),
      });
      const offset = String(BigInt(last) + 1n);
      await transaction.sendOffsets({
        consumerGroupId: env.GROUP,
        topics: [{ topic: env.SOURCE, partitions: [{ partition, offset }] }],
      });
      await transaction.commit();
      resolveOffset(last);
      await heartbeat();
    }
  },
});
process.on('SIGTERM', () => process.exit(0));
