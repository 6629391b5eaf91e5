/**
 * Keeps the compacted twin of the quota topic, so that who starts reads minutes of it and not days. One member of the group
 * owns each partition; places are given out without it, and its absence only makes starting slower.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import {
  type OwnedPartition,
  type OwnerObserver,
  OwnerWorker,
  type OwnerWorkerHealth,
} from '../../kafka/owner-worker.ts';
import type { Log } from '../../kafka/port.ts';
import { Wakeup } from '../runner/wakeup.ts';
import { KeptPartition } from './kept-partition.ts';
import { assertQuotaTopics } from './topics.ts';
import { bookOfState } from './twin.ts';

export const QUOTA_GROUP = 'cn-kustomer.quota';

export interface QuotaKeeperSettings {
  /** A transaction so often at most, … */
  readonly paceMs: number;
  /** … unless so many records wait. */
  readonly maxRecords: number;
  readonly maxTransactionBytes: number;
  readonly sessionTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly restoreStallMs: number;
  readonly stateMaxBytes: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

export const QUOTA_KEEPER_DEFAULTS: QuotaKeeperSettings = {
  paceMs: 1000,
  maxRecords: 10_000,
  maxTransactionBytes: 512 * 1024,
  sessionTimeoutMs: 10_000,
  transactionTimeoutMs: 15_000,
  restoreStallMs: 15_000,
  stateMaxBytes: 2 ** 28,
  retryMinMs: 50,
  retryMaxMs: 5000,
};

export interface QuotaKeeperOptions {
  readonly log: Log;
  /** Before the names of topics, and of the group. */
  readonly topicPrefix: string;
  readonly topics: { readonly quota: string; readonly quotaState: string };
  readonly observer: OwnerObserver;
  readonly clientId?: string;
  readonly random?: () => number;
  readonly uniqueId?: () => string;
  readonly settings?: Partial<QuotaKeeperSettings>;
}

export interface QuotaKeeper {
  health(): OwnerWorkerHealth;
  close(): Promise<void>;
}

/** Resolves when it has joined its group; partitions follow by themselves. */
export async function startQuotaKeeper(options: QuotaKeeperOptions): Promise<QuotaKeeper> {
  const { log, topics, topicPrefix, observer } = options;
  const { clientId = 'quota-keeper', random = Math.random, uniqueId = randomUUID } = options;
  const settings = { ...QUOTA_KEEPER_DEFAULTS, ...options.settings };
  await assertQuotaTopics(log, topics);
  const worker = await OwnerWorker.start({
    log,
    clientId,
    random,
    uniqueId,
    observer,
    settings: {
      ...settings,
      groupId: `${topicPrefix}${QUOTA_GROUP}`,
      topic: topics.quotaState,
      inputTopic: topics.quota,
      // Nobody waits for it, and every fetch costs as much as a transaction's request.
      fetchDelayMs: Math.min(settings.paceMs, MAX_FETCH_DELAY_MS),
    },
    serve: (owned) => keep(owned, log.clock, settings),
  });
  return { health: () => worker.health, close: () => worker.close() };
}

/** The broker holds a request so long, and heartbeats wait behind it. */
const MAX_FETCH_DELAY_MS = 500;
const TAKE_RECORDS = 500;

type KeepSettings = Pick<QuotaKeeperSettings, 'paceMs' | 'maxRecords' | 'maxTransactionBytes'>;

/** Until the partition is let go. What is not written then the next owner reads again. */
async function keep(owned: OwnedPartition, clock: Clock, settings: KeepSettings): Promise<void> {
  const { signal, input } = owned;
  if (input === null) throw new TypeError('The keeper needs an input');
  const kept = new KeptPartition(bookOfState(owned.entries()));
  const more = new Wakeup();
  let dueAtMs = clock.nowMs() + settings.paceMs;
  input.listen(() => more.wake());
  while (!signal.aborted) {
    const records = input.take(TAKE_RECORDS);
    kept.apply(records);
    const isDue = kept.records > 0 && (clock.nowMs() >= dueAtMs || kept.records >= settings.maxRecords);
    if (isDue) {
      await write(owned, kept, settings.maxTransactionBytes);
      dueAtMs = clock.nowMs() + settings.paceMs;
    } else if (records.length === 0) await wait(more, { signal, clock, untilMs: kept.records > 0 ? dueAtMs : null });
  }
}

async function write(owned: OwnedPartition, kept: KeptPartition, maxBytes: number): Promise<void> {
  const { nextOffset } = kept;
  const parts = kept.write(maxBytes);
  for (const [index, changes] of parts.entries()) {
    await owned.commit([], changes, index === parts.length - 1 ? nextOffset : undefined);
  }
}

interface Until {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly untilMs: number | null;
}

async function wait(more: Wakeup, { signal, clock, untilMs }: Until): Promise<void> {
  if (untilMs === null) return more.wait(signal);
  const over = new AbortController();
  void clock.sleep(untilMs - clock.nowMs(), over.signal).then(() => {
    if (!over.signal.aborted) more.wake();
  });
  await more.wait(signal);
  over.abort();
}
