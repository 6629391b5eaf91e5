/**
 * The readers verify relies on, against a real broker: they must not see what was aborted or is still open, and must
 * give every byte as it was written. Runs for each reader this machine has; a machine without an independent one fails.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openReader } from '../../../../src/app/verify/readers/open.ts';
import {
  type KafkaAccess,
  READER_NAMES,
  type ReaderItem,
  type ReaderName,
  type ReadRecord,
  type TopicReader,
} from '../../../../src/app/verify/readers/reader.ts';
import { realClock } from '../../../../src/base/clock.ts';
import { hasCode } from '../../../../src/base/errors.ts';
import type { Append, Log, LogProducer } from '../../../../src/kafka/port.ts';
import type { LogHarness } from '../../../contract/harness.ts';
import { brokersOfThisRun, KafkaBench } from '../../../contract/kafkajs-harness.ts';

const DEADLINE_MS = 30_000;

const access: KafkaAccess = { brokers: brokersOfThisRun(), ssl: false };
let bench: KafkaBench;
let harness: LogHarness;
let log: Log;

beforeAll(async () => {
  bench = await KafkaBench.open();
  harness = await bench.harness();
  log = harness.log;
});
afterAll(async () => {
  await harness?.close();
  await bench?.close();
});

const present: ReaderName[] = [];
for (const name of READER_NAMES) if (await isPresent(name)) present.push(name);

async function isPresent(name: ReaderName): Promise<boolean> {
  if (name === 'kafkajs') return true;
  try {
    await (await openReader({ reader: name, access, topics: [], clock: realClock })).close();
    return true;
  } catch (error) {
    if (hasCode(error, 'reader_unavailable')) return false;
    throw error;
  }
}

test('an independent reader is at hand, and auto takes it', async () => {
  expect(present.filter((name) => name !== 'kafkajs')).not.toEqual([]);
  const reader = await openReader({
    reader: 'auto',
    access,
    topics: [],
    clock: realClock,
    openLog: () => harness.connect(),
  });
  await reader.close();
  expect(reader.name).toBe(present[0]);
  expect(reader.endIsProven).toBe(true);
});

/** Collects until the condition holds; every wait has the same deadline. */
class Collector {
  readonly items: ReaderItem[] = [];
  readonly #reader: TopicReader;
  readonly #done: Promise<void>;
  #failure: unknown = null;

  constructor(reader: TopicReader) {
    this.#reader = reader;
    this.#done = this.#collect().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  async #collect(): Promise<void> {
    for await (const batch of this.#reader.items) this.items.push(...batch);
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const deadlineMs = Date.now() + DEADLINE_MS;
    while (!condition()) {
      if (this.#failure !== null) throw this.#failure;
      if (Date.now() > deadlineMs) throw new Error(`waited in vain: ${what}; got ${this.items.length} items`);
      await realClock.sleep(10);
    }
  }

  records(partition: number): ReadRecord[] {
    return this.items.filter((item) => item.kind === 'record').filter((item) => item.partition === partition);
  }

  atEnd(partition: number): boolean {
    const last = this.items.findLast((item) => 'partition' in item && item.partition === partition);
    return last?.kind === 'end';
  }

  async close(): Promise<void> {
    await this.#reader.close();
    await this.#done;
    if (this.#failure !== null) throw this.#failure;
  }
}

const open = (reader: ReaderName, topics: readonly { name: string; headersOnly: boolean }[]) =>
  openReader({ reader, access, topics, clock: realClock, openLog: () => harness.connect() });

/** What would break a careless framing: line breaks, percent signs, our own frame header, zero and non-UTF-8 bytes. */
const NASTY: readonly (Buffer | null)[] = [
  Buffer.from('R topic 0 0 0 1 1\nab\n'),
  Buffer.from('% Reached end of topic x [0] at offset 5\n'),
  Buffer.from([0, 1, 2, 10, 13, 37, 255, 254, 128, 0]),
  Buffer.alloc(0),
  null,
  randomBytes(200_000),
];

function shape(record: ReadRecord) {
  return { key: record.key?.toString('hex') ?? null, value: record.value?.toString('hex') ?? null };
}
function written(append: Append) {
  return { key: append.key?.toString('hex') ?? null, value: append.value?.toString('hex') ?? null };
}

/** librdkafka cannot tell an empty key from none in its text output, nor can anyone in ours need it: keys are never empty. */
const at = (topic: string, partition: number, value: Buffer | null): Append => ({
  topic,
  partition,
  key: Buffer.from(`k\n%${randomUUID()}`),
  value,
});

async function commit(transactionalId: string, appends: readonly Append[]): Promise<void> {
  const producer = await log.transactional({ transactionalId, transactionTimeoutMs: 10_000 });
  await producer.commit({ appends });
  await producer.close();
}

async function topicOf(name: string, partitions: number): Promise<string> {
  const topic = harness.unique(name);
  await log.admin.createTopics([{ name: topic, partitions, config: {} }]);
  return topic;
}

describe.each(present)('%s', (name) => {
  test('gives committed records whole and in order, aborted ones never, open ones not yet', async () => {
    const topic = await topicOf(`reader-${name}`, 2);
    const first = NASTY.map((value) => at(topic, 0, value));
    const aborted = NASTY.map((value) => at(topic, 0, value));
    const second = [at(topic, 0, Buffer.from('after')), at(topic, 1, Buffer.from('before the open one'))];
    const unfinished = [at(topic, 1, Buffer.from('open'))];
    const behind = [at(topic, 1, Buffer.from('behind the open one'))];
    await commit(`${topic}-a`, first);
    await harness.leaveOpen({ transactionalId: `${topic}-b`, appends: aborted });
    await commit(`${topic}-b`, second); // opening it aborts what its earlier holder left
    await harness.leaveOpen({ transactionalId: `${topic}-c`, appends: unfinished });
    await commit(`${topic}-d`, behind);

    const collector = new Collector(await open(name, [{ name: topic, headersOnly: false }]));
    try {
      await collector.until('both partitions at their end', () => collector.atEnd(0) && collector.atEnd(1));
      expect(collector.items.filter((item) => item.kind === 'topic')).toEqual([
        { kind: 'topic', topic, partitions: 2 },
      ]);
      expect(collector.records(0).map(shape)).toEqual([...first, ...second.slice(0, 1)].map(written));
      expect(collector.records(1).map(shape)).toEqual(second.slice(1).map(written));

      await commit(`${topic}-c`, [at(topic, 1, Buffer.from('last'))]);
      await collector.until('what was behind the open transaction', () => collector.records(1).length === 3);
      const values = collector.records(1).map((record) => record.value?.toString());
      expect(values).toEqual(['before the open one', 'behind the open one', 'last']);
      await collector.until('the end again', () => collector.atEnd(0) && collector.atEnd(1));
      const offsets = collector.records(0).map((record) => record.offset);
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
      expect(offsets[6]).toBeGreaterThan(5 + aborted.length);
    } finally {
      await collector.close();
    }
  });

  test('waits for a topic that does not exist yet, reads headers alone where asked, stamps arrivals', async () => {
    const topic = harness.unique(`late-${name}`);
    const collector = new Collector(await open(name, [{ name: topic, headersOnly: true }]));
    let producer: LogProducer | undefined;
    try {
      await collector.until('it is known not to exist', () => collector.items.length > 0);
      expect(collector.items).toEqual([{ kind: 'topic', topic, partitions: 0 }]);
      await log.admin.createTopics([{ name: topic, partitions: 1, config: {} }]);
      await collector.until('its end', () => collector.atEnd(0));
      producer = await log.producer({ clientId: 'reader-test' });
      const sentAtMs = Date.now();
      const headers = { connection: 'cn_a', error_message: 'a,connection=cn_z\n"é' };
      await producer.append([{ ...at(topic, 0, Buffer.from('x')), headers }]);
      await collector.until('the record', () => collector.records(0).length === 1);
      const [record] = collector.records(0);
      expect(record).toMatchObject({ headers, key: null, value: null, offset: 0 });
      expect(record?.arrivalMs).toBeGreaterThanOrEqual(sentAtMs);
      expect(record?.arrivalMs).toBeLessThanOrEqual(Date.now());
      expect(collector.items.filter((item) => item.kind === 'topic').length).toBe(2);
    } finally {
      await collector.close();
      await producer?.close();
    }
  });
});
