/** R4 of the shard runner alone: the group member is a stand-in, so heartbeats come only when the test says so. */
import { expect, test } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import { createMemoryLog, VirtualClock } from '../../../src/kafka/memory/index.ts';
import type { LogRecord } from '../../../src/kafka/port.ts';
import { ShardRunner } from '../../../src/kafka/shard-runner.ts';
import { transactionalId } from '../../../src/kafka/shards.ts';
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

test('R4: a fenced shard fences back only after a heartbeat sent later was accepted', async () => {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock });
  const topics = ['raw', 'state', 'out'].map((name) => ({ name, partitions: 1, config: {} }));
  await clock.run(log.admin.createTopics(topics));
  const failures: string[] = [];
  const reader = await clock.run(log.reader({ clientId: 'r', topics: ['state'] }));
  const runner = new ShardRunner({
    log,
    reader,
    member: () => ({
      seek: () => undefined,
      pause: () => undefined,
      resume: () => undefined,
      close: async () => undefined,
    }),
    task: countingTask('out'),
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
    },
    observer: {
      opened: () => undefined,
      committed: () => undefined,
      failed: (_shard, error, next) => failures.push(`${error.code}:${next}`),
      crashed: (_shard, error) => failures.push(`crash:${error}`),
    },
    random: () => 0.5,
    uniqueId: () => `b${failures.length}`,
  });
  await clock.runUntil(() => runner.health.phase === 'running');
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
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock });
  const topics = ['raw', 'state', 'out'].map((name) => ({ name, partitions: 1, config: {} }));
  await clock.run(log.admin.createTopics(topics));
  const reader = await clock.run(log.reader({ clientId: 'r', topics: ['state'] }));
  let failures = 0;
  const runner: ShardRunner = new ShardRunner({
    log,
    reader,
    member: () => ({
      seek: () => clock.sleep(1).then(() => runner.records({ topic: 'raw', partition: 0, records: [record(0)] })),
      pause: () => undefined,
      resume: () => undefined,
      close: async () => undefined,
    }),
    task: {
      prepare: () => Promise.reject(new CodedError('log_unavailable', 'the broker will not have it')),
      decide: () => [],
    },
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
      retryMinMs: 100,
      retryMaxMs: 5_000,
    },
    observer: {
      opened: () => undefined,
      committed: () => undefined,
      failed: () => void failures++,
      crashed: (_shard, error) => expect.fail(String(error)),
    },
    random: () => 1,
    uniqueId: () => `b${failures}`,
  });
  await clock.advance(60_000);
  // 100, 200, … 3,200 ms, then every 5 s.
  expect(failures).toBeGreaterThan(5);
  expect(failures).toBeLessThan(20);
  runner.stop();
  await clock.run(runner.done);
});
