/**
 * How often something may be done, counted exactly across all instances. Whoever wants to act appends a reservation to
 * one log partition; its place there decides, and whoever reads the log comes to the same answer.
 *
 * Time is the log's own (LogAppendTime), never a reader's clock. One `QuotaState` is one rule of one tenant.
 *
 * Q1 A reservation at t is granted if and only if fewer than its `max` granted ones lie in (t − window, t].
 * Q2 Time does not go back: an append time before an earlier one counts as that earlier one.
 * Q3 An id is granted once: a repetition gets the same answer and takes nothing, for as long as its window; then the grant is
 *    over and the id a new one. What was refused took nothing and is remembered by nobody: it may be asked again.
 * Q4 A release takes a grant back: the call was never made, its place is free at once, and its id is not granted again,
 *    not even to a reservation that was overtaken by its own release.
 * Q5 A record that was applied before changes nothing: the same log gives the same grants, however it is cut into batches
 *    and wherever a restart reads on from.
 * Q6 Bounded: the grants of one window, so at most the largest `max`, and less than 2 × MAX_RELEASED released ids. A released
 *    id that is forgotten for younger ones, and comes all the same, costs a grant that nobody uses, at most.
 * Q7 A grant may be used for a while only, or calls would bunch up in windows that no grant counts in. Whoever asks again for an
 *    id that was granted more than `freshMs` ago has its place moved to now: never one more, and never an earlier one.
 *
 * States share what they have in common, so an older one stays good when a transaction fails.
 */
import { Fifo } from './fifo.ts';

export const MAX_RELEASED = 256;
/** As much of one piece of a twin as lets it be written often. */
const RELEASED_PER_CHUNK = 128;
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

export interface ReleasedEntry {
  readonly id: string;
}

export interface QuotaState {
  /** Records below it have been applied. */
  readonly nextOffset: number;
  readonly lastMs: number;
  /** In the order of their times. */
  readonly granted: Fifo<GrantEntry>;
  /** Latest last. */
  readonly released: Fifo<ReleasedEntry>;
}

export const NEW_QUOTA: QuotaState = Object.freeze({
  nextOffset: 0,
  lastMs: 0,
  granted: Fifo.empty<GrantEntry>(GRANTED_PER_CHUNK),
  released: Fifo.empty<ReleasedEntry>(RELEASED_PER_CHUNK),
});

export type QuotaOutcome =
  /** `repeated`: decided before, and nothing more was taken. `sinceMs`: from when on it counts. */
  | { readonly kind: 'granted'; readonly used: number; readonly sinceMs: number; readonly repeated: boolean }
  /** `freeAtMs`: no reservation is granted before, unless one is released. */
  | { readonly kind: 'refused'; readonly used: number; readonly freeAtMs: number }
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
  if (state.released.has(id)) return { state, outcome: { kind: 'released' } };
  if (used >= max) return { state, outcome: { kind: 'refused', used, freeAtMs: freeAt(state, max, windowMs) } };
  const outcome = { kind: 'granted', used: used + 1, sinceMs: atMs, repeated: false } as const;
  return { state: { ...state, granted: granted.push({ id, atMs }) }, outcome };
}

function release(before: QuotaState, id: string): QuotaStep {
  const outcome = { kind: 'released' } as const;
  if (before.released.has(id)) return { state: before, outcome };
  const released = before.released.push({ id }).keepLatest(MAX_RELEASED);
  return { state: { ...before, granted: before.granted.without(id), released }, outcome };
}

/** Q5: what is known of a record that comes again. */
function remembered(state: QuotaState, record: QuotaRecord): QuotaOutcome {
  if (record.op === 'release') return { kind: 'released' };
  const used = state.granted.size;
  const grant = state.granted.find(record.id);
  if (grant !== undefined) return { kind: 'granted', used, sinceMs: grant.atMs, repeated: true };
  return { kind: state.released.has(record.id) ? 'released' : 'forgotten' };
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
