/**
 * Random interleavings of transactions, zombies, timeouts, plain appends, compaction and readers, against a model.
 *
 * After every step: each reader and the group member have exactly the committed records from their start on, in offset
 * order, with the offsets the model gave them; and each group's committed offset is that of its last commit.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hasCode } from '../../../../src/base/errors.ts';
import { createMemoryLog, type HeldCommit, type MemoryLog, VirtualClock } from '../../../../src/kafka/memory/index.ts';
import type { Append, LogProducer, LogRecord, TransactionalProducer } from '../../../../src/kafka/port.ts';

const TOPIC = 'topic';
const PARTITIONS = 2;
const TIMEOUT_MS = 1_000;
const IDS = ['tx-a', 'tx-b', 'tx-c'];

interface Write {
  readonly partition: number;
  readonly key: string;
  readonly tombstone: boolean;
}

interface ModelTransaction {
  status: 'open' | 'committed' | 'aborted';
  readonly partitions: Set<number>;
}

interface Slot {
  readonly key: string;
  readonly value: string | null;
  readonly transaction: ModelTransaction | null;
  removed: boolean;
}

interface ModelProducer {
  readonly id: string;
  state: 'idle' | 'held' | 'spent';
  transaction: ModelTransaction | null;
  offset: number | null;
}

interface ModelReader {
  readonly partition: number;
  next: number;
  readonly expected: string[];
}

class Model {
  /** Null is a control marker. */
  readonly logs: (Slot | null)[][] = Array.from({ length: PARTITIONS }, () => []);
  readonly low: number[] = Array.from({ length: PARTITIONS }, () => 0);
  readonly producers: ModelProducer[] = [];
  readonly owners = new Map<string, ModelProducer>();
  readonly readers: ModelReader[] = [];
  readonly committed = new Map<string, number>();
  written = 0;

  stable(partition: number): number {
    const log = this.logs[partition] as (Slot | null)[];
    const open = log.findIndex((slot) => slot?.transaction?.status === 'open');
    return open < 0 ? log.length : open;
  }

  write(writes: readonly Write[], transaction: ModelTransaction | null): Append[] {
    return writes.map(({ partition, key, tombstone }) => {
      this.written += 1;
      const value = tombstone ? null : `v${this.written}`;
      this.logs[partition]?.push({ key, value, transaction, removed: false });
      transaction?.partitions.add(partition);
      return { topic: TOPIC, partition, key: Buffer.from(key), value: value === null ? null : Buffer.from(value) };
    });
  }

  end(transaction: ModelTransaction, status: 'committed' | 'aborted'): void {
    transaction.status = status;
    for (const partition of transaction.partitions) this.logs[partition]?.push(null);
  }

  abortOpenOf(producer: ModelProducer | undefined): void {
    if (producer?.transaction?.status === 'open') this.end(producer.transaction, 'aborted');
  }

  deliver(): void {
    for (const reader of this.readers) {
      const stable = this.stable(reader.partition);
      for (; reader.next < stable; reader.next += 1) {
        const slot = this.logs[reader.partition]?.[reader.next];
        if (!slot || slot.removed || slot.transaction?.status === 'aborted') continue;
        reader.expected.push(`${reader.next} ${slot.key}=${slot.value}`);
      }
    }
  }
}

/** The log under test, and what it did. Indexes match the model's. */
interface Real {
  readonly clock: VirtualClock;
  readonly log: MemoryLog;
  readonly plain: LogProducer;
  readonly producers: TransactionalProducer[];
  readonly commits: Map<number, { readonly held: HeldCommit; readonly outcome: Promise<unknown> }>;
  readonly heard: string[][];
}

abstract class Step implements fc.AsyncCommand<Model, Real> {
  check(_model: Readonly<Model>): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    await this.act(model, real);
    await real.clock.settle();
    model.deliver();
    expect(real.heard).toEqual(model.readers.map((reader) => reader.expected));
    for (const id of IDS) {
      const [offset] = await real.log.admin.committed(`group of ${id}`, [{ topic: TOPIC, partition: 0 }]);
      expect(offset).toBe(model.committed.get(id) ?? null);
    }
    for (const [partition, log] of model.logs.entries()) {
      const marks = await real.log.admin.watermarks({ topic: TOPIC, partition });
      expect(marks).toEqual({ low: model.low[partition], high: log.length });
    }
  }

  abstract act(model: Model, real: Real): Promise<void>;
}

class Open extends Step {
  readonly id: string;
  constructor(id: string) {
    super();
    this.id = id;
  }
  override async act(model: Model, real: Real): Promise<void> {
    real.producers.push(await real.log.transactional({ transactionalId: this.id, transactionTimeoutMs: TIMEOUT_MS }));
    model.abortOpenOf(model.owners.get(this.id));
    const producer: ModelProducer = { id: this.id, state: 'idle', transaction: null, offset: null };
    model.owners.set(this.id, producer);
    model.producers.push(producer);
  }
  override toString = () => `open ${this.id}`;
}

/** Commits through some producer, zombie or not: at once, held in the middle, or with its outcome unknown. */
class Commit extends Step {
  readonly pick: number;
  readonly writes: readonly Write[];
  readonly how: 'at once' | 'hold' | 'committed' | 'lost';
  constructor(pick: number, writes: readonly Write[], how: Commit['how']) {
    super();
    this.pick = pick;
    this.writes = writes;
    this.how = how;
  }
  override check(model: Readonly<Model>): boolean {
    return model.producers.some((producer) => producer.state === 'idle');
  }
  override async act(model: Model, real: Real): Promise<void> {
    const idle = model.producers.filter((producer) => producer.state === 'idle');
    const producer = idle[this.pick % idle.length] as ModelProducer;
    const index = model.producers.indexOf(producer);
    const offset = model.written + 1;
    const transactional = real.producers[index] as TransactionalProducer;
    const offsets = { groupId: `group of ${producer.id}`, offsets: [{ topic: TOPIC, partition: 0, offset }] };

    if (model.owners.get(producer.id) !== producer) {
      const appends = new Model().write(this.writes, null);
      await expect(transactional.commit({ appends, offsets })).rejects.toMatchObject({ code: 'fenced' });
      producer.state = 'spent';
      return;
    }
    const transaction: ModelTransaction = { status: 'open', partitions: new Set() };
    const appends = model.write(this.writes, transaction);
    producer.transaction = transaction;
    producer.offset = offset;
    if (this.how === 'hold') {
      const held = real.log.faults.holdCommit(producer.id);
      const outcome = transactional.commit({ appends, offsets }).then(
        () => 'committed',
        (error: unknown) => error,
      );
      real.commits.set(index, { held, outcome });
      await real.clock.settle();
      expect(held.reached).toBe(true);
      producer.state = 'held';
      return;
    }
    if (this.how === 'at once') {
      await transactional.commit({ appends, offsets });
    } else {
      real.log.faults.commitUnknown(this.how, producer.id);
      await expect(transactional.commit({ appends, offsets })).rejects.toMatchObject({ code: 'commit_unknown' });
      producer.state = 'spent';
    }
    if (this.how === 'lost') return;
    model.end(transaction, 'committed');
    model.committed.set(producer.id, offset);
  }
  override toString = () => `commit ${this.how} #${this.pick} ${JSON.stringify(this.writes)}`;
}

class Release extends Step {
  readonly pick: number;
  constructor(pick: number) {
    super();
    this.pick = pick;
  }
  override check(model: Readonly<Model>): boolean {
    return model.producers.some((producer) => producer.state === 'held');
  }
  override async act(model: Model, real: Real): Promise<void> {
    const held = model.producers.filter((producer) => producer.state === 'held');
    const producer = held[this.pick % held.length] as ModelProducer;
    const commit = real.commits.get(model.producers.indexOf(producer));
    commit?.held.release();
    const outcome = await commit?.outcome;
    const transaction = producer.transaction as ModelTransaction;
    if (transaction.status === 'open') {
      expect(outcome).toBe('committed');
      model.end(transaction, 'committed');
      model.committed.set(producer.id, producer.offset as number);
      producer.state = 'idle';
    } else {
      expect(hasCode(outcome, 'fenced')).toBe(true);
      producer.state = 'spent';
    }
  }
  override toString = () => `release #${this.pick}`;
}

class AppendPlain extends Step {
  readonly writes: readonly Write[];
  constructor(writes: readonly Write[]) {
    super();
    this.writes = writes;
  }
  override async act(model: Model, real: Real): Promise<void> {
    await real.plain.append(model.write(this.writes, null));
  }
  override toString = () => `append ${JSON.stringify(this.writes)}`;
}

class TimeOut extends Step {
  override async act(model: Model, real: Real): Promise<void> {
    await real.clock.advance(TIMEOUT_MS);
    for (const [id, owner] of [...model.owners]) {
      if (owner.transaction?.status !== 'open') continue;
      model.abortOpenOf(owner);
      model.owners.delete(id);
    }
  }
  override toString = () => 'time out';
}

class FollowFrom extends Step {
  readonly partition: number;
  readonly share: number;
  constructor(partition: number, share: number) {
    super();
    this.partition = partition;
    this.share = share;
  }
  override async act(model: Model, real: Real): Promise<void> {
    const log = model.logs[this.partition] as unknown[];
    const from = Math.floor(this.share * (log.length + 1));
    model.readers.push({
      partition: this.partition,
      next: Math.max(from, model.low[this.partition] ?? 0),
      expected: [],
    });
    const heard: string[] = [];
    real.heard.push(heard);
    // A reader of its own: one reader follows a partition once.
    const reader = await real.log.reader({ clientId: 'reader', topics: [TOPIC] });
    reader.follow({
      topic: TOPIC,
      partition: this.partition,
      fromOffset: from,
      records: ({ records }) => heard.push(...records.map(shown)),
      failed: (error) => heard.push(String(error)),
    });
  }
  override toString = () => `follow ${this.partition} from ${this.share}`;
}

class Compact extends Step {
  override async act(model: Model, real: Real): Promise<void> {
    real.log.compact(TOPIC);
    for (const [partition, log] of model.logs.entries()) {
      const visible = log.slice(0, model.stable(partition)).filter((slot) => slot?.transaction?.status !== 'aborted');
      for (const [at, slot] of visible.entries()) {
        if (slot === null || slot.removed) continue;
        const newer = visible.slice(at + 1).some((other) => other?.key === slot.key);
        if (newer || slot.value === null) slot.removed = true;
      }
    }
  }
  override toString = () => 'compact';
}

class DeleteBefore extends Step {
  readonly partition: number;
  readonly share: number;
  constructor(partition: number, share: number) {
    super();
    this.partition = partition;
    this.share = share;
  }
  override async act(model: Model, real: Real): Promise<void> {
    const offset = Math.floor(this.share * (model.logs[this.partition]?.length ?? 0));
    real.log.deleteRecordsBefore({ topic: TOPIC, partition: this.partition }, offset);
    const low = Math.max(model.low[this.partition] ?? 0, Math.min(offset, model.stable(this.partition)));
    model.low[this.partition] = low;
  }
  override toString = () => `delete before ${this.share} of ${this.partition}`;
}

const write = fc.record({
  partition: fc.nat({ max: PARTITIONS - 1 }),
  key: fc.constantFrom('k1', 'k2', 'k3'),
  tombstone: fc.boolean(),
});
const writes = fc.array(write, { maxLength: 4 });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const partition = fc.nat({ max: PARTITIONS - 1 });
const how = fc.constantFrom<Commit['how']>('at once', 'hold', 'hold', 'committed', 'lost');
const steps = fc.commands(
  [
    fc.constantFrom(...IDS).map((id) => new Open(id)),
    fc.tuple(fc.nat(), writes, how).map(([pick, ...rest]) => new Commit(pick, ...rest)),
    fc.tuple(fc.nat(), writes, how).map(([pick, ...rest]) => new Commit(pick, ...rest)),
    fc.nat().map((pick) => new Release(pick)),
    writes.map((some) => new AppendPlain(some)),
    fc.constant(new TimeOut()),
    fc.tuple(partition, share).map(([where, from]) => new FollowFrom(where, from)),
    fc.constant(new Compact()),
    fc.tuple(partition, share).map(([where, below]) => new DeleteBefore(where, below)),
  ],
  { maxCommands: 60, size: 'max' },
);

it('a read_committed reader sees exactly the committed records in offset order', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (commands) => {
      await fc.asyncModelRun(setUp, commands);
    }),
    { numRuns: 300 },
  );
});

/** The group member reads both partitions from the beginning, as readers 0 and 1. */
async function setUp(): Promise<{ model: Model; real: Real }> {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock });
  await log.admin.createTopics([{ name: TOPIC, partitions: PARTITIONS, config: {} }]);
  const model = new Model();
  const heard: string[][] = [];
  for (let number = 0; number < PARTITIONS; number += 1) {
    model.readers.push({ partition: number, next: 0, expected: [] });
    heard.push([]);
  }
  const assigned = Promise.withResolvers<void>();
  const member = await log.group({
    groupId: 'readers',
    topics: [TOPIC],
    assigner: (ids, topics) =>
      new Map(
        ids.map((id) => [
          id,
          Array.from({ length: topics.get(TOPIC) ?? 0 }, (_, number) => ({ topic: TOPIC, partition: number })),
        ]),
      ),
    sessionTimeoutMs: 10_000,
    listener: {
      assigned: () => assigned.resolve(),
      rebalancing: () => undefined,
      heartbeat: () => undefined,
      records: (batch) => heard[batch.partition]?.push(...batch.records.map(shown)),
      crashed: (error) => heard[0]?.push(String(error)),
    },
  });
  await assigned.promise;
  for (let number = 0; number < PARTITIONS; number += 1) member.resume({ topic: TOPIC, partition: number });
  const plain = await log.producer({ clientId: 'plain' });
  return { model, real: { clock, log, plain, producers: [], commits: new Map(), heard } };
}

function shown(record: LogRecord): string {
  return `${record.offset} ${record.key}=${record.value}`;
}
