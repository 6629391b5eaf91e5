/**
 * When a borrower writes to the lender, and for what it asks.
 *
 * D1 It asks for those who wait, once per waiter and answer: not again before the answer, before REASK_MS without one, or
 *    before the time the lender named. With a large store one ask at a time is enough: who comes meanwhile is in the next;
 *    and none while half of it is in hand: who waits then waits for another call's end.
 * D2 While calls of the writes lane are recent, a few are held in store and replaced before they run out: a write then
 *    finds a lease. After WARM_MS without one, nothing is held.
 * D3 A 429, and the outcome of the call that tries after one, is told at once; what is due back within RETURN_AFTER_MS.
 */
import { freeGrants, isOver, overSinceMs } from './held-lease.ts';
import { CALL_KINDS, type CallKind, LANES, type Lane } from './lanes.ts';
import type { LeaseWant } from './lease-forms.ts';
import { type LeaseHolder, REASK_MS } from './lease-holder.ts';

/** Who waits for a grant. */
export type Demand = Readonly<Record<Lane, Readonly<Record<CallKind, number>>>>;

export interface Need {
  readonly demand: Demand;
  /** Of the writes lane. */
  readonly lastWriteAtMs: number;
}

export interface Plan {
  readonly send: boolean;
  readonly wants: readonly LeaseWant[];
  /** When to look again if nothing happens before. */
  readonly lookAtMs: number;
}

export const WARM_MS = 60_000;
const RETURN_AFTER_MS = 500;
/** A store is replaced this long before it runs out. */
const RENEW_BEFORE_MS = 1000;
const MAX_WANTED = 256;
const MAX_STORED = 256;
/** A store of more is not replaced one by one: each ask is a message, and an answer of the lender's. */
const REPLACED_ONE_BY_ONE = 4;
/** Below this, what the server has left is news for everybody. */
const LITTLE_LEFT = 20;

export function plan(holder: LeaseHolder, { demand, lastWriteAtMs }: Need, nowMs: number): Plan {
  // No arrays in between, here and below: this runs with every call, and with its end.
  let lookAtMs = Number.POSITIVE_INFINITY;
  const look = (atMs: number): void => {
    if (atMs > nowMs && atMs < lookAtMs) lookAtMs = atMs;
  };
  const wants: LeaseWant[] = [];
  const warm = nowMs < lastWriteAtMs + WARM_MS;
  if (warm) look(lastWriteAtMs + WARM_MS);
  for (const lane of LANES) {
    for (const kind of CALL_KINDS) {
      const store = lane === 'writes' && kind === 'call' && warm ? storeOf(holder, nowMs) : 0;
      const wanted = Math.min(
        MAX_WANTED,
        missing(holder, { lane, kind, waiting: demand[lane][kind], store }, nowMs, look),
      );
      const isPatient = store > REPLACED_ONE_BY_ONE && holder.asked.some(({ atMs }) => nowMs - atMs < REASK_MS);
      if (wanted === 0 || isPatient) continue;
      const notBeforeMs = holder.unmet.find((unmet) => unmet.lane === lane && unmet.kind === kind)?.untilMs ?? nowMs;
      if (notBeforeMs > nowMs) look(notBeforeMs);
      else wants.push({ lane, kind, count: wanted });
    }
  }
  for (const { atMs } of holder.asked) look(atMs + REASK_MS);
  const send = wants.length > 0 || hasNews(holder, nowMs, look);
  return { send, wants, lookAtMs };
}

interface Wanted {
  readonly lane: Lane;
  readonly kind: CallKind;
  readonly waiting: number;
  readonly store: number;
}

/** What neither a lease in hand nor an ask under way will cover. */
function missing(
  holder: LeaseHolder,
  { lane, kind, waiting, store }: Wanted,
  nowMs: number,
  look: (atMs: number) => void,
): number {
  if (waiting + store === 0) return 0;
  let free = 0;
  let lasting = 0;
  for (const lease of holder.held) {
    const grants = freeGrants(lease);
    if (lease.lane !== lane || lease.kind !== kind || grants === 0) continue;
    if (nowMs < lease.startUntilMs) free += grants;
    if (nowMs + RENEW_BEFORE_MS < lease.startUntilMs) lasting += grants;
    if (store > 0) look(lease.startUntilMs - RENEW_BEFORE_MS);
  }
  let asked = 0;
  for (const { atMs, wants } of holder.asked) {
    if (nowMs - atMs >= REASK_MS) continue;
    for (const want of wants) if (want.lane === lane && want.kind === kind) asked += want.count;
  }
  if (store > REPLACED_ONE_BY_ONE && 2 * lasting >= store) return 0;
  const short = Math.max(0, store - lasting);
  return Math.max(0, waiting + short - (waiting > 0 ? free : 0) - asked);
}

/** Calls of a fifth of a second, so that several processes may hold it; none while a pause lets one call through. */
function storeOf({ table, stop }: LeaseHolder, nowMs: number): number {
  if (table === null || table.pause !== null || (stop !== null && nowMs < stop.untilMs)) return 0;
  return Math.min(MAX_STORED, Math.max(1, Math.floor(table.calls.share / 300)));
}

function hasNews(holder: LeaseHolder, nowMs: number, look: (atMs: number) => void): boolean {
  const pausing = holder.table?.pause != null;
  const urgent = holder.heard.some(
    ({ refused, facts }) => refused || pausing || (facts.remaining ?? LITTLE_LEFT) < LITTLE_LEFT,
  );
  if (urgent) return true;
  let isDue = false;
  let sinceMs = Number.POSITIVE_INFINITY;
  for (const lease of holder.held) {
    look(lease.startUntilMs);
    if (!isOver(lease, nowMs)) continue;
    isDue = true;
    sinceMs = Math.min(sinceMs, overSinceMs(lease));
  }
  if (isDue && pausing) return true;
  for (const { atMs } of holder.heard) sinceMs = Math.min(sinceMs, atMs);
  if (!Number.isFinite(sinceMs)) return isDue;
  look(sinceMs + RETURN_AFTER_MS);
  return nowMs >= sinceMs + RETURN_AFTER_MS;
}
