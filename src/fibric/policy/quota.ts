/**
 * How often something may be done, counted exactly across all instances. Whoever wants to act appends a reservation to
 * one log partition; its place there decides, and whoever reads the log comes to the same answer.
 *
 * Time is the log's own (LogAppendTime), never a reader's clock. One `QuotaState` is one rule of one tenant.
 *
 * Q1 A reservation at t is granted if and only if fewer than its `max` granted ones lie in (t − window, t].
 * Q2 Time does not go back: an append time before an earlier one counts as that earlier one.
 * Q3 An id is decided once: a repetition gets the same answer and takes nothing. That holds for what is granted as long as
 *    its window, then the grant is over and the id a new one; of what is not granted for the latest MAX_SETTLED at least.
 *    Forgetting one of those costs at most a grant that nobody uses.
 * Q4 A release takes a grant back: the call was never made, its place is free at once, and its id is not granted again,
 *    not even to a reservation that was overtaken by its own release.
 * Q5 A record that was applied before changes nothing: the same log gives the same grants, however it is cut into batches
 *    and wherever a restart reads on from.
 * Q6 Bounded: the grants of one window, so at most the largest `max`, and less than 2 × MAX_SETTLED other ids.
 * Q7 A grant may be used for a while only, or calls would bunch up in windows that no grant counts in. Whoever asks again for an
 *    id that was granted more than `freshMs` ago has its place moved to now: never one more, and never an earlier one.
 *
 * States share what they have in common, so an older one stays good when a transaction fails.
 */
import { Fifo } from './fifo.ts';

export const MAX_SETTLED = 256;
/** Not granted: as much of one piece of a twin as lets it be written often. */
const SETTLED_PER_CHUNK = 128;
const GRANTED_PER_CHUNK = 256;

export interface QuotaReserve {
  readonly op: 'reserve';
  /** Of one attempt to act. After a release the next attempt needs another. */
  readonly id: string;
  readonly max: number;
  readonly windowMs: number;
  readonly freshMs: number;
}

export interface QuotaRelease {
  readonly op: 'release';
  readonly id: string;
}

export type QuotaRecord = QuotaReserve | QuotaRelease;

/** Where and when the log took a record. */
export interface LogPlace {
  readonly offset: number;
  readonly atMs: number;
}

export interface GrantEntry {
  readonly id: string;
  readonly atMs: number;
}

export interface SettledEntry {
  readonly id: string;
  readonly as: 'refused' | 'released';
}

export interface QuotaState {
  /** Records below it have been applied. */
  readonly nextOffset: number;
  readonly lastMs: number;
  /** In the order of their times. */
  readonly granted: Fifo<GrantEntry>;
  /** Refused and released, latest last. */
  readonly settled: Fifo<SettledEntry>;
}

export const NEW_QUOTA: QuotaState = Object.freeze({
  nextOffset: 0,
  lastMs: 0,
  granted: Fifo.empty<GrantEntry>(GRANTED_PER_CHUNK),
  settled: Fifo.empty<SettledEntry>(SETTLED_PER_CHUNK),
});

export type QuotaOutcome =
  /** `repeated`: decided before, and nothing more was taken. `sinceMs`: from when on it counts. */
  | { readonly kind: 'granted'; readonly used: number; readonly sinceMs: number; readonly repeated: boolean }
  /** `freeAtMs`: no reservation is granted before, unless one is released. */
  | { readonly kind: 'refused'; readonly used: number; readonly freeAtMs: number; readonly repeated: boolean }
  /** The answer to a release, and to a reservation of a released id. */
  | { readonly kind: 'released' }
  /** Applied before, and no longer remembered. */
  | { readonly kind: 'forgotten' };

export interface QuotaStep {
  readonly state: QuotaState;
  readonly outcome: QuotaOutcome;
}

export function applyQuota(before: QuotaState, record: QuotaRecord, place: LogPlace): QuotaStep {
  if (place.offset < before.nextOffset) return { state: before, outcome: remembered(before, record) };
  const atMs = Math.max(before.lastMs, place.atMs);
  const state = { ...before, nextOffset: place.offset + 1, lastMs: atMs };
  return record.op === 'reserve' ? reserve(state, record) : release(state, record.id);
}

function reserve(before: QuotaState, { id, max, windowMs, freshMs }: QuotaReserve): QuotaStep {
  const { lastMs: atMs } = before;
  const granted = before.granted.dropWhile((grant) => grant.atMs <= atMs - windowMs);
  const state = { ...before, granted };
  const used = granted.size;
  const grant = granted.find(id);
  if (grant !== undefined) {
    const isFresh = grant.atMs >= atMs - freshMs;
    const outcome = { kind: 'granted', used, sinceMs: isFresh ? grant.atMs : atMs, repeated: true } as const;
    return { state: isFresh ? state : { ...state, granted: granted.without(id).push({ id, atMs }) }, outcome };
  }
  const settled = state.settled.find(id);
  if (settled?.as === 'released') return { state, outcome: { kind: 'released' } };
  if (settled === undefined && used < max) {
    const outcome = { kind: 'granted', used: used + 1, sinceMs: atMs, repeated: false } as const;
    return { state: { ...state, granted: granted.push({ id, atMs }) }, outcome };
  }
  const freeAtMs = freeAt(state, max, windowMs);
  const outcome = { kind: 'refused', used, freeAtMs, repeated: settled !== undefined } as const;
  return { state: settled === undefined ? settle(state, { id, as: 'refused' }) : state, outcome };
}

function release(state: QuotaState, id: string): QuotaStep {
  const outcome = { kind: 'released' } as const;
  if (state.settled.find(id)?.as === 'released') return { state, outcome };
  const granted = state.granted.without(id);
  const settled = state.settled.without(id);
  return { state: settle({ ...state, granted, settled }, { id, as: 'released' }), outcome };
}

function settle(state: QuotaState, entry: SettledEntry): QuotaState {
  return { ...state, settled: state.settled.push(entry).keepLatest(MAX_SETTLED) };
}

/** Q5: what is known of a record that comes again. */
function remembered(state: QuotaState, record: QuotaRecord): QuotaOutcome {
  if (record.op === 'release') return { kind: 'released' };
  const used = state.granted.size;
  const grant = state.granted.find(record.id);
  if (grant !== undefined) return { kind: 'granted', used, sinceMs: grant.atMs, repeated: true };
  const settled = state.settled.find(record.id);
  if (settled === undefined) return { kind: 'forgotten' };
  if (settled.as === 'released') return { kind: 'released' };
  return { kind: 'refused', used, freeAtMs: freeAt(state, record.max, record.windowMs), repeated: true };
}

/** When the grant ends that leaves room for one more. */
function freeAt({ granted, lastMs }: QuotaState, max: number, windowMs: number): number {
  const last = granted.at(granted.size - max);
  return last === undefined ? lastMs : Math.max(lastMs, last.atMs + windowMs);
}

/** From when on a new reservation may be granted, unless one is released; `nowMs` when it may now. Estimates as `quotaUsed`. */
export function quotaFreeAtMs(
  state: QuotaState,
  { max, windowMs }: { readonly max: number; readonly windowMs: number },
  nowMs: number,
): number {
  return Math.max(nowMs, freeAt(state, max, windowMs));
}

/** Granted in the window that ends now. An estimate where `nowMs` is not the log's time; the reservation decides. */
export function quotaUsed({ granted, lastMs }: QuotaState, windowMs: number, nowMs: number): number {
  const sinceMs = Math.max(lastMs, nowMs) - windowMs;
  return granted.size - granted.countWhile((grant) => grant.atMs <= sinceMs);
}
