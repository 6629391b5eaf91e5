/**
 * One budget, several processes: its owner keeps the budget of budget.ts and lends its grants to the others through the log.
 *
 * L1 Calls lent and not returned, and calls counted in the last 60 s, are together never more than the share; of searches
 *    likewise: a lease is grants of the budget, so G1 holds of all processes together.
 * L2 A lease that is not returned counts in full until nobody can have a call of it counted any more: its time to start
 *    calls, the longest call and the server's window have passed since it was lent.
 * L3 Only spans of time are compared, each by one clock (lease-forms.ts): the borrower counts from before it asked, the
 *    owner from when it lent, which is later. Clocks need not agree, only run (B1 of bucket.ts has the slack).
 * L4 A lease exists once it is committed. An owner that was fenced cannot commit; its successor goes on from the table as
 *    committed, and counts every span in it from then: never too early.
 * L5 An ask is answered once; a return of an unknown or returned lease changes nothing. (A repeated ask that is answered
 *    again, because nothing of the first answer is left, meets H3.)
 * L6 A 429 that any borrower heard stops all of them: nothing is lent until the time told, the table says which leases are
 *    void, and then one call alone tries for everybody (G3).
 * L7 The limit that any borrower was told bounds all of them from the next table on; what is lent already stays lent.
 * L8 Lanes hold across processes: what is refused to a lane in one process is refused to lower lanes in all of them (G2);
 *    of what was asked for together the more urgent lane is served first, and one lane's borrowers evenly.
 * L9 Nothing is lent with which the table would grow larger than a state may be, and nothing that comes back makes it
 *    larger: a table that cannot be written stops everybody for good, since its owner would begin again with the one before.
 */
import {
  advance,
  type BudgetConfig,
  type BudgetState,
  type End,
  type Grant,
  hear,
  initialBudget,
  requestMany,
  settleAll,
} from './budget.ts';
import { CALL_KINDS, LANES } from './lanes.ts';
import { LEASE_TIMES, type Lease, type LeaseAnswer, type LeaseMessage, type LeaseTimes } from './lease-forms.ts';

export interface Lender {
  readonly budget: BudgetState;
  /** Those of which a grant is open. */
  readonly leases: readonly Lease[];
  /** To the messages of the last `receive`. */
  readonly answers: readonly LeaseAnswer[];
}

export interface LenderConfig {
  readonly budget: Partial<BudgetConfig>;
  readonly times: LeaseTimes;
}

export const LENDER_DEFAULTS: LenderConfig = { budget: {}, times: LEASE_TIMES };

/** L9: of the 64 KiB of a state; the rest is for the slots, the pause and the answers. */
const MAX_LENT_BYTES = 48 * 1024;
/** In the table, at most, beside the name of its borrower. */
const LEASE_BYTES = 150;
/** Of one returned under an older version: each of its grants that is left to lapse. */
const GRANT_BYTES = 17;
const TABLE_FULL = { inMs: 1000, reason: 'lease' } as const;

export function budgetConfigOf({ budget, times }: LenderConfig): Partial<BudgetConfig> {
  return { ...budget, maxOpenMs: times.startMs + times.callMs, lendsAhead: true };
}

/** The budget of an organisation nobody has asked for yet. Grant ids begin with the time, so that none comes twice even if the log is lost. */
export function newLender(config: LenderConfig, nowMs: number): Lender {
  return {
    budget: { ...initialBudget(budgetConfigOf(config)), nextGrantId: Math.floor(nowMs) },
    leases: [],
    answers: [],
  };
}

/** Takes what came back, learns what was heard, then lends. All messages that are at hand together: L8. */
export function receive(before: Lender, messages: readonly LeaseMessage[], nowMs: number): Lender {
  // First what has lapsed: else a full table, of which nothing is lent, would stay full.
  const now = { ...before, budget: advance(before.budget, nowMs) };
  const told = tidy(messages.reduce((lender, message) => listen(lender, message, nowMs), now));
  return tidy(lend(told, currentAsks(messages, told.leases), nowMs));
}

function listen(before: Lender, { borrower, returns, heard }: LeaseMessage, nowMs: number): Lender {
  let { budget, leases } = before;
  const ends = new Map<number, End>();
  for (const { leaseId, ended, lapsing } of returns) {
    const lease = leases.find((lent) => lent.leaseId === leaseId && lent.borrower === borrower);
    if (lease === undefined || lease.lapsing !== null) continue;
    const endedAgo = new Map(ended);
    for (const grantId of grantsOf(lease)) {
      const agoMs = endedAgo.get(grantId);
      if (agoMs !== undefined) ends.set(grantId, { ending: 'answered', endedAtMs: nowMs - agoMs });
      else ends.set(grantId, lapsing.includes(grantId) ? 'lapsed' : { ending: 'not_sent', endedAtMs: nowMs });
    }
    leases = leases.filter((lent) => lent !== lease);
  }
  if (ends.size > 0) budget = settleAll(budget, ends, nowMs);
  for (const { grantId, kind, agoMs, refused, random, facts } of heard) {
    const less = (spanMs: number | null): number | null => (spanMs === null ? null : Math.max(0, spanMs - agoMs));
    const aged = { ...facts, resetInMs: less(facts.resetInMs), retryAfterMs: less(facts.retryAfterMs) };
    budget = hear(budget, { grant: { grantId, kind }, refused, facts: aged, nowMs, random });
  }
  return { ...before, budget, leases };
}

type Ask = Pick<LeaseMessage, 'borrower' | 'sequence' | 'wants'>;

/** Without those that were given up meanwhile, as after an outage, and without those answered before (L5). */
function currentAsks(messages: readonly LeaseMessage[], leases: readonly Lease[]): readonly Ask[] {
  const from = new Map<string, number>();
  for (const { borrower, sequence } of leases) from.set(borrower, Math.max(from.get(borrower) ?? 0, sequence + 1));
  for (const { borrower, waitingFrom } of messages) {
    from.set(borrower, Math.max(from.get(borrower) ?? 0, waitingFrom));
  }
  const asks = new Map<string, Ask>();
  for (const { borrower, sequence, wants } of messages) {
    if (wants.length > 0 && sequence >= (from.get(borrower) ?? 0))
      asks.set(`${borrower} ${sequence}`, { borrower, sequence, wants });
  }
  return [...asks.values()];
}

function lend(before: Lender, asks: readonly Ask[], nowMs: number): Lender {
  let { budget } = before;
  const leases = [...before.leases];
  const answers = new Map(
    asks.map(({ borrower, sequence }) => [borrower, { borrower, sequence, unmet: [] as LeaseAnswer['unmet'] }]),
  );
  for (const { borrower, sequence } of asks) {
    const answer = answers.get(borrower);
    if (answer !== undefined) answer.sequence = Math.max(answer.sequence, sequence);
  }
  for (const lane of LANES) {
    for (const kind of CALL_KINDS) {
      const wants = asks.flatMap(({ borrower, sequence, wants: all }) => {
        const wanted = all.filter((want) => want.lane === lane && want.kind === kind);
        return wanted.map(({ count }) => ({ borrower, sequence, count }));
      });
      const isFull = bytesOf(leases) + bytesOf(wants) > MAX_LENT_BYTES;
      const total = wants.reduce((sum, { count }) => sum + count, 0);
      const granted: Grant[] = [];
      let refused: Omit<LeaseAnswer['unmet'][number], 'lane' | 'kind'> | null = isFull ? TABLE_FULL : null;
      if (!isFull && total > 0) {
        const answer = requestMany(budget, { lane, kind, nowMs, count: total });
        budget = answer.state;
        granted.push(...answer.grants);
        if (answer.refused !== null) {
          const { waitUntilMs, reason } = answer.refused;
          refused = { inMs: Math.max(0, waitUntilMs - nowMs), reason };
        }
      }
      let next = 0;
      for (const [index, part] of evenly(
        granted.length,
        wants.map(({ count }) => count),
      ).entries()) {
        const { borrower, sequence, count } = wants[index] as (typeof wants)[number];
        const first = granted[next];
        next += part;
        if (first !== undefined && part > 0) {
          leases.push({ leaseId: first.grantId, borrower, sequence, lane, kind, count: part, lapsing: null });
        }
        if (part < count && refused !== null) answers.get(borrower)?.unmet.push({ lane, kind, ...refused });
      }
    }
  }
  return { budget, leases, answers: [...answers.values()] };
}

function bytesOf(leases: readonly (Pick<Lease, 'borrower'> & Partial<Pick<Lease, 'lapsing'>>)[]): number {
  return leases.reduce(
    (sum, { borrower, lapsing }) => sum + LEASE_BYTES + borrower.length + GRANT_BYTES * (lapsing?.length ?? 0),
    0,
  );
}

/** `total` dealt out one by one, to nobody more than wanted. */
function evenly(total: number, wanted: readonly number[]): readonly number[] {
  const parts = wanted.map(() => 0);
  let left = Math.min(
    total,
    wanted.reduce((sum, count) => sum + count, 0),
  );
  while (left > 0) {
    for (const [index, count] of wanted.entries()) {
      if (left === 0 || (parts[index] as number) >= count) continue;
      parts[index] = (parts[index] as number) + 1;
      left -= 1;
    }
  }
  return parts;
}

export function grantsOf({ leaseId, count }: Lease): readonly number[] {
  return Array.from({ length: count }, (_, index) => leaseId + index);
}

/** Forgets leases of which nothing is open any more: returned, or lapsed (G5). */
function tidy(lender: Lender): Lender {
  const open = new Set(lender.budget.open.map(({ grantId }) => grantId));
  const leases = lender.leases.filter((lease) => grantsOf(lease).some((grantId) => open.has(grantId)));
  return leases.length === lender.leases.length ? lender : { ...lender, leases };
}
