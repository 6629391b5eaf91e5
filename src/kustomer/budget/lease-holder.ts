/**
 * The borrower's side of lease-table.ts: what this process may start, and what it owes back.
 *
 * H1 A call is started only within `startMs` of having asked, by our own clock, and only within the counts lent.
 * H2 A lease is returned once it can start nothing more and all its calls have ended. One with a call that got no answer
 *    is left to lapse: the server may count that call after we gave it up.
 * H3 A lease found for an ask that we no longer know is never used: it is returned, as unused.
 */
import type { Ending } from './bucket.ts';
import type { CallKind } from './lanes.ts';
import { LEASE_TIMES, type LeaseAsk, type LeaseReturn, type LeaseTable, type LeaseTimes } from './lease-table.ts';

export interface LeaseHolder {
  readonly borrower: string;
  readonly times: LeaseTimes;
  readonly nextSequence: number;
  /** Asked and not yet answered: when, by sequence. */
  readonly asked: ReadonlyMap<number, number>;
  readonly held: readonly HeldLease[];
  /** Leases up to this one have been seen: the table repeats them. */
  readonly seenLeaseId: number;
}

interface HeldLease {
  readonly leaseId: number;
  readonly startUntilMs: number;
  readonly calls: number;
  readonly searches: number;
  readonly usedCalls: number;
  readonly usedSearches: number;
  readonly open: number;
  readonly lapses: boolean;
}

export function emptyHolder(borrower: string, times: LeaseTimes = LEASE_TIMES): LeaseHolder {
  return { borrower, times, nextSequence: 1, asked: new Map(), held: [], seenLeaseId: 0 };
}

/** To be called before the ask is appended: the clock of the lease runs from here (L3). */
export function ask(
  before: LeaseHolder,
  { calls, searches, nowMs }: { readonly calls: number; readonly searches: number; readonly nowMs: number },
): { readonly holder: LeaseHolder; readonly ask: LeaseAsk } {
  const { borrower, nextSequence: sequence, times } = before;
  // An ask this old would be answered too late to be of use (H3).
  const waiting = [...before.asked].filter(([, askedAtMs]) => nowMs - askedAtMs < times.startMs);
  const holder = { ...before, nextSequence: sequence + 1, asked: new Map([...waiting, [sequence, nowMs] as const]) };
  return { holder, ask: { type: 'ask', borrower, sequence, calls, searches } };
}

/** The table as committed. Leases of ours that are new become usable, for what is left of their time. */
export function see(before: LeaseHolder, table: LeaseTable): LeaseHolder {
  const fresh = table.leases.filter(
    ({ borrower, leaseId, returned }) => borrower === before.borrower && leaseId > before.seenLeaseId && !returned,
  );
  const asked = new Map(before.asked);
  const held = fresh.map(({ leaseId, sequence, calls, searches }): HeldLease => {
    const askedAtMs = asked.get(sequence);
    asked.delete(sequence);
    const startUntilMs = askedAtMs === undefined ? Number.NEGATIVE_INFINITY : askedAtMs + before.times.startMs;
    return { leaseId, startUntilMs, calls, searches, usedCalls: 0, usedSearches: 0, open: 0, lapses: false };
  });
  const seenLeaseId = Math.max(before.seenLeaseId, table.nextLeaseId - 1);
  return { ...before, asked, held: [...before.held, ...held], seenLeaseId };
}

/** The lease a call may be started on, now; null when there is none. The oldest first, for it ends first. */
export function start(
  before: LeaseHolder,
  kind: CallKind,
  nowMs: number,
): { readonly holder: LeaseHolder; readonly leaseId: number } | null {
  const search = kind === 'search' ? 1 : 0;
  const lease = before.held.find(
    ({ startUntilMs, calls, searches, usedCalls, usedSearches }) =>
      nowMs < startUntilMs && usedCalls < calls && usedSearches + search <= searches,
  );
  if (lease === undefined) return null;
  const { leaseId, usedCalls, usedSearches, open } = lease;
  const used = { ...lease, usedCalls: usedCalls + 1, usedSearches: usedSearches + search, open: open + 1 };
  return { holder: withLease(before, used), leaseId };
}

export interface FinishedCall {
  readonly leaseId: number;
  readonly kind: CallKind;
  readonly ending: Ending;
}

/** What provably never left can be used again. */
export function finish(before: LeaseHolder, { leaseId, kind, ending }: FinishedCall): LeaseHolder {
  const lease = before.held.find((held) => held.leaseId === leaseId);
  if (lease === undefined || lease.open === 0) return before;
  const back = ending === 'not_sent' ? 1 : 0;
  return withLease(before, {
    ...lease,
    open: lease.open - 1,
    usedCalls: lease.usedCalls - back,
    usedSearches: lease.usedSearches - (kind === 'search' ? back : 0),
    lapses: lease.lapses || ending === 'unanswered',
  });
}

/** What is due back; to be appended to the asks. Losing one costs capacity for a while, never exactness (L2). */
export function due(
  before: LeaseHolder,
  nowMs: number,
): { readonly holder: LeaseHolder; readonly returns: readonly LeaseReturn[] } {
  const over = before.held.filter(
    ({ open, usedCalls, calls, startUntilMs }) => open === 0 && (usedCalls >= calls || nowMs >= startUntilMs),
  );
  if (over.length === 0) return { holder: before, returns: [] };
  return {
    holder: { ...before, held: before.held.filter((lease) => !over.includes(lease)) },
    returns: over
      .filter(({ lapses }) => !lapses)
      .map(({ leaseId, usedCalls, usedSearches }) => ({ type: 'return', leaseId, usedCalls, usedSearches })),
  };
}

function withLease(holder: LeaseHolder, changed: HeldLease): LeaseHolder {
  return { ...holder, held: holder.held.map((lease) => (lease.leaseId === changed.leaseId ? changed : lease)) };
}
