/** Traps of KafkaJS's transactions, on a real broker. What both logs must do is in the conformance suite. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openKafkaLog } from '../../src/kafka/kafkajs/index.ts';
import type { Log, Transaction, TransactionalProducer } from '../../src/kafka/port.ts';
import { API, brokerFaults, ERROR, type Fate } from '../support/broker-faults.ts';
import { kafkaBrokers, openTestLog, waitFor } from '../support/log-fixtures.ts';

const TRANSACTION_TIMEOUT_MS = 3_000;

async function setUp() {
  const { log, prefix } = openTestLog();
  const topic = `${prefix}out`;
  const groupId = `${prefix}group`;
  await log.admin.createTopics([{ name: topic, partitions: 1, config: {} }]);
  const options = { transactionalId: `${prefix}holder`, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS };
  const input = { topic: `${prefix}out`, partition: 0 };
  const transaction = (value: string, offset: number): Transaction => ({
    appends: [{ topic, partition: 0, key: Buffer.from('key'), value: Buffer.from(value) }],
    offsets: { groupId, offsets: [{ ...input, offset }] },
  });
  /** For certain only after a fence: a commit is answered before its marker has reached the offsets. */
  const committed = async () => (await log.admin.committed(groupId, [input]))[0];
  const fence = async () => void (await log.transactional(options));
  return { log, topic, options, transaction, committed, fence };
}

/** What a reader of committed records sees up to and including `last`. */
async function visible(log: Log, topic: string, last: string): Promise<string[]> {
  const reader = await log.reader({ clientId: 'visible', topics: [topic] });
  const values: string[] = [];
  const failures: unknown[] = [];
  reader.follow({
    topic,
    partition: 0,
    fromOffset: 0,
    records: ({ records }) => values.push(...records.map(({ value }) => String(value))),
    failed: (error) => failures.push(error),
  });
  await waitFor(() => values.includes(last), { message: `the record ${last}` });
  await reader.close();
  expect(failures).toEqual([]);
  return values;
}

/** A holder whose requests meet faults; its log is a process of its own and short of patience. */
async function faultyHolder(options: Parameters<Log['transactional']>[0], log?: Log) {
  const faults = brokerFaults();
  const settings = { brokers: kafkaBrokers(), clientId: 'faulty', requestTimeoutMs: 2_000 };
  const own = log ?? openKafkaLog({ settings, logger: { debug() {}, info() {}, warn() {}, error() {} } });
  onTestFinished(() => own.close());
  return { faults, holder: await own.transactional(options) };
}

const on = (wanted: number, fate: Fate) => (apiKey: number) => (apiKey === wanted ? fate : 'pass');

async function expectSpent(holder: TransactionalProducer, transaction: Transaction): Promise<void> {
  await expect(holder.commit(transaction)).rejects.toMatchObject({ code: 'log_unavailable' });
}

describe('KafkaJS transactions', () => {
  it('a commit whose answer is lost is commit_unknown, and the next opening finds it done', async () => {
    const { log, topic, options, transaction, committed } = await setUp();
    const { faults, holder } = await faultyHolder(options);
    faults.decide(on(API.endTransaction, 'loseAnswer'));
    await expect(holder.commit(transaction('done', 5))).rejects.toMatchObject({ code: 'commit_unknown' });
    await expectSpent(holder, transaction('after', 6));
    await holder.close();
    faults.decide(() => 'pass');

    const next = await log.transactional(options);
    expect(await committed()).toBe(5);
    await next.commit(transaction('next', 7));
    expect(await visible(log, topic, 'next')).toEqual(['done', 'next']);
  });

  it('a commit that is lost is commit_unknown too, and the next opening finds nothing of it', async () => {
    const { log, topic, options, transaction, committed } = await setUp();
    const { faults, holder } = await faultyHolder(options);
    await holder.commit(transaction('before', 3));
    faults.decide(on(API.endTransaction, 'lose'));
    await expect(holder.commit(transaction('undone', 5))).rejects.toMatchObject({ code: 'commit_unknown' });
    await expectSpent(holder, transaction('after', 6));
    faults.decide(() => 'pass');

    // The spent holder is still there, as after a SIGSTOP: opening fences it and aborts its transaction.
    const next = await log.transactional(options);
    expect(await committed()).toBe(3);
    await next.commit(transaction('next', 7));
    expect(await visible(log, topic, 'next')).toEqual(['before', 'next']);
    await holder.close();
  });

  it('a send that is never answered is log_unavailable: certainly not committed', async () => {
    const { log, topic, options, transaction, committed } = await setUp();
    const { faults, holder } = await faultyHolder(options);
    faults.decide(on(API.produce, 'loseAnswer'));
    await expect(holder.commit(transaction('undone', 5))).rejects.toMatchObject({ code: 'log_unavailable' });
    faults.decide(() => 'pass');
    await holder.close();

    const next = await log.transactional(options);
    expect(await committed()).toBeNull();
    await next.commit(transaction('next', 7));
    expect(await visible(log, topic, 'next')).toEqual(['next']);
  });

  it('closing after a failed send aborts, so readers do not wait for the transaction timeout', async () => {
    const { log, topic, options, transaction } = await setUp();
    const { faults, holder } = await faultyHolder({ ...options, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS });
    const other = await log.transactional({ ...options, transactionalId: `${options.transactionalId}-other` });
    await holder.commit(transaction('before', 1));
    faults.decide(on(API.produce, 'loseAnswer'));
    await expect(holder.commit(transaction('undone', 5))).rejects.toMatchObject({ code: 'log_unavailable' });
    faults.decide(() => 'pass');
    await other.commit({ appends: transaction('other', 0).appends });
    await holder.close();
    expect(await visible(log, topic, 'other')).toEqual(['before', 'other']);
  });

  it('a zombie is fenced, and none of its records become visible', async () => {
    const { log, topic, options, transaction, committed } = await setUp();
    const zombie = await log.transactional(options);
    await zombie.commit(transaction('old', 1));
    const owner = await log.transactional(options);
    await expect(zombie.commit(transaction('zombie', 2))).rejects.toMatchObject({ code: 'fenced' });
    expect(await committed()).toBe(1);
    await owner.commit(transaction('new', 3));
    expect(await visible(log, topic, 'new')).toEqual(['old', 'new']);
    await zombie.close();
  });

  it('transactions of offsets only follow one another without a pause', async () => {
    const { log, options, transaction, committed, fence } = await setUp();
    const holder = await log.transactional(options);
    for (let offset = 1; offset <= 30; offset += 1) {
      const { offsets } = transaction('', offset);
      await holder.commit({ appends: [], ...(offsets === undefined ? {} : { offsets }) });
    }
    await fence();
    expect(await committed()).toBe(30);
  });

  it('a transaction that comes too soon after the last tries again in milliseconds, not in the 300 of KafkaJS', async () => {
    const { topic, options, transaction } = await setUp();
    const { faults, holder } = await faultyHolder(options);
    // Where the answer of AddPartitionsToTxn names the outcome of its first partition.
    const at = 4 + 4 + (2 + topic.length) + 4 + 4;
    let asked = 0;
    faults.decide((apiKey) => {
      if (apiKey !== API.addPartitionsToTransaction) return 'pass';
      asked += 1;
      return asked % 3 === 0 ? 'pass' : { error: ERROR.concurrentTransactions, at };
    });
    const timers = vi.spyOn(globalThis, 'setTimeout');
    for (let offset = 1; offset <= 10; offset += 1) await holder.commit(transaction(`value ${offset}`, offset));
    const waitsMs = timers.mock.calls.map(([, ms]) => ms ?? 0);
    expect(asked).toBe(30);
    expect(waitsMs.filter((ms) => ms > 0 && ms < 20).length).toBeGreaterThanOrEqual(20);
    // Deadlines are longer.
    expect(waitsMs.filter((ms) => ms >= 100 && ms <= 1_000)).toEqual([]);
  });

  it('coordinators are asked for once, and again when one says that it is none any more', async () => {
    const { options, transaction, committed, fence } = await setUp();
    const { faults, holder } = await faultyHolder(options);
    let asked = 0;
    let refused = 0;
    const count = (apiKey: number): Fate => {
      if (apiKey === API.findCoordinator) asked += 1;
      return 'pass';
    };
    faults.decide(count);
    for (let offset = 1; offset <= 10; offset += 1) await holder.commit(transaction(`value ${offset}`, offset));
    expect(asked).toBeLessThanOrEqual(1); // that of the group; that of transactions is known from the opening
    faults.decide((apiKey) => {
      if (apiKey !== API.addOffsetsToTransaction || refused > 0) return count(apiKey);
      refused += 1;
      return { error: ERROR.notCoordinator, at: 4 };
    });
    const before = asked;
    await holder.commit(transaction('moved', 11));
    expect(refused).toBe(1);
    expect(asked).toBeGreaterThan(before);
    faults.decide(() => 'pass');
    await fence();
    expect(await committed()).toBe(11);
  });

  it('coordinators that are not there yet, as on a fresh broker, are waited for', async () => {
    const { options, transaction } = await setUp();
    const faults = brokerFaults();
    const settings = { brokers: kafkaBrokers(), clientId: 'early' };
    const errors: string[] = [];
    const error = (fields: object, message: string) => void errors.push(`${message} ${JSON.stringify(fields)}`);
    const log = openKafkaLog({ settings, logger: { debug() {}, info() {}, warn: error, error } });
    onTestFinished(() => log.close());
    // The last byte of the request is the kind of coordinator: 0 = of a group, 1 = of transactions.
    const refused = [0, 0];
    faults.decide((apiKey, request) => {
      const kind = request.at(-1) as number;
      if (apiKey !== API.findCoordinator || (refused[kind] as number) >= 12) return 'pass';
      refused[kind] = (refused[kind] as number) + 1;
      return { error: ERROR.coordinatorNotAvailable, at: 4 };
    });
    const holder = await log.transactional(options);
    await holder.commit(transaction('value', 1));
    expect(refused).toEqual([12, 12]);
    await holder.commit(transaction('value', 2));
    expect(errors).toEqual([]);
  });
});

it('regression: what a transaction brings a partition was one batch, which the broker refused above max.message.bytes', async () => {
  const { log, topic, options, transaction, committed, fence } = await setUp();
  await log.admin.alterConfig(topic, { 'max.message.bytes': '2162688' });
  const holder = await log.transactional(options);
  const { offsets } = transaction('', 9) as Required<Transaction>;
  const texts = ['a', 'b', 'c', 'd'].map((name) => `${name}${randomBytes(750_000).toString('base64')}`);
  const appends = texts.map((text) => ({ topic, partition: 0, key: Buffer.from('key'), value: Buffer.from(text) }));
  await holder.commit({ appends, offsets });
  await fence();
  expect(await committed()).toBe(9);
  const seen = await visible(log, topic, texts[3] as string);
  expect(seen.map((text) => texts.indexOf(text))).toEqual([0, 1, 2, 3]);
});
