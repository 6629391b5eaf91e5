/** A lender's state as its table in the log, and back. What comes back never allows more than what was written (L4). */
import { type Bucket, WINDOW_MS } from './bucket.ts';
import { type BudgetState, type Grant, initialBudget, share } from './budget.ts';
import type { LeaseTable } from './lease-forms.ts';
import { budgetConfigOf, grantsOf, type Lender, type LenderConfig, newLender } from './lender.ts';

/** Slots that come free within this time are one entry of the table: a full minute of calls in some 30 numbers. */
const TABLE_TICK_MS = 2000;

export function tableOf({ budget, leases, answers }: Lender): LeaseTable {
  const { nowMs, pause, window } = budget;
  const inMs = (atMs: number): number => Math.max(0, Math.ceil(atMs - nowMs));
  return {
    form: 1,
    nextGrantId: budget.nextGrantId,
    limit: budget.limitTold ? budget.limit : null,
    searchLimit: budget.searchLimit,
    calls: slotsOf(budget.calls, nowMs),
    searches: slotsOf(budget.searches, nowMs),
    leases: [...leases],
    pause:
      pause === null
        ? null
        : { inMs: inMs(pause.untilMs), cause: pause.cause, fromGrantId: pause.fromGrantId, strikes: pause.strikes },
    window:
      window === null
        ? null
        : {
            resetEpochS: window.resetEpochS,
            inMs: inMs(window.endsAtMs),
            lowest: window.lowest,
            nextGrantId: window.nextGrantId,
            untold: window.untold,
            untoldBefore: window.untoldBefore,
          },
    answers: [...answers],
  };
}

function slotsOf(bucket: Bucket, nowMs: number): LeaseTable['calls'] {
  const ticks = new Map<number, number>();
  for (const { freeAtMs, count } of bucket.held) {
    const inMs = Math.ceil(Math.max(0, freeAtMs - nowMs) / TABLE_TICK_MS) * TABLE_TICK_MS;
    ticks.set(inMs, (ticks.get(inMs) ?? 0) + count);
  }
  return {
    share: bucket.limit,
    held: [...ticks].sort(([a], [b]) => a - b),
    paceInMs: Math.max(-WINDOW_MS, Math.round(bucket.paceMs - nowMs)),
  };
}

/** What a new owner starts with, having fenced the one before and read the table to its end. */
export function lenderOf(table: LeaseTable, config: LenderConfig, nowMs: number): Lender {
  const fresh = initialBudget(budgetConfigOf(config));
  const limit = table.limit ?? fresh.limit;
  const open = table.leases.flatMap((lease) =>
    (lease.lapsing ?? grantsOf(lease)).map(
      (grantId): Grant => ({ grantId, kind: lease.kind, lane: lease.lane, grantedAtMs: nowMs }),
    ),
  );
  const { pause, window } = table;
  const budget: BudgetState = {
    ...fresh,
    nowMs,
    nextGrantId: table.nextGrantId,
    limit,
    limitTold: table.limit !== null,
    searchLimit: table.searchLimit,
    calls: bucketOf(table.calls, { limit: share(limit, fresh.config.othersShare), open: open.length, nowMs }),
    searches: bucketOf(table.searches, {
      limit: share(table.searchLimit ?? fresh.config.searchLimit, fresh.config.searchOthersShare),
      open: open.filter(({ kind }) => kind === 'search').length,
      nowMs,
    }),
    open,
    window: window === null ? null : { ...window, endsAtMs: nowMs + window.inMs },
    pause: pause === null ? null : { ...pause, untilMs: nowMs + pause.inMs },
    lastGrantAtMs: nowMs,
  };
  return { budget, leases: table.leases, answers: [] };
}

function bucketOf(
  { held, paceInMs }: LeaseTable['calls'],
  { limit, open, nowMs }: { readonly limit: number; readonly open: number; readonly nowMs: number },
): Bucket {
  return {
    limit,
    open,
    held: held.map(([inMs, count]) => ({ freeAtMs: nowMs + inMs, count })),
    heldCount: held.reduce((sum, [, count]) => sum + count, 0),
    paceMs: nowMs + paceInMs,
  };
}

/**
 * For a table nobody can read any more (another version's): as if the whole share had been used this moment. Its leases
 * may start calls yet, so the limit counts as used until they have lapsed.
 */
export function lenderOfUnknown(config: LenderConfig, nowMs: number): Lender {
  const lender = newLender(config, nowMs);
  const { startMs, callMs } = config.times;
  const freeAtMs = nowMs + startMs + callMs + 71_000;
  const full = (bucket: Bucket): Bucket => ({
    ...bucket,
    held: [{ freeAtMs, count: bucket.limit }],
    heldCount: bucket.limit,
  });
  const { budget } = lender;
  return { ...lender, budget: { ...budget, nowMs, calls: full(budget.calls), searches: full(budget.searches) } };
}
