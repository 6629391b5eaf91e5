/**
 * The stream worker over the in-memory log under a virtual clock: sessions (S1–S5), shard runners (R1–R5) and workers
 * (W1–W3) with crashes, zombies, unknown commits and rebalances in any order.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import { createMemoryLog, type MemoryLog, VirtualClock } from '../../../src/kafka/memory/index.ts';
import { BARRIER_KEY } from '../../../src/kafka/restore.ts';
import { StreamWorker, type StreamWorkerOptions } from '../../../src/kafka/stream-worker.ts';
import type { StreamTask } from '../../../src/kafka/task.ts';
import { countingTask, expectedCounts } from '../../support/counting-task.ts';

const PARTITIONS = 4;
const SETTINGS: StreamWorkerOptions['settings'] = {
  groupId: 'g',
  topic: 'raw',
  stateTopic: 'state',
  shardCount: 2,
  sessionTimeoutMs: 10_000,
  maxBatchRecords: 5,
  paceMs: 25,
  maxQueuedRecords: 10,
  transactionTimeoutMs: 15_000,
  restoreStallMs: 10_000,
  stateMaxBytes: 2 ** 24,
  stateRetentionMs: 86_400_000,
  retryMinMs: 50,
  retryMaxMs: 1000,
};

class House {
  readonly clock = new VirtualClock();
  readonly log = createMemoryLog({ clock: this.clock, latencyMs: () => 1 });
  readonly inputs: { key: string; value: string }[] = [];
  readonly crashes: unknown[] = [];
  readonly failures: { code: string; next: string }[] = [];
  readonly failedWorkers: string[] = [];
  #uniqueId = 0;

  static async build(): Promise<House> {
    const house = new House();
    const topic = (name: string, policy: string) => ({
      name,
      partitions: PARTITIONS,
      config: { 'cleanup.policy': policy },
    });
    await house.clock.run(
      house.log.admin.createTopics([topic('raw', 'delete'), topic('state', 'compact'), topic('out', 'delete')]),
    );
    return house;
  }

  async worker(
    log: MemoryLog = this.log.connect(),
    task: StreamTask = countingTask('out'),
    name = 'w',
  ): Promise<StreamWorker> {
    return this.clock.run(
      StreamWorker.start({
        log,
        clientId: name,
        settings: SETTINGS,
        createTask: () => task,
        random: () => 0.5,
        uniqueId: () => `barrier-${this.#uniqueId++}`,
        observer: {
          assigned: () => undefined,
          opened: () => undefined,
          lost: () => undefined,
          committed: () => undefined,
          failed: (_shard, error, next) => {
            this.failures.push({ code: error.code, next });
            this.failedWorkers.push(name);
          },
          crashed: (error) => this.crashes.push(error),
        },
      }),
    );
  }

  async feed(count: number): Promise<void> {
    const producer = await this.clock.run(this.log.producer({ clientId: 'feed' }));
    const added = Array.from({ length: count }, (_, i) => ({
      key: `key-${i % 7}`,
      value: `v${this.inputs.length + i}`,
    }));
    this.inputs.push(...added);
    const appends = added.map(({ key, value }) => ({ topic: 'raw', key: Buffer.from(key), value: Buffer.from(value) }));
    await this.clock.run(producer.append(appends));
    await this.clock.run(producer.close());
  }

  /** What a read_committed reader sees of a topic, until nothing more comes. */
  async read(topic: string): Promise<readonly string[]> {
    const reader = await this.clock.run(this.log.reader({ clientId: 'check', topics: [topic] }));
    const seen: string[] = [];
    for (let partition = 0; partition < PARTITIONS; partition++) {
      reader.follow({
        topic,
        partition,
        fromOffset: 0,
        failed: (error) => this.crashes.push(error),
        records: (batch) => seen.push(...batch.records.map((record) => `${record.key}=${record.value}`)),
      });
    }
    await this.clock.advance(20_000);
    await this.clock.run(reader.close());
    return seen.sort();
  }

  async settled(worker: StreamWorker): Promise<void> {
    await this.clock.runUntil(() => worker.health.ready);
    await this.clock.advance(5000);
  }
}

describe('stream worker', () => {
  test('every record lands once and a restarted worker goes on from its state', async () => {
    const house = await House.build();
    await house.feed(40);
    const first = await house.worker();
    await house.settled(first);
    await house.clock.run(first.close());
    await house.feed(40);
    await house.settled(await house.worker());
    expect(await house.read('out')).toEqual(expectedCounts(house.inputs));
    expect(house.crashes).toEqual([]);
  });

  test('S2: after compaction the state is restored up to the barrier, of which one is left per partition', async () => {
    const house = await House.build();
    await house.feed(40);
    const log = house.log.connect();
    await house.settled(await house.worker(log));
    log.kill();
    house.log.compact('state');
    await house.feed(10);
    await house.settled(await house.worker());
    expect(await house.read('out')).toEqual(expectedCounts(house.inputs));
    house.log.compact('state');
    const barriers = (await house.read('state')).filter((record) => record.startsWith(BARRIER_KEY));
    expect(barriers).toHaveLength(PARTITIONS);
  });

  test.each(['committed', 'lost'] as const)(
    'S4: a commit of unknown outcome that was %s is found out, not repeated',
    async (outcome) => {
      const house = await House.build();
      const worker = await house.worker();
      await house.settled(worker);
      house.log.faults.commitUnknown(outcome);
      await house.feed(30);
      await house.settled(worker);
      expect(house.failures).toEqual([{ code: 'commit_unknown', next: 'reopen' }]);
      expect(await house.read('out')).toEqual(expectedCounts(house.inputs));
    },
  );

  test('R4: a zombie that wakes up writes nothing and does not throw out the new owner', async () => {
    const house = await House.build();
    const zombieLog = house.log.connect();
    const zombie = await house.worker(zombieLog, undefined, 'zombie');
    await house.settled(zombie);
    const held = house.log.faults.holdCommit();
    await house.feed(30);
    await house.clock.runUntil(() => held.reached);
    zombieLog.freeze();
    held.release();
    const heir = await house.worker(undefined, undefined, 'heir');
    await house.clock.advance(SETTINGS.sessionTimeoutMs * 2);
    await house.settled(heir);
    expect(await house.read('out')).toEqual(expectedCounts(house.inputs));
    zombieLog.thaw();
    await house.feed(30);
    await house.clock.advance(SETTINGS.sessionTimeoutMs * 3);
    await house.settled(heir);
    await house.settled(zombie);
    expect(await house.read('out')).toEqual(expectedCounts(house.inputs));
    expect(house.failedWorkers).toContain('zombie');
    expect(house.failedWorkers).not.toContain('heir');
    const shards = [...heir.health.shards, ...zombie.health.shards].map((health) => health.shard).sort();
    expect(shards).toEqual([0, 1]);
    expect(house.crashes).toEqual([]);
  });

  test('R5: a fatal error stops the shard where it is, loudly, and leaves the other shards working', async () => {
    const house = await House.build();
    const inner = countingTask('out');
    const task: StreamTask = {
      ...inner,
      decide: (records, state, nowMs) => {
        if (records.some((record) => record.partition % 2 === 0)) throw new CodedError('dead_letter_limit', 'too many');
        return inner.decide(records, state, nowMs);
      },
    };
    await house.feed(60);
    const worker = await house.worker(undefined, task);
    await house.clock.advance(10_000);
    const phases = worker.health.shards.map((health) => [health.shard, health.phase]).sort();
    expect(phases).toEqual([[0, 'failed'], [1, 'running']]); // biome-ignore format: pairs
    expect(worker.health.ready).toBe(false);
    expect(house.failures).toEqual([{ code: 'dead_letter_limit', next: 'stop' }]);
    const committed = await house.clock.run(
      house.log.admin.committed('g', [0, 1, 2, 3].map((partition) => ({ topic: 'raw', partition }))), // biome-ignore format: one line
    );
    expect([committed[0] ?? 0, committed[2] ?? 0]).toEqual([0, 0]);
  });

  test('a programming error is reported as a crash, never swallowed, and commits nothing', async () => {
    const house = await House.build();
    const broken: StreamTask = {
      prepare: () => undefined,
      decide: () => {
        throw new TypeError('undefined is not a function');
      },
    };
    await house.feed(1);
    await house.worker(undefined, broken);
    await house.clock.advance(5000);
    expect(house.crashes).toHaveLength(1);
    expect(await house.read('out')).toEqual([]);
  });

  test('a broker that goes away and comes back costs nothing but time', async () => {
    const house = await House.build();
    const worker = await house.worker();
    await house.settled(worker);
    await house.feed(20);
    house.log.faults.down();
    await house.clock.advance(30_000);
    expect(worker.health.ready).toBe(false);
    house.log.faults.up();
    await house.feed(20);
    await house.settled(worker);
    expect(await house.read('out')).toEqual(expectedCounts(house.inputs));
  });

  test('whatever crashes, freezes, joins and gets lost: every record exactly once, on right state', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('feed' as const), count: fc.integer({ min: 1, max: 25 }) }),
      fc.record({
        kind: fc.constantFrom('join', 'kill', 'freeze', 'thaw', 'compact', 'unknown', 'lost', 'unavailable'),
      }),
      fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(3, 40, 700, 12_000) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 18 }), async (steps) => {
        const house = await House.build();
        const running: { log: MemoryLog; worker: StreamWorker }[] = [];
        const frozen: { log: MemoryLog; worker: StreamWorker }[] = [];
        const join = async () => {
          const log = house.log.connect();
          running.push({ log, worker: await house.worker(log) });
        };
        await join();
        for (const action of steps) {
          if (action.kind === 'feed') await house.feed(action.count);
          else if (action.kind === 'wait') await house.clock.advance(action.ms);
          else if (action.kind === 'join' && running.length < 3) await join();
          else if (action.kind === 'kill') running.shift()?.log.kill();
          else if (action.kind === 'compact') house.log.compact('state');
          else if (action.kind === 'unknown') house.log.faults.commitUnknown('committed');
          else if (action.kind === 'lost') house.log.faults.commitUnknown('lost');
          else if (action.kind === 'unavailable') house.log.faults.unavailable('commit', 2);
          else if (action.kind === 'freeze') {
            const victim = running.shift();
            if (victim !== undefined) frozen.push(victim);
            victim?.log.freeze();
          } else if (action.kind === 'thaw') {
            const back = frozen.shift();
            if (back !== undefined) running.push(back);
            back?.log.thaw();
          }
        }
        await join();
        await house.clock.advance(120_000);
        expect(await house.read('out')).toEqual(expectedCounts(house.inputs));
        expect(house.crashes).toEqual([]);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
