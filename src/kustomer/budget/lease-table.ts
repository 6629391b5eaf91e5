/**
 * One budget, several processes: its owner lends calls to the others through the log.
 *
 * L1 Calls lent, and calls used within the last 60 s, are together never more than the share; of searches likewise.
 * L2 A lease that is not returned counts in full until nobody can have a call of it counted any more: its time to start
 *    calls, the longest call and the server's window have passed since it was lent.
 * L3 Only spans of time are compared, each by one clock: the borrower counts from before it asked, the owner from when it
 *    lent, which is later. Clocks need not agree, only run (see GUARD_MS).
 * L4 A lease exists once it is committed. An owner that was fenced cannot commit; its successor reads the table to the
 *    end, and takes every lease in it for lent or returned at that moment: never too early.
 * L5 An ask is answered once, however often it is read; a return of an unknown or returned lease changes nothing.
 *
 * What the log gives (to be wired in the rooms that may use it):
 * - `kustomer.budget.asks`, partitioned and keyed by organisation, retained for minutes: `LeaseAsk` and `LeaseReturn`.
 * - `kustomer.budget.leases`, compacted, as many partitions, keyed by organisation: the whole `LeaseTable` of the
 *   organisation as its value, and nothing about clocks in it. A few hundred bytes.
 * - A group over the asks decides who owns a partition. The owner opens a transactional producer for it (fencing the one
 *   before), reads the twin partition of leases to its end, `restore`s, and goes on from the committed offset. Each step
 *   is one transaction: the new table and the offset of the asks it answers.
 * - Borrowers read leases with read_committed and take what bears their name (see lease-holder.ts).
 * A write pays two trips through the log only when its process holds no lease: ask before the last one runs out.
 */
import { WINDOW_MS } from './bucket.ts';

/** What two clocks may differ by while one of them measures a lease. */
export const GUARD_MS = 500;

export interface LeaseTimes {
  /** How long after asking a borrower may start calls. */
  readonly startMs: number;
  /** The longest from the start of a call until the server can no longer count it, answered or not. */
  readonly callMs: number;
}

export const LEASE_TIMES: LeaseTimes = { startMs: 5000, callMs: 50_000 };

export interface LeaseAsk {
  readonly type: 'ask';
  /** Unique to a run of a process, never reused after a restart. */
  readonly borrower: string;
  /** Ascending per borrower. */
  readonly sequence: number;
  readonly calls: number;
  /** Of those, how many may be searches. */
  readonly searches: number;
}

/** Every call of the lease has ended. */
export interface LeaseReturn {
  readonly type: 'return';
  readonly leaseId: number;
  readonly usedCalls: number;
  readonly usedSearches: number;
}

/** As it stands in the log. */
export interface Lease {
  readonly leaseId: number;
  readonly borrower: string;
  readonly sequence: number;
  /** Lent; or, once returned, used. */
  readonly calls: number;
  readonly searches: number;
  readonly returned: boolean;
}

export interface LeaseTable {
  readonly nextLeaseId: number;
  readonly leases: readonly Lease[];
}

export const EMPTY_TABLE: LeaseTable = { nextLeaseId: 1, leases: [] };

/** The table and what only its owner knows: when each lease stops counting, by its own clock. */
export interface Lessor {
  readonly table: LeaseTable;
  readonly freeAtMs: ReadonlyMap<number, number>;
  readonly times: LeaseTimes;
}

export interface Shares {
  readonly calls: number;
  readonly searches: number;
}

/** What a new owner starts with, having fenced the one before and read the table to its end. */
export function restore(table: LeaseTable, nowMs: number, times: LeaseTimes = LEASE_TIMES): Lessor {
  const freeAtMs = new Map(table.leases.map((lease) => [lease.leaseId, freeAt(lease, nowMs, times)]));
  return { table, freeAtMs, times };
}

/** Answers an ask with what there is, perhaps nothing: then the borrower asks again later. */
export function lend(before: Lessor, ask: LeaseAsk, shares: Shares, nowMs: number): Lessor {
  const lessor = forget(before, nowMs);
  const { table, times } = lessor;
  if (table.leases.some(({ borrower, sequence }) => borrower === ask.borrower && sequence >= ask.sequence))
    return lessor;
  const counted = countedIn(table);
  const calls = Math.max(0, Math.min(whole(ask.calls), shares.calls - counted.calls));
  const searches = Math.max(0, Math.min(whole(ask.searches), calls, shares.searches - counted.searches));
  if (calls === 0) return lessor;
  const { borrower, sequence } = ask;
  const lease: Lease = { leaseId: table.nextLeaseId, borrower, sequence, calls, searches, returned: false };
  return {
    table: { nextLeaseId: table.nextLeaseId + 1, leases: [...table.leases, lease] },
    freeAtMs: new Map(lessor.freeAtMs).set(lease.leaseId, freeAt(lease, nowMs, times)),
    times,
  };
}

/** What was not used is free at once, what was used after a window of the server's. */
export function takeBack(before: Lessor, { leaseId, usedCalls, usedSearches }: LeaseReturn, nowMs: number): Lessor {
  const lessor = forget(before, nowMs);
  const lent = lessor.table.leases.find((lease) => lease.leaseId === leaseId);
  if (lent === undefined || lent.returned) return lessor;
  const calls = Math.min(lent.calls, whole(usedCalls));
  const returned = { ...lent, calls, searches: Math.min(lent.searches, whole(usedSearches)), returned: true };
  const leases = lessor.table.leases.map((lease) => (lease === lent ? returned : lease));
  const freeAtMs = new Map(lessor.freeAtMs).set(leaseId, freeAt(returned, nowMs, lessor.times));
  return forget({ ...lessor, table: { ...lessor.table, leases }, freeAtMs }, nowMs);
}

/** What counts against the share. */
export function countedIn({ leases }: LeaseTable): Shares {
  return leases.reduce((sum, lease) => ({ calls: sum.calls + lease.calls, searches: sum.searches + lease.searches }), {
    calls: 0,
    searches: 0,
  });
}

function freeAt({ returned }: Lease, nowMs: number, { startMs, callMs }: LeaseTimes): number {
  return nowMs + WINDOW_MS + GUARD_MS + (returned ? 0 : startMs + callMs);
}

/** A returned lease of which nothing was used need not be remembered, nor one whose time has passed. */
function forget(lessor: Lessor, nowMs: number): Lessor {
  const kept = lessor.table.leases.filter(
    ({ leaseId, calls, returned }) => (lessor.freeAtMs.get(leaseId) ?? nowMs) > nowMs && !(returned && calls === 0),
  );
  if (kept.length === lessor.table.leases.length) return lessor;
  const freeAtMs = new Map(kept.map(({ leaseId }) => [leaseId, lessor.freeAtMs.get(leaseId) ?? nowMs]));
  return { ...lessor, table: { ...lessor.table, leases: kept }, freeAtMs };
}

/** A garbled number asks for nothing; of what was used it would claim all, by the bounds of its callers. */
function whole(count: number): number {
  if (Number.isNaN(count)) return 0;
  return Math.max(0, Math.floor(count));
}
