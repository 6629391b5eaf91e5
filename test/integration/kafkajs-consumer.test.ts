/** Traps of KafkaJS's consumers, on a real broker. What both logs must do is in the conformance suite. */
import kafkajs from 'kafkajs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Logger, openKafkaLog } from '../../src/kafka/kafkajs/index.ts';
import type { Append, Assigner, GroupListener, RecordBatch, TopicPartition } from '../../src/kafka/port.ts';
import { API, brokerFaults, ERROR } from '../support/broker-faults.ts';
import { kafkaBrokers, openTestLog, silentLogger, waitFor } from '../support/log-fixtures.ts';

const SESSION_TIMEOUT_MS = 6_000;

const everything: Assigner = (memberIds, topics) => {
  const all = [...topics].flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  );
  return new Map(memberIds.map((memberId, index) => [memberId, index === 0 ? all : []]));
};

/** A listener that remembers; `onRecords` runs first and may throw. */
class Ears implements GroupListener {
  readonly values: string[] = [];
  readonly epochs: number[] = [];
  readonly crashes: unknown[] = [];
  readonly rebalances: number[] = [];
  heartbeats = 0;
  partitions: readonly TopicPartition[] = [];
  onRecords: (batch: RecordBatch) => void = () => {};

  assigned(partitions: readonly TopicPartition[], epoch: number): void {
    this.partitions = partitions;
    this.epochs.push(epoch);
  }
  rebalancing(epoch: number): void {
    this.rebalances.push(epoch);
  }
  heartbeat(): void {
    this.heartbeats += 1;
  }
  records(batch: RecordBatch): void {
    this.onRecords(batch);
    this.values.push(...batch.records.map(({ value }) => String(value)));
  }
  crashed(error: unknown): void {
    this.crashes.push(error);
  }
}

async function setUp({ partitions = 1, logger = silentLogger }: { partitions?: number; logger?: Logger } = {}) {
  const { log, prefix } = openTestLog();
  const topic = `${prefix}in`;
  await log.admin.createTopics([{ name: topic, partitions, config: {} }]);
  const producer = await log.producer({ clientId: 'writer' });
  const write = (values: readonly string[], partition = 0) =>
    producer.append(values.map((value): Append => ({ topic, partition, key: null, value: Buffer.from(value) })));
  const ears = new Ears();
  /** Joins through a log of its own. */
  const join = async () => {
    const settings = { brokers: kafkaBrokers(), clientId: `${prefix}member`, requestTimeoutMs: 3_000 };
    const own = openKafkaLog({ settings, logger });
    onTestFinished(() => own.close());
    return own.group({
      groupId: `${prefix}group`,
      topics: [topic],
      assigner: everything,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      listener: ears,
    });
  };
  return { log, topic, prefix, write, ears, join };
}

describe('KafkaJS consumers', () => {
  it('a TypeError in a handler is told once, holds its partition, and kills nothing', async () => {
    const { topic, write, ears, join } = await setUp({ partitions: 2 });
    await write(['poison', 'more'], 0);
    let broken = true;
    ears.onRecords = ({ partition }) => {
      if (broken && partition === 0) (undefined as unknown as { no: () => void }).no();
    };
    const member = await join();
    for (const partition of ears.partitions) {
      member.seek(partition, 0);
      member.resume(partition);
    }
    await waitFor(() => ears.crashes.length > 0, { message: 'the crash to be told' });
    await write(['still alive'], 1);
    await waitFor(() => ears.values.includes('still alive'), { message: 'records of the other partition' });
    const heartbeatsThen = ears.heartbeats;
    await waitFor(() => ears.heartbeats > heartbeatsThen, { message: 'another heartbeat' });
    expect(ears.crashes).toEqual([expect.objectContaining({ code: 'log_fatal', cause: expect.any(TypeError) })]);
    expect(ears.values).toEqual(['still alive']);
    expect(ears.epochs).toEqual([1]);

    broken = false; // nothing was skipped
    member.resume({ topic, partition: 0 });
    await waitFor(() => ears.values.length === 3, { message: 'the held records' });
    expect(ears.values).toEqual(['still alive', 'poison', 'more']);
  });

  it('a resumed partition is seen at once, though KafkaJS sleeps while all are paused', async () => {
    const { topic, write, ears, join } = await setUp();
    const member = await join();
    const delaysMs: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      await write([`round ${round}`]);
      const resumedAtMs = performance.now();
      member.resume({ topic, partition: 0 });
      await waitFor(() => ears.values.length === round + 1, { message: 'the record', everyMs: 5 });
      delaysMs.push(performance.now() - resumedAtMs);
      member.pause({ topic, partition: 0 });
    }
    // The quickest of five, because other tests share the machine; KafkaJS's own setting would make each of them 5 s.
    expect(Math.min(...delaysMs)).toBeLessThan(300);
    expect(Math.max(...delaysMs)).toBeLessThan(3_000);
  });

  it('a lost broker means a new client, a new assignment, and no record lost', async () => {
    const { topic, write, ears, join } = await setUp();
    const faults = brokerFaults();
    const member = await join();
    member.resume({ topic, partition: 0 });
    await write(['before']);
    await waitFor(() => ears.values.includes('before'), { message: 'the record before' });
    faults.cut();
    await waitFor(() => ears.rebalances.length > 0, { message: 'the loss to be told', deadlineMs: 40_000 });
    const valuesAtLoss = ears.values.length;
    faults.mend();
    await waitFor(() => ears.epochs.length > 1, { message: 'a new assignment', deadlineMs: 40_000 });
    expect(ears.epochs).toEqual([1, 2]);
    await write(['after']);
    expect(ears.values).toHaveLength(valuesAtLoss); // paused again
    member.seek({ topic, partition: 0 }, 1);
    member.resume({ topic, partition: 0 });
    await waitFor(() => ears.values.includes('after'), { message: 'the record after', deadlineMs: 30_000 });
    expect(ears.values).toEqual(['before', 'after']);
    expect(ears.crashes).toEqual([]);
  });

  it('a connection that goes silent is given up after a session timeout, not after minutes of request timeouts', async () => {
    const { topic, write, ears, join } = await setUp();
    const faults = brokerFaults();
    await join();
    await waitFor(() => ears.heartbeats > 0, { message: 'a heartbeat' });
    const silentSinceMs = performance.now();
    faults.decide(() => 'lose');
    await waitFor(() => ears.rebalances.length > 0, { message: 'the loss to be told', deadlineMs: 30_000 });
    expect(performance.now() - silentSinceMs).toBeLessThan(2 * SESSION_TIMEOUT_MS);
    faults.decide(() => 'pass');
    await waitFor(() => ears.epochs.length > 1, { message: 'a new assignment', deadlineMs: 40_000 });
    await write(['after']);
    expect(ears.partitions).toEqual([{ topic, partition: 0 }]);
    expect(ears.crashes).toEqual([]);
  });

  it('a group coordinator that is not there yet, as on a fresh broker, is waited for', async () => {
    const told: string[] = [];
    const tell = (fields: object, message: string) => void told.push(`${message} ${JSON.stringify(fields)}`);
    const { topic, write, ears, join } = await setUp({ logger: { ...silentLogger, warn: tell, error: tell } });
    const faults = brokerFaults();
    let refused = 0;
    faults.decide((apiKey) => {
      if (apiKey !== API.findCoordinator || refused >= 12) return 'pass';
      refused += 1;
      return { error: ERROR.coordinatorNotAvailable, at: 4 };
    });
    const member = await join();
    expect(refused).toBe(12);
    await write(['value']);
    member.resume({ topic, partition: 0 });
    await waitFor(() => ears.values.length === 1, { message: 'the record' });
    expect(ears.crashes).toEqual([]);
    expect(told).toEqual([]);
  });

  it('a record in a codec we do not read is a coded, fatal error and no crash loop', async () => {
    const { topic, ears, join } = await setUp();
    await appendSnappy(topic, 'from another producer');
    const member = await join();
    member.resume({ topic, partition: 0 });
    await waitFor(() => ears.crashes.length > 0, { message: 'the crash to be told' });
    expect(ears.crashes).toEqual([expect.objectContaining({ code: 'codec_unsupported', disposition: 'fatal' })]);
    expect(ears.epochs).toEqual([1]);
  });

  it('a member of a topic that does not exist is refused', async () => {
    const { log, prefix } = await setUp();
    const options = { groupId: `${prefix}other`, assigner: everything, sessionTimeoutMs: SESSION_TIMEOUT_MS };
    const listener = new Ears();
    const opening = log.group({ ...options, topics: [`${prefix}nowhere`], listener });
    await expect(opening).rejects.toMatchObject({ code: 'topic_invalid' });
    expect(listener.epochs).toEqual([]);
    expect(listener.crashes).toEqual([]);
  });
});

/** One record as a Java client with compression.type=snappy writes it (xerial framing around literal snappy blocks). */
async function appendSnappy(topic: string, value: string): Promise<void> {
  const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
  const unreadable = CompressionCodecs[CompressionTypes.Snappy];
  CompressionCodecs[CompressionTypes.Snappy] = () => ({
    compress: async ({ buffer }: { buffer: Buffer }) => xerial(buffer),
    decompress: async (buffer: Buffer) => buffer,
  });
  const producer = new Kafka({ brokers: [...kafkaBrokers()], logLevel: logLevel.NOTHING }).producer({
    createPartitioner: () => () => 0,
  });
  try {
    await producer.connect();
    await producer.send({ topic, compression: CompressionTypes.Snappy, messages: [{ value }] });
  } finally {
    CompressionCodecs[CompressionTypes.Snappy] = unreadable;
    await producer.disconnect();
  }
}

function xerial(bytes: Buffer): Buffer {
  if (bytes.length > 60) throw new RangeError('One literal of at most 60 bytes is all this writes');
  const block = Buffer.concat([Buffer.from([bytes.length, (bytes.length - 1) << 2]), bytes]);
  // Magic, version 1, compatible with version 1.
  const header = Buffer.concat([Buffer.from('\x82SNAPPY\0', 'latin1'), Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])]);
  const length = Buffer.alloc(4);
  length.writeInt32BE(block.length);
  return Buffer.concat([header, length, block]);
}
