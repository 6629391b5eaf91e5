/** Owner workers on one in-memory broker under a virtual clock, each in a process of its own. */
import { createMemoryLog, type MemoryLog, VirtualClock } from '../../src/kafka/memory/index.ts';
import { type OwnedPartition, OwnerWorker, type OwnerWorkerOptions } from '../../src/kafka/owner-worker.ts';

export const PARTITIONS = 4;
export const SETTINGS: OwnerWorkerOptions['settings'] = {
  groupId: 'g',
  topic: 'cursors',
  sessionTimeoutMs: 10_000,
  transactionTimeoutMs: 15_000,
  restoreStallMs: 10_000,
  stateMaxBytes: 2 ** 20,
  retryMinMs: 50,
  retryMaxMs: 1000,
};

type Serve = OwnerWorkerOptions['serve'];

export class Joined {
  readonly log: MemoryLog;
  readonly worker: OwnerWorker;
  /** All that `serve` was ever given, by partition. */
  readonly served: ReadonlyMap<number, readonly OwnedPartition[]>;

  constructor(log: MemoryLog, worker: OwnerWorker, served: Joined['served']) {
    this.log = log;
    this.worker = worker;
    this.served = served;
  }

  /** What `serve` was given last for a partition. */
  owned(partition: number): OwnedPartition {
    const owned = this.served.get(partition)?.at(-1);
    if (owned === undefined) throw new Error(`partition ${partition} was never served`);
    return owned;
  }

  get partitions(): readonly number[] {
    return this.worker.health.partitions.map(({ partition }) => partition).sort();
  }
}

export class OwnerHouse {
  readonly clock = new VirtualClock();
  readonly log = createMemoryLog({ clock: this.clock, latencyMs: () => 1 });
  readonly crashes: unknown[] = [];
  /** `<worker>/<partition> <code> <next>` */
  readonly failures: string[] = [];
  #uniqueId = 0;

  static async build(): Promise<OwnerHouse> {
    const house = new OwnerHouse();
    const topic = (name: string, policy: string) => ({
      name,
      partitions: PARTITIONS,
      config: { 'cleanup.policy': policy },
    });
    await house.clock.run(house.log.admin.createTopics([topic('cursors', 'compact'), topic('out', 'delete')]));
    return house;
  }

  async join(
    name: string,
    serve: Serve = ({ signal }) => untilAborted(signal),
    settings: Partial<OwnerWorkerOptions['settings']> = {},
  ): Promise<Joined> {
    const log = this.log.connect();
    const served = new Map<number, OwnedPartition[]>();
    const worker = await this.clock.run(
      OwnerWorker.start({
        log,
        clientId: name,
        settings: { ...SETTINGS, ...settings },
        serve: (owned) => {
          served.set(owned.partition, [...(served.get(owned.partition) ?? []), owned]);
          return serve(owned);
        },
        random: () => 0.5,
        uniqueId: () => `barrier-${this.#uniqueId++}`,
        observer: {
          assigned: () => undefined,
          opened: () => undefined,
          committed: () => undefined,
          failed: (partition, error, next) => this.failures.push(`${name}/${partition} ${error.code} ${next}`),
          crashed: (error) => this.crashes.push(error),
        },
      }),
    );
    return new Joined(log, worker, served);
  }

  /** Until each of these is ready and together they have all partitions. */
  async ready(...joined: readonly Joined[]): Promise<void> {
    const all = () => joined.flatMap(({ partitions }) => partitions).length === PARTITIONS;
    await this.clock.runUntil(() => all() && joined.every(({ worker }) => worker.health.ready));
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
        records: (batch) => seen.push(...batch.records.map((record) => `${record.key ?? ''}=${record.value}`)),
      });
    }
    await this.clock.advance(20_000);
    await this.clock.run(reader.close());
    return seen;
  }
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

export const changes = (values: Readonly<Record<string, string | null>>): ReadonlyMap<string, Buffer | null> =>
  new Map(Object.entries(values).map(([key, value]) => [key, value === null ? null : Buffer.from(value)]));

export const append = (value: string) => ({ topic: 'out', partition: 0, key: null, value: Buffer.from(value) });

/** The state as `key=value`, sorted. */
export const stateOf = (owned: OwnedPartition): readonly string[] =>
  [...owned.entries()].map(([key, value]) => `${key}=${value}`).sort();
