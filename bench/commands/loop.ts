/**
 * The yardstick: a KafkaJS consumer that makes the same calls in the order of each key, up to 100 at once, with undici, and
 * nothing else: no ledger, no policy, no reading back. With RECEIPTS each fetched batch ends with one transaction of a receipt
 * for each command and the offset; without it the offset alone is committed then.
 *
 * env: KAFKA_BROKERS, SOURCE, GROUP, STUB_URL, RECEIPTS (a topic), SESSION_TIMEOUT_MS
 */
import kafkajs, { type EachBatchPayload, type KafkaMessage, type Producer } from 'kafkajs';
import { Pool } from 'undici';
import { createCommandType } from '../../src/fibric/commands/avro.ts';
import { registerCodecs } from '../../src/kafka/kafkajs/codecs.ts';

const { CompressionTypes, Kafka, logLevel } = kafkajs;
const env = process.env as Record<'KAFKA_BROKERS' | 'SOURCE' | 'GROUP' | 'STUB_URL', string>;
const receipts = process.env['RECEIPTS'];
const MOST_CALLS = 100;
const WIRE_HEADER_BYTES = 5;

registerCodecs();
const client = (initialRetryTime: number) =>
  new Kafka({
    clientId: 'bench-loop',
    brokers: env.KAFKA_BROKERS.split(','),
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime, maxRetryTime: 300, multiplier: 1.5, retries: 25 },
  });
const commandType = createCommandType();
const pool = new Pool(env.STUB_URL, { connections: MOST_CALLS, pipelining: 1 });
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

let free = MOST_CALLS;
const waiting: (() => void)[] = [];
const give = () => {
  const next = waiting.shift();
  if (next === undefined) free += 1;
  else next();
};

interface Command {
  readonly command_id: string;
  readonly args: Readonly<Record<string, { readonly conversation_id: string; readonly body: string }>>;
}

async function call({ value }: KafkaMessage): Promise<string> {
  const { command_id, args } = commandType.fromBuffer(
    (value as Buffer).subarray(WIRE_HEADER_BYTES),
  ) as unknown as Command;
  const [note] = Object.values(args);
  if (note === undefined) throw new Error('no arguments');
  if (free > 0) free -= 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path: `/v1/conversations/${note.conversation_id}/notes`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ body: note.body, externalId: command_id }),
    });
    await body.json();
    if (statusCode !== 201) throw new Error(`answered ${statusCode}`);
    return command_id;
  } finally {
    give();
  }
}

/** In the order of each key, all keys at once. */
async function callAll(messages: readonly KafkaMessage[]): Promise<readonly string[]> {
  const last = new Map<string, Promise<unknown>>();
  return Promise.all(
    messages.map((message) => {
      const key = String(message.key);
      const done = (last.get(key) ?? Promise.resolve()).then(() => call(message));
      last.set(key, done);
      return done;
    }),
  );
}

async function leave(partition: number, done: readonly string[], offset: string): Promise<void> {
  const opening = producers.get(partition) ?? openProducer(partition);
  producers.set(partition, opening);
  const transaction = await (await opening).transaction();
  await transaction.send({
    topic: receipts as string,
    acks: -1,
    compression: CompressionTypes.ZSTD,
    messages: done.map((id) => ({ key: id, value: JSON.stringify({ command_id: id, outcome: 'applied' }) })),
  });
  const topics = [{ topic: env.SOURCE, partitions: [{ partition, offset }] }];
  await transaction.sendOffsets({ consumerGroupId: env.GROUP, topics });
  await transaction.commit();
}

const consumer = client(20).consumer({
  groupId: env.GROUP,
  maxWaitTimeInMs: 50,
  sessionTimeout: Number(process.env['SESSION_TIMEOUT_MS'] ?? 15_000),
});
await consumer.connect();
await consumer.subscribe({ topic: env.SOURCE, fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachBatchAutoResolve: false,
  partitionsConsumedConcurrently: 64,
  eachBatch: async ({ batch: { partition, messages }, resolveOffset, heartbeat }: EachBatchPayload) => {
    const last = messages.at(-1)?.offset ?? '0';
    const offset = String(BigInt(last) + 1n);
    const done = await callAll(messages);
    if (receipts !== undefined) await leave(partition, done, offset);
    else await consumer.commitOffsets([{ topic: env.SOURCE, partition, offset }]);
    resolveOffset(last);
    await heartbeat();
  },
});
process.on('SIGTERM', () => process.exit(0));
