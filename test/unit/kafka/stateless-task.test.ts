/** A stream task that keeps no state: the same sessions, without a twin topic. */
import { describe, expect, it } from 'vitest';
import { createMemoryLog, type MemoryLog, VirtualClock } from '../../../src/kafka/memory/index.ts';
import { StreamWorker } from '../../../src/kafka/stream-worker.ts';
import type { StreamTask } from '../../../src/kafka/task.ts';

const PARTITIONS = 4;

const copying: StreamTask = {
  prepare: () => undefined,
  decide: (records) => records.map(({ partition, key, value }) => ({ topic: 'out', partition, key, value })),
};

async function setup() {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock, latencyMs: () => 1 });
  const topic = (name: string) => ({ name, partitions: PARTITIONS, config: { 'cleanup.policy': 'delete' } });
  await clock.run(log.admin.createTopics([topic('in'), topic('out')]));
  const crashes: unknown[] = [];
  let opens = 0;
  const worker = (task: StreamTask, from: MemoryLog = log.connect()) =>
    clock.run(
      StreamWorker.start({
        log: from,
        clientId: 'w',
        settings: {
          groupId: 'g',
          topic: 'in',
          stateTopic: null,
          shardCount: 2,
          sessionTimeoutMs: 10_000,
          maxBatchRecords: 5,
          paceMs: 25,
          maxQueuedRecords: 10,
          transactionTimeoutMs: 15_000,
          restoreStallMs: 10_000,
          stateMaxBytes: 2 ** 16,
          stateRetentionMs: Number.MAX_SAFE_INTEGER,
          retryMinMs: 50,
          retryMaxMs: 1000,
        },
        createTask: () => task,
        random: () => 0.5,
        uniqueId: () => `open-${opens++}`,
        observer: {
          assigned: () => undefined,
          opened: () => undefined,
          lost: () => undefined,
          committed: () => undefined,
          failed: () => undefined,
          crashed: (error) => crashes.push(error),
        },
      }),
    );
  let fed = 0;
  const feed = async (count: number): Promise<void> => {
    const producer = await clock.run(log.producer({ clientId: 'feed' }));
    const appends = Array.from({ length: count }, () => ({
      topic: 'in',
      key: Buffer.from(`key-${fed % 7}`),
      value: Buffer.from(String(fed++)),
    }));
    await clock.run(producer.append(appends));
    await clock.run(producer.close());
  };
  const out = async (): Promise<readonly number[]> => {
    const reader = await clock.run(log.reader({ clientId: 'check', topics: ['out'] }));
    const seen: number[] = [];
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const records = (batch: { readonly records: readonly { readonly value: Buffer | null }[] }) =>
        void seen.push(...batch.records.map(({ value }) => Number(value)));
      reader.follow({ topic: 'out', partition, fromOffset: 0, failed: (error) => crashes.push(error), records });
    }
    await clock.advance(20_000);
    await clock.run(reader.close());
    return seen.sort((a, b) => a - b);
  };
  const settled = async (one: StreamWorker): Promise<void> => {
    await clock.runUntil(() => one.health.ready);
    await clock.advance(5000);
  };
  return { clock, log, crashes, worker, feed, out, settled };
}

describe('a stream task without state', () => {
  it.each(['committed', 'lost'] as const)(
    'takes every record once, through a kill and a commit of unknown outcome that was %s',
    async (outcome) => {
      const { log, crashes, worker, feed, out, settled } = await setup();
      const first = log.connect();
      await settled(await worker(copying, first));
      await feed(30);
      first.kill();
      const heir = await worker(copying);
      await settled(heir);
      log.faults.commitUnknown(outcome);
      await feed(30);
      await settled(heir);
      expect(await out()).toEqual(Array.from({ length: 60 }, (_, n) => n));
      expect(heir.health.shards.map(({ resources }) => resources)).toEqual([0, 0]);
      expect(crashes).toEqual([]);
    },
  );

  it('crashes on state it writes all the same, and commits nothing', async () => {
    const { crashes, worker, feed, out, settled } = await setup();
    const writing: StreamTask = {
      prepare: () => undefined,
      decide: (records, state) => {
        state.set(0, 'key', Buffer.from('value'));
        return copying.decide(records, state, 0);
      },
    };
    await settled(await worker(writing));
    await feed(1);
    expect(await out()).toEqual([]);
    expect(crashes).toMatchObject([{ message: expect.stringContaining('keeps no state') }]);
  });
});
