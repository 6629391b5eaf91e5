/** R4, R6 and the backoff of the shard runner alone: the group member is a stand-in, so heartbeats come only when the test says so. */
import { expect, test } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import { HEADER } from '../../../src/kafka/headers.ts';
import { createMemoryLog, type MemoryLog, VirtualClock } from '../../../src/kafka/memory/index.ts';
import type { LogRecord } from '../../../src/kafka/port.ts';
import type { LostRange } from '../../../src/kafka/session.ts';
import { ShardRunner, type ShardSettings } from '../../../src/kafka/shard-runner.ts';
import { transactionalId } from '../../../src/kafka/shards.ts';
import type { StreamTask } from '../../../src/kafka/task.ts';
import { countingTask } from '../../support/counting-task.ts';

const record = (offset: number): LogRecord => ({
  topic: 'raw',
  partition: 0,
  offset,
  key: Buffer.from('key-a'),
  value: Buffer.from('v'),
  headers: {},
  timestampMs: 0,
});

/** What every batch of it needs is never there. */
const NOT_NOW: StreamTask = {
  prepare: () => Promise.reject(new CodedError('log_unavailable', 'not now')),
  decide: () => [],
};

interface Setup {
  readonly task: StreamTask;
  readonly settings?: Partial<ShardSettings>;
  /** Told when the runner has set its position, as the group member would be. */
  readonly sought?: (house: { runner: ShardRunner; clock: VirtualClock }) => void;
  readonly prepare?: (log: MemoryLog, clock: VirtualClock) => Promise<void>;
}

/** A runner of one partition with a stand-in for the group member, which says nothing by itself. */
async function running({ task, settings = {}, sought, prepare }: Setup) {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock });
  const topics = ['raw', 'state', 'out'].map((name) => ({ name, partitions: 1, config: {} }));
  await clock.run(log.admin.createTopics(topics));
  await prepare?.(log, clock);
  const reader = await clock.run(log.reader({ clientId: 'r', topics: ['state'] }));
  const failures: string[] = [];
  const lost: LostRange[] = [];
  let opens = 0;
  const nothing = () => undefined;
  const seek = () => sought?.({ runner, clock });
  const runner: ShardRunner = new ShardRunner({
    log,
    reader,
    member: () => ({ seek, pause: nothing, resume: nothing, close: async () => undefined }),
    task,
    shard: 0,
    partitions: [0],
    settings: {
      groupId: 'g',
      topic: 'raw',
      stateTopic: 'state',
      maxBatchRecords: 10,
      paceMs: 0,
      maxQueuedRecords: 10,
      transactionTimeoutMs: 15_000,
      restoreStallMs: 10_000,
      stateMaxBytes: 2 ** 20,
      stateRetentionMs: 86_400_000,
      retryMinMs: 50,
      retryMaxMs: 1000,
      ...settings,
    },
    observer: {
      opened: nothing,
      lost: (_shard, range) => lost.push(range),
      committed: nothing,
      failed: (_shard, error, next) => failures.push(`${error.code}:${next}`),
      crashed: (_shard, error) => expect.fail(String(error)),
    },
    random: () => 0.5,
    uniqueId: () => `b${opens++}`,
  });
  await clock.runUntil(() => runner.health.phase === 'running');
  return { clock, log, runner, failures, lost };
}

test('R4: a fenced shard fences back only after a heartbeat sent later was accepted', async () => {
  const { clock, log, runner, failures } = await running({ task: countingTask('out') });
  const beforeMs = clock.nowMs();
  await clock.advance(1000);
  const rightfulOwner = await clock.run(
    log.transactional({ transactionalId: transactionalId('g', 'raw', 0), transactionTimeoutMs: 15_000 }),
  );
  runner.records({ topic: 'raw', partition: 0, records: [record(0)] });
  await clock.advance(60_000);
  expect(failures).toEqual(['fenced:suspend']);
  expect(runner.health.phase).toBe('suspended');

  runner.heartbeat(beforeMs); // sent before the fencing: proves nothing
  await clock.advance(60_000);
  expect(runner.health.phase).toBe('suspended');
  await clock.run(
    rightfulOwner.commit({ appends: [{ topic: 'out', key: null, value: Buffer.from('still the owner') }] }),
  );

  runner.heartbeat(clock.nowMs());
  await clock.runUntil(() => runner.health.phase === 'running');
  runner.stop();
  await clock.run(runner.done);
  expect(runner.health.phase).toBe('stopped');
  expect(failures).toEqual(['fenced:suspend']);
});

test('regression: a shard that opened well and failed at every batch was reopened without backing off', async () => {
  const { clock, runner, failures } = await running({
    task: NOT_NOW,
    settings: { retryMinMs: 100, retryMaxMs: 5_000 },
    sought: ({ runner, clock }) => {
      void clock.sleep(1).then(() => runner.records({ topic: 'raw', partition: 0, records: [record(0)] }));
    },
  });
  await clock.advance(60_000);
  // Between half of 100, 200, … 3,200 ms and the whole, then every few seconds.
  expect(failures.length).toBeGreaterThan(5);
  expect(failures.length).toBeLessThan(24);
  runner.stop();
  await clock.run(runner.done);
});

test('regression R6: a tenant topic being created held up the shutdown', async () => {
  const waiting = Promise.withResolvers<void>();
  let asked = false;
  const task: StreamTask = {
    prepare: () => {
      asked = true;
      return waiting.promise;
    },
    decide: () => expect.fail('decided after the stop'),
  };
  const { clock, runner, failures } = await running({ task });
  runner.records({ topic: 'raw', partition: 0, records: [record(0)] });
  await clock.runUntil(() => asked);
  const stoppedAtMs = clock.nowMs();
  runner.stop();
  await clock.run(runner.done);
  expect(clock.nowMs() - stoppedAtMs).toBeLessThan(100);
  expect(runner.health.phase).toBe('stopped');
  waiting.reject(new CodedError('log_unavailable', 'too late to matter'));
  await clock.advance(1000);
  expect(failures).toEqual([]);
});

test('S6: lost records are told once, however often the shard is opened before it commits', async () => {
  const prepare = async (log: MemoryLog, clock: VirtualClock) => {
    const producer = await clock.run(log.producer({ clientId: 'feed' }));
    for (let i = 0; i < 6; i++) {
      await clock.run(producer.append([{ topic: 'raw', partition: 0, key: null, value: Buffer.from(`${i}`) }]));
    }
    await clock.run(log.admin.commit('g', [{ topic: 'raw', partition: 0, offset: 1 }]));
    log.deleteRecordsBefore({ topic: 'raw', partition: 0 }, 3);
  };
  const { clock, log, runner, failures, lost } = await running({ task: NOT_NOW, prepare });
  const reopen = async () => {
    runner.records({ topic: 'raw', partition: 0, records: [record(5)] });
    const before = failures.length;
    await clock.runUntil(() => failures.length > before);
    await clock.runUntil(() => runner.health.phase === 'running');
  };
  await reopen();
  expect(lost).toEqual([{ partition: 0, from: 1, to: 3 }]);
  log.deleteRecordsBefore({ topic: 'raw', partition: 0 }, 5);
  await reopen();
  await reopen();
  expect(lost).toEqual([
    { partition: 0, from: 1, to: 3 },
    { partition: 0, from: 3, to: 5 },
  ]);
  runner.stop();
  await clock.run(runner.done);
});

test('P2 of pace.ts: records of a tenant that sends little are committed at once, with those of the other before them', async () => {
  const batches: number[][] = [];
  const task: StreamTask = {
    prepare: () => undefined,
    decide(records) {
      batches.push(records.map(({ offset }) => offset));
      return [];
    },
  };
  const { clock, runner } = await running({ task, settings: { paceMs: 1000 } });
  const startMs = clock.nowMs();
  const come = (tenant: string, ...offsets: number[]) =>
    runner.records({
      topic: 'raw',
      partition: 0,
      records: offsets.map((at) => ({ ...record(at), headers: { [HEADER.tenant]: Buffer.from(tenant) } })),
    });
  come('t_noisy', 0, 1, 2, 3, 4, 5);
  await clock.runUntil(() => batches.length === 1);
  come('t_noisy', 6);
  await clock.advance(100);
  expect(batches, 'it waits for company').toHaveLength(1);
  come('t_quiet', 7);
  await clock.runUntil(() => batches.length === 2);
  expect(batches[1]).toEqual([6, 7]);
  expect(clock.nowMs() - startMs).toBeLessThan(500);
  come('t_noisy', 8);
  await clock.advance(500);
  expect(batches).toHaveLength(2);
  await clock.runUntil(() => batches.length === 3);
  runner.stop();
  await clock.run(runner.done);
});
