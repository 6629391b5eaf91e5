/**
 * The live poll of one stream: window after window, each from a little before the cursor to the newest there is. Pure.
 *
 * Invariants (test/unit/ingest/poll/plan.property.test.ts cites them):
 * L1 The cursor never falls, and moves only when a window has been read to its end, to the latest time seen in it.
 * L2 The cursor never passes the server's time at the start of its window. A row that becomes visible late, within the
 *    overlap, is therefore in the next window, however long this one took. Where one page is a whole window that holds by
 *    itself; where more pages are needed, the newest row of that moment is asked for first and ends the window.
 * L3 The time of an answer (the server's `Date`, or our clock without one) only ever holds the cursor back: a row from the
 *    future does not carry it past rows that are yet to come.
 * L4 A page out of order is published, but moves nothing: the window is read again from its start.
 * L5 What is forgotten (`forgetBeforeMs`) no window of the present or a later cursor can show again.
 * L6 State is plain data: after a restart at any point the walk goes on with the page it was at.
 */
import type { Row } from './streams.ts';
import { type Alarm, type Answer, boundOf, type Known, readAnswer, startWalk, type Walk } from './walk.ts';

export interface LiveState {
  /** The connection's: another beginning is another connection under the same id. */
  readonly startedAtMs: number;
  readonly cursorMs: number;
  /** Null between windows. */
  readonly walk: Walk | null;
  /** L2, L3: where the cursor may go at most at the end of this window. Null until that is known. */
  readonly capMs: number | null;
  /** By our clock: when the present window was begun; 0 between windows. What the lag is measured by. */
  readonly walkStartedAtMs: number;
}

export interface LiveSettings {
  /** How late a row may become visible, and how far the clocks of the vendor's machines may differ. */
  readonly overlapMs: number;
  readonly pageSize: number;
  readonly maxPages: number;
}

export const LIVE_DEFAULTS: LiveSettings = { overlapMs: 300_000, pageSize: 500, maxPages: 100 };

/** Beyond it a row's time says that a clock is wrong, ours or theirs. */
const SKEW_ALARM_MS = 300_000;

export interface LiveStep<R> {
  readonly state: LiveState;
  readonly publish: readonly Row<R>[];
  readonly duplicates: number;
  readonly alarms: readonly Alarm[];
  readonly forgetBeforeMs: number;
  /** The window has been read to its end. */
  readonly complete: boolean;
  /** L4: wait before the next attempt. */
  readonly disordered: boolean;
}

/** Without a backfill nothing before the connection's start is wanted; twice the overlap, as its start is by our clock. */
export function firstLiveState(startedAtMs: number, overlapMs: number): LiveState {
  return { startedAtMs, cursorMs: startedAtMs - overlapMs, walk: null, capMs: null, walkStartedAtMs: 0 };
}

/** The first moment the live poll reads; history is everything before. */
export function liveFromMs(startedAtMs: number, overlapMs: number): number {
  return startedAtMs - 2 * overlapMs;
}

/** Opens the next window, unless one is open. `nowMs` by our clock. */
export function beginWindow(state: LiveState, settings: LiveSettings, nowMs: number): LiveState & { walk: Walk } {
  if (state.walk !== null) return { ...state, walk: state.walk };
  const walk = startWalk(state.cursorMs - settings.overlapMs, null);
  return { ...state, walk, capMs: null, walkStartedAtMs: nowMs };
}

/** `serverMs`: when the answer was given (L3). */
export function answered<R>(
  state: LiveState & { readonly walk: Walk },
  answer: Answer<R>,
  known: Known,
  { pageSize, maxPages, overlapMs }: LiveSettings,
  serverMs: number,
): LiveStep<R> {
  const step = readAnswer(state.walk, answer, { pageSize, maxPages, known });
  const { publish, duplicates, disordered } = step;
  const alarms = [...step.alarms, ...skew(answer.rows, serverMs)];
  const told = { publish, duplicates, alarms, disordered };
  // Nothing of the window stays, so that one that brought nothing leaves the state as it was.
  const closed = { ...state, walk: null, capMs: null, walkStartedAtMs: 0 };
  if (disordered) {
    return { ...told, state: closed, complete: false, forgetBeforeMs: state.cursorMs - overlapMs };
  }
  if (step.walk !== null) {
    const { place, toMs } = step.walk;
    // Between the newest row and the walk back to the start: what is read from here on is read after `toMs` was present.
    const isBounded = state.walk.place.kind === 'head' && place.kind === 'range' && toMs !== null;
    const capMs = isBounded ? Math.min(toMs, serverMs) : state.capMs;
    const next = { ...state, walk: step.walk, capMs };
    // L5: the next window may begin an overlap before where this one stands, should everything behind it move away.
    const least = Math.min(boundOf(step.walk), capMs ?? state.cursorMs);
    return { ...told, state: next, complete: false, forgetBeforeMs: Math.max(least, state.cursorMs) - overlapMs };
  }
  const reachedMs = Math.min(latestOf(state.walk, answer.rows) ?? state.cursorMs, state.capMs ?? serverMs);
  const cursorMs = Math.max(state.cursorMs, reachedMs);
  return { ...told, state: { ...closed, cursorMs }, complete: true, forgetBeforeMs: cursorMs - overlapMs };
}

function latestOf({ maxMs }: Walk, rows: readonly Row[]): number | null {
  return rows.reduce<number | null>(
    (max, { timeMs }) => (timeMs === null ? max : Math.max(max ?? timeMs, timeMs)),
    maxMs,
  );
}

function skew(rows: readonly Row[], serverMs: number): readonly Alarm[] {
  const ahead = rows.filter(({ timeMs }) => timeMs !== null && timeMs > serverMs + SKEW_ALARM_MS).length;
  if (ahead === 0) return [];
  const message = `${ahead} rows are of a time more than ${SKEW_ALARM_MS / 60_000} minutes ahead of the answer they came with`;
  return [{ code: 'poll_clock_skew', message, rows: ahead }];
}
