/**
 * One request budget per organisation, whatever the number of processes. Every process that calls Kustomer has gates here,
 * and is a member of the group whose members lend: each partition of the asks has one lender at a time.
 */
import { randomUUID } from 'node:crypto';
import { type Clock, steadyClock } from '../../base/clock.ts';
import type { Log } from '../../kafka/port.ts';
import { StreamWorker } from '../../kafka/stream-worker.ts';
import { topicNames } from '../../kafka/topics.ts';
import { LEASE_TIMES } from '../../kustomer/budget/lease-forms.ts';
import type { LenderConfig } from '../../kustomer/budget/lender.ts';
import type { BudgetGate } from '../../kustomer/client/budget-gate.ts';
import type { Settings } from '../settings.ts';
import type { Logger, Metrics } from '../telemetry.ts';
import { openLeaseLog } from './lease-log.ts';
import { createLeasedGate, type LeasedGate } from './leased-gate.ts';
import { createLenderTask } from './lender-task.ts';
import { scrapeGates } from './metrics.ts';

export { budgetKeyOf } from './key.ts';
export type { LeasedGate } from './leased-gate.ts';

export interface BudgetsOptions {
  readonly log: Log;
  readonly settings: Pick<
    Settings,
    'topicPrefix' | 'sessionTimeoutMs' | 'shutdownMs' | 'apiBudgetShare' | 'apiSearchBudgetShare'
  >;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The process must end: see StreamObserver.crashed. */
  readonly crashed: (error: unknown) => void;
  /** Measures spans, so it must never be set. */
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly uniqueId?: () => string;
}

export interface BudgetsHealth {
  readonly ready: boolean;
  readonly detail: unknown;
}

export interface Budgets {
  /** The same gate for the same key (see `budgetKeyOf`), for as long as this lives. */
  gateFor(organisation: string): BudgetGate;
  health(): BudgetsHealth;
  /** Gives back what was lent and not used, then leaves the group. */
  close(): Promise<void>;
}

export const BUDGET_GROUP = 'cn-kustomer.budget';

/** Until another lender takes over, nobody gets a lease from those partitions; and there is next to nothing to restore. */
const SESSION_TIMEOUT_MS = 8000;
/** As many transactional ids: each partition moves by itself. */
const SHARDS = 4;

export async function createBudgets(options: BudgetsOptions): Promise<Budgets> {
  const { log, settings, logger, metrics, crashed } = options;
  const { clock = steadyClock, random = Math.random, uniqueId = randomUUID } = options;
  const names = topicNames(settings.topicPrefix);
  const config: LenderConfig = {
    budget: {
      othersShare: 1 - settings.apiBudgetShare / 100,
      searchOthersShare: 1 - settings.apiSearchBudgetShare / 100,
    },
    times: LEASE_TIMES,
  };
  const leases = await openLeaseLog({ log, topics: { asks: names.budgetAsks, leases: names.budgetLeases }, logger });
  const gates = new Map<string, LeasedGate>();
  const borrower = uniqueId();
  let closed = false;

  const worker = await StreamWorker.start({
    log,
    clientId: 'budget',
    random,
    uniqueId,
    settings: {
      groupId: `${settings.topicPrefix}${BUDGET_GROUP}`,
      topic: names.budgetAsks,
      stateTopic: names.budgetLeases,
      shardCount: SHARDS,
      sessionTimeoutMs: Math.min(settings.sessionTimeoutMs, SESSION_TIMEOUT_MS),
      maxBatchRecords: 500,
      paceMs: 2,
      maxQueuedRecords: 1500,
      transactionTimeoutMs: 10_000,
      restoreStallMs: 15_000,
      stateMaxBytes: 2 ** 26,
      // Never: an organisation that is idle for long must not have its grant ids begin anew.
      stateRetentionMs: Number.MAX_SAFE_INTEGER,
      retryMinMs: 50,
      retryMaxMs: 2000,
    },
    createTask: () =>
      createLenderTask({
        config,
        nowMs: () => clock.nowMs(),
        onDecided: (_organisation, lender) => {
          for (const { unmet } of lender.answers) {
            for (const { lane, reason } of unmet) metrics.add('cnk_budget_unmet_total', 1, { lane, reason });
          }
        },
        onUnreadable: (what, organisation) =>
          logger.error(
            { event: 'budget.unreadable', what, organisation },
            'a record of the budget is not of this form',
          ),
      }),
    observer: {
      assigned: (epoch, shards) => logger.info({ event: 'budget.assigned', epoch, shards }, 'budgets to lend from'),
      opened: (shard, restored) => logger.info({ event: 'budget.opened', shard, ...restored }, 'lender open'),
      lost: (shard, range) =>
        logger.warn({ event: 'budget.asks_lost', shard, ...range }, 'asks were not answered in time'),
      committed: (_shard, { durationMs }) => metrics.observe('cnk_budget_lend_seconds', durationMs / 1000),
      failed: (shard, error, next) => {
        metrics.add('cnk_budget_lender_failures_total', 1, { code: error.code, next });
        logger.warn({ event: 'budget.failed', shard, code: error.code, next, reason: error.message }, 'lender ended');
      },
      crashed,
    },
  }).catch(async (error) => {
    await leases.close().catch(() => undefined); // the cause matters
    throw error;
  });

  metrics.onScrape(() => scrapeGates(metrics, [...gates.values()]));
  return {
    gateFor: (organisation) => {
      const known = gates.get(organisation);
      if (known !== undefined) return known;
      const gate = createLeasedGate({
        organisation,
        borrower,
        leases,
        clock,
        random,
        times: LEASE_TIMES,
        queue: { onGranted: (lane, waitedMs) => metrics.observe('cnk_budget_wait_seconds', waitedMs / 1000, { lane }) },
        onAnswered: (tookMs) => metrics.observe('cnk_budget_answer_seconds', tookMs / 1000),
      });
      if (closed) gate.close();
      else gates.set(organisation, gate);
      return gate;
    },
    health: () => {
      const reading = leases.health();
      const organisations = Object.fromEntries(
        [...gates].map(([organisation, gate]) => [organisation, { ...gate.health(), ...gate.leases() }]),
      );
      return {
        ready: worker.health.ready && reading.following,
        detail: { lender: worker.health, log: reading, organisations },
      };
    },
    close: async () => {
      closed = true;
      for (const gate of gates.values()) gate.close();
      const deadline = new AbortController();
      await Promise.race([
        Promise.all([...gates.values()].map((gate) => gate.settled())),
        log.clock.sleep(settings.shutdownMs / 4, deadline.signal),
      ]);
      deadline.abort();
      await worker.close();
      await leases.close();
    },
  };
}
