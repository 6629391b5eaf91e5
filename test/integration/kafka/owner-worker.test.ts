/** Ownership on a real broker: what only the broker's fencing, its groups and its markers can show (O1, O2, L1, W1). */
import { expect, onTestFinished, test } from 'vitest';
import { Ownership } from '../../../src/kafka/owned-partition.ts';
import { type OwnedPartition, OwnerWorker } from '../../../src/kafka/owner-worker.ts';
import type { Log } from '../../../src/kafka/port.ts';
import { openTestLog, waitFor } from '../../support/log-fixtures.ts';
import { changes, stateOf, untilAborted } from '../../support/owner-house.ts';

const PARTITIONS = 2;

async function setUp() {
  const { log, prefix, connect } = openTestLog();
  const [topic, out] = [`${prefix}cursors`, `${prefix}out`];
  await log.admin.createTopics([
    { name: topic, partitions: PARTITIONS, config: { 'cleanup.policy': 'compact' } },
    { name: out, partitions: 1, config: {} },
  ]);
  const settings = {
    groupId: `${prefix}group`,
    topic,
    sessionTimeoutMs: 10_000,
    transactionTimeoutMs: 15_000,
    restoreStallMs: 10_000,
    stateMaxBytes: 2 ** 20,
    retryMinMs: 50,
    retryMaxMs: 500,
  };
  const crashes: unknown[] = [];
  const failures: string[] = [];
  let ids = 0;

  async function join(name: string) {
    const served: OwnedPartition[] = [];
    const worker = await OwnerWorker.start({
      log: connect(),
      clientId: name,
      settings,
      serve: (owned) => {
        served.push(owned);
        return untilAborted(owned.signal);
      },
      random: Math.random,
      uniqueId: () => `barrier-${ids++}`,
      observer: {
        assigned: () => undefined,
        opened: () => undefined,
        committed: () => undefined,
        failed: (partition, error, next) => failures.push(`${name}/${partition} ${error.code} ${next}`),
        crashed: (error) => crashes.push(error),
      },
    });
    onTestFinished(() => worker.close());
    const owned = (partition: number) => served.findLast((one) => one.partition === partition) as OwnedPartition;
    return { worker, served, owned };
  }

  /** An owner that asks no group: what a process is that slept through its eviction. */
  async function seize(partition: number): Promise<Ownership> {
    const log = connect();
    const reader = await log.reader({ clientId: 'seize', topics: [topic] });
    return Ownership.open({
      ...settings,
      log,
      reader,
      partition,
      partitionOf: () => partition,
      barrierId: `seized-${ids++}`,
      signal: new AbortController().signal,
      leaseUntilMs: () => 0,
      committed: () => undefined,
    });
  }

  const append = (value: string) => ({ topic: out, partition: 0, key: null, value: Buffer.from(value) });
  return { log, out, join, seize, append, crashes, failures };
}

/** What a reader of committed records sees up to and including `last`. */
async function visible(log: Log, topic: string, last: string): Promise<readonly string[]> {
  const reader = await log.reader({ clientId: 'visible', topics: [topic] });
  const values: string[] = [];
  reader.follow({
    topic,
    partition: 0,
    fromOffset: 0,
    records: ({ records }) => values.push(...records.map(({ value }) => String(value))),
    failed: (error) => expect.fail(String(error)),
  });
  await waitFor(() => values.includes(last), { message: `the record ${last}` });
  await reader.close();
  return values;
}

const total = (...workers: readonly OwnerWorker[]) => workers.flatMap(({ health }) => health.partitions).length;
const ready = (...workers: readonly OwnerWorker[]) =>
  waitFor(() => total(...workers) === PARTITIONS && workers.every(({ health }) => health.ready), {
    message: 'every partition owned and running',
    deadlineMs: 40_000,
  });

test('a zombie is fenced: its commit is refused whole, and the owner does not notice', async () => {
  const { log, out, join, seize, append, crashes, failures } = await setUp();
  const zombie = await seize(0);
  await zombie.commit([append('1')], changes({ n: '1' }));
  const { worker, owned } = await join('owner');
  await ready(worker);
  expect(stateOf(owned(0))).toEqual(['n=1']);
  await owned(0).commit([append('2')], changes({ n: '2', gone: 'soon' }));
  await owned(0).commit([], changes({ gone: null }));
  await expect(zombie.commit([append('never')], changes({ n: 'never' }))).rejects.toMatchObject({ code: 'fenced' });
  expect(zombie.signal.aborted).toBe(true);
  expect(stateOf(zombie)).toEqual(['n=1']);
  await zombie.close();
  await owned(0).commit([append('3')], changes({ n: '3' }));
  expect(await visible(log, out, '3')).toEqual(['1', '2', '3']);
  expect([failures, crashes]).toEqual([[], []]);
});

test('an owner that is fenced although its heartbeats are accepted takes its partition back, with what was done since', async () => {
  const { log, out, join, seize, append, crashes, failures } = await setUp();
  const { worker, owned, served } = await join('owner');
  await ready(worker);
  const before = owned(1);
  const usurper = await seize(1);
  await usurper.commit([append('1')], changes({ n: '1' }));
  await expect(before.commit([append('never')], changes({ n: 'never' }))).rejects.toMatchObject({ code: 'fenced' });
  await waitFor(() => owned(1) !== before && worker.health.ready, { message: 'the partition taken back' });
  expect(stateOf(owned(1))).toEqual(['n=1']);
  await expect(usurper.commit([append('nor this')], changes({}))).rejects.toMatchObject({ code: 'fenced' });
  await usurper.close();
  await owned(1).commit([append('2')], changes({ n: '2' }));
  expect(await visible(log, out, '2')).toEqual(['1', '2']);
  expect(failures).toEqual(['owner/1 fenced suspend']);
  expect(served.filter(({ partition }) => partition === 0)).toHaveLength(1);
  expect(crashes).toEqual([]);
});

test('W1, W2: a second worker takes over a partition with its state while the other one runs on', async () => {
  const { join, crashes, failures } = await setUp();
  const first = await join('first');
  await ready(first.worker);
  for (const partition of [0, 1]) await first.owned(partition).commit([], changes({ writer: `first-${partition}` }));
  const second = await join('second');
  await waitFor(() => second.worker.health.partitions.length === 1, { message: 'a share', deadlineMs: 40_000 });
  await ready(first.worker, second.worker);
  const [kept] = first.worker.health.partitions.map(({ partition }) => partition) as [number];
  const lost = 1 - kept;
  expect([first.owned(kept).signal.aborted, first.owned(lost).signal.aborted]).toEqual([false, true]);
  expect(first.served).toHaveLength(2);
  expect(stateOf(second.owned(lost))).toEqual([`writer=first-${lost}`]);
  await first.owned(kept).commit([], changes({ writer: 'still the first' }));
  await second.worker.close();
  await ready(first.worker);
  expect(first.served).toHaveLength(3);
  expect([failures, crashes]).toEqual([[], []]);
});
