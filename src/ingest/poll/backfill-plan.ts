/**
 * The backfill of one stream: history, from `backfill_since` up to where the live poll begins, read once. Pure.
 *
 * Covered is always one stretch, from `coveredFromMs` to the live poll; a part is what is being added before it.
 *
 *   off ◄──(no backfill_since)── running ──(everything from backfill_since is covered)──► done
 *                                 ▲   │(paused)
 *                                 └───┴► paused
 *
 * Invariants (test/unit/ingest/poll/backfill-plan.test.ts cites them):
 * B1 What is covered is not read again, but after a restart was asked for; a `backfill_since` moved back adds a part of what
 *    is missing, one moved forward cuts the part short. What had been read of what it cuts off is read again, should it be
 *    wanted again.
 * B2 A part is covered only when its walk, and that of the archive where one is needed, have been read to their ends.
 * B3 The archive is read after the store: what grows too old for the one meanwhile is in the other by then.
 * B4 A restart asked for is done once, whoever owns the connection meanwhile.
 * B5 A page out of order moves nothing: it is asked for again.
 */
import type { Row } from './streams.ts';
import { type Alarm, type Answer, boundOf, type Known, readAnswer, startWalk, type Walk } from './walk.ts';

export type BackfillStatus = 'off' | 'running' | 'paused' | 'done';

export interface BackfillPart {
  readonly fromMs: number;
  /** Included. */
  readonly toMs: number;
  readonly phase: 'standard' | 'archive';
  /** How far the archive may reach; null: the part is too young to be in it. */
  readonly archiveToMs: number | null;
  readonly walk: Walk;
}

export interface BackfillState {
  readonly startedAtMs: number;
  /** Null: nothing yet. */
  readonly coveredFromMs: number | null;
  readonly part: BackfillPart | null;
  /** Of all parts since the last restart. */
  readonly rowsDone: number;
  /** Of the present walk, as told by the last page; null where it was not. */
  readonly rowsLeft: number | null;
  /** Lately; null when not running. */
  readonly rowsPerSecond: number | null;
  /** The last restart that was done. */
  readonly restartId: string | null;
  readonly status: BackfillStatus;
  readonly updatedAtMs: number;
}

/** What is asked for: the connection's setting and the control record. */
export interface BackfillWish {
  readonly sinceMs: number | null;
  readonly paused: boolean;
  readonly restartId: string | null;
}

export interface BackfillSettings {
  /** Where the live poll begins: nothing from there on is read. */
  readonly beforeMs: number;
  /** Records not updated for so long are found in the archive only. */
  readonly horizonMs: number;
  readonly pageSize: number;
  readonly maxPages: number;
}

export const HORIZON_MS = 2 * 365 * 86_400_000;
/** Where exactly the store ends is Kustomer's secret (leap days, time zones, nightly jobs). */
const HORIZON_SLACK_MS = 2 * 86_400_000;

export function firstBackfillState(startedAtMs: number, nowMs: number): BackfillState {
  return {
    startedAtMs,
    coveredFromMs: null,
    part: null,
    rowsDone: 0,
    rowsLeft: null,
    rowsPerSecond: null,
    restartId: null,
    status: 'off',
    updatedAtMs: nowMs,
  };
}

/** What is to be done now: with status `running` the state has a part to read on. The same object when nothing changes. */
export function planBackfill(
  state: BackfillState,
  wish: BackfillWish,
  settings: BackfillSettings,
  nowMs: number,
): BackfillState {
  const next = planned(restarted(state, wish.restartId), wish, settings, nowMs);
  if (next.status === state.status && next.part === state.part && next.restartId === state.restartId) return state;
  const rowsPerSecond = next.status === 'running' ? next.rowsPerSecond : null;
  return { ...next, rowsPerSecond, updatedAtMs: nowMs };
}

function planned(state: BackfillState, wish: BackfillWish, settings: BackfillSettings, nowMs: number): BackfillState {
  const { sinceMs, paused } = wish;
  if (sinceMs === null) return { ...state, status: 'off' };
  const part = state.part === null ? null : cutShort(state.part, sinceMs);
  const topMs = state.coveredFromMs ?? settings.beforeMs;
  if (part === null && sinceMs >= topMs) return { ...state, part, rowsLeft: 0, status: 'done' };
  if (paused) return { ...state, part, status: 'paused' };
  return { ...state, part: part ?? newPart(sinceMs, topMs - 1, settings, nowMs), status: 'running' };
}

/** B4 */
function restarted(state: BackfillState, restartId: string | null): BackfillState {
  if (restartId === null || restartId === state.restartId) return state;
  return { ...state, restartId, coveredFromMs: null, part: null, rowsDone: 0, rowsLeft: null };
}

/** B1. The same object when nothing is to be cut; null when nothing is left. */
function cutShort(part: BackfillPart, sinceMs: number): BackfillPart | null {
  if (sinceMs <= part.fromMs) return part;
  if (sinceMs > part.toMs) return null;
  const { walk } = part;
  const place =
    walk.place.kind === 'range' && walk.place.fromMs < sinceMs
      ? { kind: 'range' as const, fromMs: sinceMs, page: 1 }
      : walk.place;
  return { ...part, fromMs: sinceMs, walk: { ...walk, fromMs: sinceMs, place } };
}

function newPart(fromMs: number, toMs: number, { horizonMs }: BackfillSettings, nowMs: number): BackfillPart {
  const archiveToMs = Math.min(toMs, nowMs - horizonMs + HORIZON_SLACK_MS);
  return {
    fromMs,
    toMs,
    phase: 'standard',
    archiveToMs: archiveToMs < fromMs ? null : archiveToMs,
    walk: startWalk(fromMs, toMs),
  };
}

export interface BackfillStep<R> {
  readonly state: BackfillState;
  readonly publish: readonly Row<R>[];
  readonly duplicates: number;
  readonly alarms: readonly Alarm[];
  readonly forgetBeforeMs: number;
  readonly disordered: boolean;
}

export function backfillAnswered<R>(
  state: BackfillState & { readonly part: BackfillPart },
  answer: Answer<R>,
  known: Known,
  { pageSize, maxPages }: BackfillSettings,
  nowMs: number,
): BackfillStep<R> {
  const { part } = state;
  const { walk, publish, duplicates, alarms, disordered } = readAnswer(part.walk, answer, {
    pageSize,
    maxPages,
    known,
  });
  const told = { publish, duplicates, alarms, disordered };
  const counted = { ...state, rowsDone: state.rowsDone + publish.length, updatedAtMs: nowMs };
  if (disordered) return { ...told, state: counted, forgetBeforeMs: boundOf(part.walk) };
  if (walk !== null) {
    const rowsLeft = rowsLeftAfter(state, answer);
    return { ...told, state: { ...counted, part: { ...part, walk }, rowsLeft }, forgetBeforeMs: boundOf(walk) };
  }
  const next = { ...counted, ...afterWalk(part), rowsLeft: 0 };
  return { ...told, state: next, forgetBeforeMs: Number.POSITIVE_INFINITY };
}

/** B2, B3 */
function afterWalk(part: BackfillPart): Pick<BackfillState, 'part'> | Pick<BackfillState, 'part' | 'coveredFromMs'> {
  const { fromMs, archiveToMs, phase } = part;
  if (phase === 'archive' || archiveToMs === null) return { part: null, coveredFromMs: fromMs };
  return { part: { ...part, phase: 'archive', walk: startWalk(fromMs, archiveToMs) } };
}

/** A page tells how much there is from its bound on; within ties it tells of the ties only. */
function rowsLeftAfter({ part, rowsLeft }: BackfillState, { total, rows }: Answer): number | null {
  if (part?.walk.place.kind === 'range' && total !== null) return Math.max(0, total - rows.length);
  return rowsLeft;
}
