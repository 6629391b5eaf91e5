/**
 * One walk through a window of a stream, oldest first: which page to ask for next, and what an answered page means. Pure.
 *
 * Pages are not counted through: a row that is updated meanwhile leaves its place, those behind it move up, and the next
 * page would miss one. Instead every page is the first one behind a bound, and the bound moves to the last value seen.
 *
 *   range ──(more, later values)──► range            the bound is the last time seen, its ties are read again
 *     │ (a page of one time only)
 *     ▼
 *    tie ──(more, later creations)──► tie            exactly that time, bound by the creation
 *     │ (a page of one creation only)
 *     ▼
 *   pages ──► … page 100                             exactly both: counted through, until as many are known as there are
 *   head                                             the newest row: where a window of several pages ends
 *
 * Invariants (walk.test.ts and plan.property.test.ts in test/unit/ingest/poll cite them):
 * P1 A row that is visible with a time within the window from the walk's start to its end is handed out, or known already,
 *    before the walk ends; unless P5.
 * P2 Every bound grows, or the page does, or a page is asked for once more: a walk over a finite store ends.
 * P3 What is known (id at this rev or a later one) is not handed out again; nothing else is held back.
 * P4 No page above `maxPages` is asked for.
 * P5 Rows that cannot be reached (more than `maxPages` pages of one time and one creation; ties that never stand still) are
 *    counted in an alarm, and the walk goes on behind them.
 * P6 A page out of order, or with rows outside its bounds, moves nothing.
 */
import type { Row } from './streams.ts';

export type Place =
  | { readonly kind: 'range'; readonly fromMs: number; readonly page: number }
  | { readonly kind: 'head' }
  | {
      readonly kind: 'tie';
      readonly atMs: number;
      readonly createdFromMs: number | null;
      /** Its page was out of order, and is asked for once more. Not kept over a restart. */
      readonly isAgain?: true;
    }
  | {
      readonly kind: 'pages';
      readonly atMs: number;
      /** Null: creations cannot split this time. */
      readonly createdMs: number | null;
      readonly page: number;
      readonly pass: number;
      /** Of the group, since its size last changed. Not kept over a restart: then it is counted through anew. */
      readonly ids: ReadonlySet<string>;
      readonly total: number | null;
    };

export interface Walk {
  readonly fromMs: number;
  /** Included. Null: not known to be needed, as long as one page may hold it all. */
  readonly toMs: number | null;
  readonly place: Place;
  /** Latest time seen. */
  readonly maxMs: number | null;
}

export interface Answer<R = unknown> {
  /** In the order of the answer. */
  readonly rows: readonly Row<R>[];
  /** Entries nothing can be made of. */
  readonly unreadable: number;
  /** There is a next page. */
  readonly more: boolean;
  /** All that match, where told. */
  readonly total: number | null;
}

export type AlarmCode = 'poll_out_of_order' | 'poll_rows_unread' | 'poll_row_unreadable' | 'poll_clock_skew';

export interface Alarm {
  readonly code: AlarmCode;
  readonly message: string;
  /** Rows concerned, where they can be counted. */
  readonly rows: number;
}

export interface Known {
  /** This row at this revision or a later one. */
  knows(row: Row): boolean;
}

export interface Reading {
  readonly pageSize: number;
  readonly maxPages: number;
  readonly known: Known;
}

export interface WalkStep<R> {
  /** Null: the end. */
  readonly walk: Walk | null;
  /** Out of order: nothing has moved, `walk` is what it was. */
  readonly disordered: boolean;
  readonly publish: readonly Row<R>[];
  readonly duplicates: number;
  readonly alarms: readonly Alarm[];
}

/** Of a group of ties whose order changes from search to search; each brings about two thirds of what is missing. */
const MAX_PASSES = 30;

export function startWalk(fromMs: number, toMs: number | null): Walk {
  return { fromMs, toMs, place: { kind: 'range', fromMs, page: 1 }, maxMs: null };
}

/** Nothing before it will be asked for again by this walk. */
export function boundOf({ fromMs, place }: Walk): number {
  if (place.kind === 'head') return fromMs;
  return place.kind === 'range' ? place.fromMs : place.atMs;
}

export function readAnswer<R>(walk: Walk, answer: Answer<R>, reading: Reading): WalkStep<R> {
  const { place } = walk;
  if (place.kind === 'head') return still({ walk: withHead(walk, answer), alarms: [] });
  const { publish, duplicates } = unseen(answer.rows, reading.known);
  const told = { publish, duplicates };
  const wrong = disorder(walk, answer.rows);
  const alarms = unreadable(answer);
  if (wrong !== null) {
    alarms.push({ code: 'poll_out_of_order', message: wrong, rows: answer.rows.length });
    return { ...told, walk, disordered: true, alarms };
  }
  const seen = { ...walk, maxMs: latest(walk.maxMs, answer.rows) };
  const next = { range: afterRange, tie: afterTie, pages: afterPages }[place.kind];
  const after = (next as (...args: readonly unknown[]) => Next)(seen, place, answer, reading);
  return { ...told, walk: after.walk, disordered: false, alarms: [...alarms, ...after.alarms] };
}

interface Next {
  readonly walk: Walk | null;
  readonly alarms: readonly Alarm[];
}

const at = (walk: Walk, place: Place): Next => ({ walk: { ...walk, place }, alarms: [] });
const still = <R>({ walk, alarms }: Next): WalkStep<R> => ({
  walk,
  alarms,
  disordered: false,
  publish: [],
  duplicates: 0,
});

function afterRange(walk: Walk, place: Place & { kind: 'range' }, answer: Answer, { maxPages }: Reading): Next {
  if (!answer.more) return { walk: null, alarms: [] };
  // The window is open at its end and needs more than this page: first find out where it ends (see plan.ts L2).
  if (walk.toMs === null) return at(walk, { kind: 'head' });
  const lastMs = latest(null, answer.rows);
  if (lastMs !== null && lastMs > place.fromMs) return at(walk, { kind: 'range', fromMs: lastMs, page: 1 });
  if (lastMs !== null) return at(walk, { kind: 'tie', atMs: lastMs, createdFromMs: null });
  // A page without any time, but there is more: the only way on is the next page.
  if (place.page < maxPages) return at(walk, { ...place, page: place.page + 1 });
  return unreached(walk, null, answer.total, 'pages without a time on any row');
}

/** The newest visible row says where the server's time stands. From there back to the start: see plan.ts L2. */
function withHead(walk: Walk, { rows }: Answer): Walk {
  const newestMs = Math.max(walk.fromMs, walk.maxMs ?? walk.fromMs, latest(null, rows) ?? walk.fromMs);
  return startWalk(walk.fromMs, newestMs);
}

function afterTie(walk: Walk, place: Place & { kind: 'tie' }, answer: Answer): Next {
  const { atMs, createdFromMs } = place;
  if (!answer.more) return behind(walk, atMs);
  const created = answer.rows.map(({ createdMs }) => createdMs);
  const first = created[0] ?? null;
  const last = created.at(-1) ?? null;
  const areTold = created.every((ms) => ms !== null);
  const inOrder = areTold && created.every((ms, index) => ms >= (created[index - 1] ?? createdFromMs ?? ms));
  // Once is an accident (P6). Who always answers so does not sort by creations, and they cannot split this time.
  if (areTold && !inOrder && place.isAgain === undefined) return at(walk, { ...place, isAgain: true });
  const group = { kind: 'pages', atMs, page: 1, pass: 1, ids: new Set<string>(), total: null } as const;
  if (!inOrder || first === null || last === null) return at(walk, { ...group, createdMs: null });
  if (last > (createdFromMs ?? first)) return at(walk, { kind: 'tie', atMs, createdFromMs: last });
  return at(walk, { ...group, createdMs: last });
}

function afterPages(walk: Walk, place: Place & { kind: 'pages' }, answer: Answer, { maxPages }: Reading): Next {
  const { atMs, createdMs, page, pass } = place;
  // A group that has grown or shrunk may have moved under the pages: what was counted so far proves nothing.
  const sameGroup = answer.total === place.total;
  const ids = new Set([...(sameGroup ? place.ids : []), ...answer.rows.map(({ id }) => id)]);
  const done = (): Next =>
    createdMs === null ? behind(walk, atMs) : at(walk, { kind: 'tie', atMs, createdFromMs: createdMs + 1 });
  const grew = ids.size > (sameGroup ? place.ids.size : 0);
  if (answer.total !== null && ids.size >= answer.total) return done();
  const next = { ...place, ids, total: answer.total };
  if (answer.more && page < maxPages) return at(walk, { ...next, page: page + 1 });
  if (answer.more) return unreached(walk, done(), left(answer.total, ids.size), 'rows of one time and one creation');
  // Without a total, a pass whose last page brought nothing new has to do.
  if (answer.total === null && pass > 1 && !grew) return done();
  if (pass < MAX_PASSES) return at(walk, { ...next, page: 1, pass: pass + 1 });
  return unreached(walk, done(), left(answer.total, ids.size), 'rows of one time whose order never stands still');
}

/** All of `atMs` is read. */
function behind(walk: Walk, atMs: number): Next {
  if (walk.toMs !== null && atMs >= walk.toMs) return { walk: null, alarms: [] };
  return at(walk, { kind: 'range', fromMs: atMs + 1, page: 1 });
}

function unreached(walk: Walk, next: Next | null, rows: number | null, what: string): Next {
  const where = new Date(boundOf(walk)).toISOString();
  const message = `too many ${what} at ${where}: ${rows ?? 'an unknown number of'} rows could not be read`;
  return { walk: next?.walk ?? null, alarms: [{ code: 'poll_rows_unread', message, rows: rows ?? 1 }] };
}

const left = (total: number | null, got: number): number | null => (total === null ? null : Math.max(0, total - got));

/** P6. What is wrong with the page, or null. */
function disorder(walk: Walk, rows: readonly Row[]): string | null {
  const { place, toMs } = walk;
  const [low, high] =
    place.kind === 'range' ? [place.fromMs, toMs] : place.kind === 'head' ? [null, null] : [place.atMs, place.atMs];
  let last = low;
  for (const [index, { timeMs }] of rows.entries()) {
    if (timeMs === null) continue;
    if (last !== null && timeMs < last) {
      return `row ${index + 1} of the page is of ${iso(timeMs)}, before ${iso(last)}`;
    }
    if (high !== null && timeMs > high) return `row ${index + 1} of the page is of ${iso(timeMs)}, after ${iso(high)}`;
    last = timeMs;
  }
  return null;
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** P3 */
function unseen<R>(rows: readonly Row<R>[], known: Known): { publish: readonly Row<R>[]; duplicates: number } {
  const byId = new Map<string, Row<R>>();
  let duplicates = 0;
  for (const row of rows) {
    const other = byId.get(row.id);
    const isOlder = other !== undefined && (row.rev ?? row.timeMs ?? 0) <= (other.rev ?? other.timeMs ?? 0);
    if (known.knows(row) || isOlder) duplicates += 1;
    else byId.set(row.id, row);
  }
  return { publish: [...byId.values()], duplicates };
}

function latest(beforeMs: number | null, rows: readonly Row[]): number | null {
  let ms = beforeMs;
  for (const { timeMs } of rows) if (timeMs !== null && (ms === null || timeMs > ms)) ms = timeMs;
  return ms;
}

function unreadable(answer: Answer): Alarm[] {
  const untimed = answer.rows.filter(({ timeMs }) => timeMs === null).length;
  const rows = answer.unreadable + untimed;
  if (rows === 0) return [];
  const message = `${answer.unreadable} entries without a type or id, ${untimed} rows without a time`;
  return [{ code: 'poll_row_unreadable', message, rows }];
}
