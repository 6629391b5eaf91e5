/** A topic in memory, views of it, and pages and flows as one would use them. */
import { onTestFinished } from 'vitest';
import { Flow } from '../../../../src/api/data/topic/flow.ts';
import type { Positions } from '../../../../src/api/data/topic/positions.ts';
import type { TopicView, ViewSettings } from '../../../../src/api/data/topic/view.ts';
import { TopicViews, type TopicViewsOptions } from '../../../../src/api/data/topic/views.ts';
import { newestFirst, type WalkBounds, type WalkPage } from '../../../../src/api/data/topic/walk.ts';
import { createMemoryLog, type MemoryLog, VirtualClock } from '../../../../src/kafka/memory/index.ts';
import type { LogProducer, LogRecord } from '../../../../src/kafka/port.ts';

export const TOPIC = 'fibric.events.t_one';

export interface TopicHouse {
  readonly clock: VirtualClock;
  readonly log: MemoryLog;
  readonly views: TopicViews;
  append(
    records: readonly { readonly partition: number; readonly text: string; readonly atMs?: number }[],
  ): Promise<void>;
  /** With a marker behind them, or gone without being seen. */
  transact(partition: number, texts: readonly string[], outcome: 'commit' | 'abort'): Promise<void>;
  run<T>(work: Promise<T>): Promise<T>;
  view(): Promise<TopicView>;
}

export interface HouseOptions {
  readonly partitions: number;
  readonly settings?: Partial<ViewSettings>;
  readonly views?: Partial<TopicViewsOptions>;
}

export async function openTopicHouse({ partitions, settings, views: more }: HouseOptions): Promise<TopicHouse> {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock });
  const run = <T>(work: Promise<T>): Promise<T> => clock.run(work);
  if (partitions > 0) await run(log.admin.createTopics([{ name: TOPIC, partitions, config: {} }]));
  const views = new TopicViews({ log, failed: () => undefined, ...(settings !== undefined && { settings }), ...more });
  onTestFinished(async () => {
    await run(views.close());
    await run(log.close());
  });
  let producer: LogProducer | undefined;
  let transactions = 0;
  const lent: { release(): void }[] = [];
  onTestFinished(() => {
    for (const { release } of lent) release();
  });
  return {
    clock,
    log,
    views,
    run,
    async append(records) {
      producer ??= await run(log.producer({ clientId: 'test' }));
      const appends = records.map(({ partition, text, atMs }) => ({
        topic: TOPIC,
        partition,
        key: null,
        value: Buffer.from(text),
        ...(atMs !== undefined && { timestampMs: atMs }),
      }));
      await run(producer.append(appends));
    },
    async transact(partition, texts, outcome) {
      transactions += 1;
      const transactionalId = `tx-${transactions}`;
      const appends = texts.map((text) => ({ topic: TOPIC, partition, key: null, value: Buffer.from(text) }));
      if (outcome === 'commit') {
        const holder = await run(log.transactional({ transactionalId, transactionTimeoutMs: 10_000 }));
        await run(holder.commit({ appends }));
        return run(holder.close());
      }
      const other = log.connect();
      const holder = await run(other.transactional({ transactionalId, transactionTimeoutMs: 10_000 }));
      const held = log.faults.holdCommit(transactionalId);
      holder.commit({ appends }).catch(() => undefined);
      await clock.settle();
      other.kill();
      const next = await run(log.transactional({ transactionalId, transactionTimeoutMs: 10_000 }));
      await run(next.close());
      void held;
    },
    async view() {
      const lease = await run(views.lease(TOPIC));
      if (lease === undefined) throw new Error('there is no topic');
      lent.push(lease);
      return lease.view;
    },
  };
}

export const WIDE: WalkBounds = { maxRecords: 100_000, maxBytes: 8_388_608 };

export function textOf(record: LogRecord): string {
  return String(record.value);
}

export interface PageOptions {
  readonly limit: number;
  readonly from?: Positions;
  readonly matches?: (text: string) => boolean;
  readonly mayMatch?: (text: string) => boolean;
  readonly bounds?: WalkBounds;
  readonly floors?: Positions;
  readonly signal?: AbortSignal;
}

/** As the routes do it. */
export async function page(view: TopicView, options: PageOptions): Promise<WalkPage<string>> {
  const { limit, from, matches = () => true, mayMatch = () => true, bounds = WIDE, floors } = options;
  const { lows, ends } = await view.bounds();
  return newestFirst({
    source: view,
    from: from ?? ends,
    floors: floors ?? lows,
    limit,
    mayMatch: (record) => mayMatch(textOf(record)),
    read: async (record) => (matches(textOf(record)) ? textOf(record) : undefined),
    bounds,
    signal: options.signal ?? new AbortController().signal,
  });
}

/** What is there from these positions on, as far as it goes. */
export async function drain(view: TopicView, from: Positions): Promise<{ texts: string[]; positions: Positions }> {
  const flow = new Flow(view, from);
  const texts: string[] = [];
  const { signal } = new AbortController();
  for (let record = await flow.next(signal); record !== undefined; record = await flow.next(signal)) {
    texts.push(textOf(record));
  }
  return { texts, positions: flow.positions };
}
