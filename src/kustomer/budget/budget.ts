/**
 * The request budget of one Kustomer organisation: who may call now, and if not, when to ask again.
 *
 * G1 In no 60 s of the server's are more calls of ours counted than our share, `limit × (1 − othersShare)`; nor more
 *    searches than our share of the search limit (see bucket.ts B1).
 * G2 What is refused to a lane is refused to every lane below it, for calls and for searches (B2).
 * G3 A 429 stops every lane, but for one that is about a customer or an object only: for `Retry-After`, else until the
 *    reset, else for a backoff; answers that were under way when it began do not add to the backoff. After it one call
 *    tries alone; the rest follows its answer. If none comes for TRIAL_PATIENCE_MS, another one tries: a process that was
 *    killed with the first must not stop everybody.
 * G4 No header can stop the organisation for longer than `maxPauseMs`, and none can raise our share over the limit told.
 * G5 Every grant ends exactly once; one whose end is never told is taken as unanswered after `maxOpenMs`.
 * G6 Time never runs backwards in here, whatever the caller's clock does.
 * G7 Others may take more than their share: what the server says is left bounds us too (see server-window.ts), and of that
 *    the lower lanes leave what writes are likely to need until the window ends.
 */
import {
  type Bucket,
  type Ended,
  type Ending,
  elapse,
  emptyBucket,
  end,
  reserveOf,
  take,
  used,
  waitFor,
  withLimit,
} from './bucket.ts';
import { type CallKind, LANES, type Lane } from './lanes.ts';
import { type Pause, type PauseCause, pauseAfter } from './pause.ts';
import { type AnswerHeaders, type RateFacts, rateFacts } from './rate-headers.ts';
import { callUntold, leftInWindow, RESET_SLACK_MS, type ServerWindow, seeWindow, windowOver } from './server-window.ts';

export interface BudgetConfig {
  /** Part of the organisation's budget that is not ours, 0 to 0.95. */
  readonly othersShare: number;
  /** Calls per minute of the organisation until an answer tells; the smallest plan has 300. */
  readonly assumedLimit: number;
  /** Searches per minute of a machine user. */
  readonly searchLimit: number;
  /** Part of the search limit that is not ours: for keys whose machine user is shared with another program. */
  readonly searchOthersShare: number;
  readonly maxPauseMs: number;
  readonly maxOpenMs: number;
  /** Grants of the writes lane are given out ahead of need (lender.ts): what is in hand is part of what is kept for it. */
  readonly lendsAhead: boolean;
}

export const BUDGET_DEFAULTS: BudgetConfig = {
  othersShare: 0.3,
  assumedLimit: 300,
  searchLimit: 100,
  searchOthersShare: 0,
  maxPauseMs: 300_000,
  maxOpenMs: 300_000,
  lendsAhead: false,
};

export interface Grant {
  readonly grantId: number;
  readonly kind: CallKind;
  readonly lane: Lane;
  readonly grantedAtMs: number;
}

export interface BudgetState {
  readonly config: BudgetConfig;
  readonly nowMs: number;
  readonly nextGrantId: number;
  /** Calls per minute of the whole organisation: told, or assumed. */
  readonly limit: number;
  readonly limitTold: boolean;
  /** Searches per minute as an answer told them; null until one did. */
  readonly searchLimit: number | null;
  readonly calls: Bucket;
  readonly searches: Bucket;
  readonly open: readonly Grant[];
  readonly window: ServerWindow | null;
  /** Remains after its end until a call has succeeded. */
  readonly pause: Pause | null;
  readonly lastGrantAtMs: number;
  readonly writes: WriteRate;
}

/** Grants of the writes lane, averaged over the last minutes. */
interface WriteRate {
  readonly perMs: number;
  readonly atMs: number;
}

/** `lease`: nothing is known to stand against it, but the lender has not answered yet (see lease-holder.ts). */
export type WaitReason = 'paused' | 'trial' | 'window_empty' | 'share' | 'search_limit' | 'lease';

export type BudgetAnswer =
  | { readonly state: BudgetState; readonly grant: Grant }
  | { readonly state: BudgetState; readonly waitUntilMs: number; readonly reason: WaitReason };

/** While one call tries alone, its answer decides; this often somebody looks. */
const RECHECK_MS = 1000;
/** A call that tries alone holds up the others at most this long; most answers take a tenth of a second. */
const TRIAL_PATIENCE_MS = 5000;
const WRITE_MEMORY_MS = 300_000;
/** Of the share. Beside steadily many writes, the other lanes must not starve. */
const MOST_KEPT_FOR_WRITES = 0.04;
/** Without a reset the end of an empty window is a guess: one call this often finds out. */
const BLIND_TRIAL_MS = 2000;

export function initialBudget(config: Partial<BudgetConfig> = {}): BudgetState {
  const full = { ...BUDGET_DEFAULTS, ...config };
  return {
    config: full,
    nowMs: 0,
    nextGrantId: 1,
    limit: full.assumedLimit,
    limitTold: false,
    searchLimit: null,
    calls: emptyBucket(share(full.assumedLimit, full.othersShare)),
    searches: emptyBucket(share(full.searchLimit, full.searchOthersShare)),
    open: [],
    window: null,
    pause: null,
    lastGrantAtMs: Number.NEGATIVE_INFINITY,
    writes: { perMs: 0, atMs: 0 },
  };
}

export interface BudgetRequest {
  readonly lane: Lane;
  readonly kind: CallKind;
  readonly nowMs: number;
}

/** Asks for one call. With a grant the call must be started at once, and its end told by `observe` or `settle`. */
export function request(before: BudgetState, ask: BudgetRequest): BudgetAnswer {
  const { state, grants, refused } = requestMany(before, { ...ask, count: 1 });
  const [grant] = grants;
  if (grant !== undefined) return { state, grant };
  if (refused === null) throw new TypeError('Neither granted nor refused');
  return { state, ...refused };
}

/** So many calls, one after another until one is refused. */
export function requestMany(
  before: BudgetState,
  { lane, kind, nowMs, count }: BudgetRequest & { readonly count: number },
): { readonly state: BudgetState; readonly grants: readonly Grant[]; readonly refused: Refusal | null } {
  const advanced = advance(before, nowMs);
  const open = [...advanced.open]; // grows under the states below, which nobody sees before it is done
  const grants: Grant[] = [];
  let state: BudgetState = { ...advanced, open };
  let refused: Refusal | null = null;
  while (grants.length < count) {
    refused = refusal(state, lane, kind);
    if (refused !== null) break;
    const grant: Grant = { grantId: state.nextGrantId, kind, lane, grantedAtMs: state.nowMs };
    grants.push(grant);
    open.push(grant);
    state = {
      ...state,
      writes: lane === LANES[0] ? noteWrite(state.writes, state.nowMs) : state.writes,
      nextGrantId: state.nextGrantId + 1,
      calls: take(state.calls, state.nowMs),
      searches: kind === 'search' ? take(state.searches, state.nowMs) : state.searches,
      lastGrantAtMs: state.nowMs,
    };
  }
  return { state, grants, refused };
}

function noteWrite({ perMs, atMs }: WriteRate, nowMs: number): WriteRate {
  return { perMs: perMs * Math.exp((atMs - nowMs) / WRITE_MEMORY_MS) + 1 / WRITE_MEMORY_MS, atMs: nowMs };
}

/**
 * Writes to be expected until the server's window ends, and a few more. When others overdraw, what is left of the window
 * is all there is for everybody, and the lower lanes would use it up long before its end.
 */
function writesUntil({ writes, nowMs, calls }: BudgetState, endsAtMs: number): number {
  const perMs = writes.perMs * Math.exp((writes.atMs - nowMs) / WRITE_MEMORY_MS);
  const expected = perMs * Math.max(0, endsAtMs - nowMs);
  const wanted = expected + 2 * Math.sqrt(expected);
  return Math.floor(Math.min(wanted, MOST_KEPT_FOR_WRITES * calls.limit));
}

export type Refusal = { readonly waitUntilMs: number; readonly reason: WaitReason };

function refusal(state: BudgetState, lane: Lane, kind: CallKind): Refusal | null {
  const { nowMs, pause, window } = state;
  if (pause !== null) {
    if (nowMs < pause.untilMs) return { waitUntilMs: pause.untilMs, reason: 'paused' };
    // One that is not heard of for so long was given to somebody who has died: another tries.
    const isTrying = ({ grantId, grantedAtMs }: Grant) =>
      grantId >= pause.fromGrantId && nowMs < grantedAtMs + TRIAL_PATIENCE_MS;
    if (state.open.some(isTrying)) {
      return { waitUntilMs: nowMs + RECHECK_MS, reason: 'trial' };
    }
  }
  const reserve = reserveOf(state.calls.limit, lane);
  const lendsAhead = reserve > 0 && state.config.lendsAhead;
  const inHand = lendsAhead ? state.open.filter((grant) => grant.lane === LANES[0]).length : 0;
  const kept = Math.max(0, reserve - inHand);
  const keptInWindow = window === null || lane === LANES[0] ? 0 : Math.max(kept, writesUntil(state, window.endsAtMs));
  if (window !== null && leftInWindow(window, state.open.length) - keptInWindow < 1) {
    if (window.resetEpochS !== null) return { waitUntilMs: window.endsAtMs + RESET_SLACK_MS, reason: 'window_empty' };
    const trialAtMs = Math.max(state.lastGrantAtMs + BLIND_TRIAL_MS, state.open.length > 0 ? nowMs + RECHECK_MS : 0);
    if (nowMs < trialAtMs) return { waitUntilMs: Math.min(trialAtMs, window.endsAtMs), reason: 'window_empty' };
  }
  const callAtMs = waitFor(state.calls, { lane, kept, nowMs });
  if (callAtMs !== null) return { waitUntilMs: callAtMs, reason: 'share' };
  const keptSearches = reserveOf(state.searches.limit, lane);
  const searchAtMs = kind === 'search' ? waitFor(state.searches, { lane, kept: keptSearches, nowMs }) : null;
  return searchAtMs === null ? null : { waitUntilMs: searchAtMs, reason: 'search_limit' };
}

export interface Observation {
  readonly grant: Grant;
  readonly status: number;
  /** A 429 that is not about the organisation as a whole. */
  readonly narrow?: boolean;
  readonly headers: AnswerHeaders;
  readonly nowMs: number;
  /** In [0, 1); spreads the backoff of processes that were refused together. */
  readonly random: number;
}

/** An answer came, whatever its status: ends the grant and learns from the headers. */
export function observe(before: BudgetState, observation: Observation): BudgetState {
  const { grant, headers, nowMs, random } = observation;
  const state = settle(before, { grant, ending: 'answered', nowMs });
  return hear(state, { grant, refused: refusesAll(observation), facts: rateFacts(headers, nowMs), nowMs, random });
}

/** Whether an answer stops every call to the organisation. */
export function refusesAll({ status, narrow = false }: Pick<Observation, 'status' | 'narrow'>): boolean {
  return status === 429 && !narrow;
}

export interface Answer {
  readonly grant: Pick<Grant, 'grantId' | 'kind'>;
  /** See `refusesAll`. */
  readonly refused: boolean;
  readonly facts: RateFacts;
  readonly nowMs: number;
  readonly random: number;
}

/** Learns from an answer without ending its grant: the two may be told apart from each other. */
export function hear(before: BudgetState, { grant, refused, facts, nowMs, random }: Answer): BudgetState {
  const learned = learn(advance(before, nowMs), grant, facts);
  if (refused) return { ...learned, pause: pauseAfter(learned, { grantId: grant.grantId, facts, random }) };
  const thawed = learned.pause !== null && grant.grantId >= learned.pause.fromGrantId;
  return thawed ? { ...learned, pause: null } : learned;
}

export interface Settlement {
  readonly grant: Pick<Grant, 'grantId'>;
  readonly ending: Ending;
  readonly nowMs: number;
  /** When it ended, if that is known to be earlier than now. */
  readonly endedAtMs?: number;
}

/** A call ended: `not_sent` gives its slot back at once. */
export function settle(
  before: BudgetState,
  { grant, ending, nowMs, endedAtMs = Number.POSITIVE_INFINITY }: Settlement,
): BudgetState {
  return settleAll(before, new Map([[grant.grantId, { ending, endedAtMs }]]), nowMs);
}

export type End =
  | { readonly ending: Ending; readonly endedAtMs: number }
  /**
   * Nothing will be heard of it any more, though the server may count it yet: its slot is taken for as long as if it were left
   * open, and there is no more to remember of it.
   */
  | 'lapsed';

/** Calls that ended, by grant. */
export function settleAll(before: BudgetState, ends: ReadonlyMap<number, End>, nowMs: number): BudgetState {
  return close(advance(before, nowMs), ends);
}

function learn(state: BudgetState, { grantId, kind }: Answer['grant'], facts: RateFacts): BudgetState {
  const { config, nowMs, nextGrantId } = state;
  // Every plan has more calls than a machine user has searches, so a limit this small speaks of searches.
  if (kind === 'search' && facts.limit !== null && facts.limit <= config.searchLimit) {
    return {
      ...state,
      searchLimit: facts.limit,
      searches: withLimit(state.searches, share(facts.limit, config.searchOthersShare)),
      window: state.window === null ? null : callUntold(state.window, nextGrantId),
    };
  }
  const limit = facts.limit ?? state.limit;
  return {
    ...state,
    limit,
    limitTold: state.limitTold || facts.limit !== null,
    calls: withLimit(state.calls, share(limit, config.othersShare)),
    window: seeWindow(state.window, { facts, grantId, nextGrantId, nowMs }),
  };
}

function close(state: BudgetState, ends: ReadonlyMap<number, End>): BudgetState {
  const open: Grant[] = [];
  const calls: Ended[] = [];
  const searches: Ended[] = [];
  let { window } = state;
  for (const grant of state.open) {
    const end = ends.get(grant.grantId);
    if (end === undefined) {
      open.push(grant);
      continue;
    }
    const ended = endedOf(state, grant, end);
    calls.push(ended);
    if (grant.kind === 'search') searches.push(ended);
    if (window !== null && ended.ending === 'unanswered') window = callUntold(window, state.nextGrantId);
  }
  if (calls.length === 0) return state;
  return {
    ...state,
    open,
    calls: end(state.calls, calls),
    searches: searches.length > 0 ? end(state.searches, searches) : state.searches,
    window,
  };
}

function endedOf({ nowMs, config }: BudgetState, { grantedAtMs }: Grant, end: End): Ended {
  if (end === 'lapsed') return { ending: 'unanswered', atMs: grantedAtMs + config.maxOpenMs };
  return { ending: end.ending, atMs: Math.min(end.endedAtMs, nowMs) };
}

/** To this moment: what has come to its end, or lapsed, is let go. */
export function advance(before: BudgetState, nowMs: number): BudgetState {
  const now = Math.max(before.nowMs, nowMs);
  const { maxOpenMs } = before.config;
  const state: BudgetState = {
    ...before,
    nowMs: now,
    window: before.window !== null && windowOver(before.window, now) ? null : before.window,
  };
  const lost = state.open.filter(({ grantedAtMs }) => now - grantedAtMs > maxOpenMs);
  // As of when they were lost, not of when we look.
  const closed = lost.length === 0 ? state : close(state, new Map(lost.map(({ grantId }) => [grantId, 'lapsed'])));
  return { ...closed, calls: elapse(closed.calls, now), searches: elapse(closed.searches, now) };
}

/** At least one: an organisation we may never call could not be told from a broken one. */
export function share(limit: number, othersShare: number): number {
  return Math.max(1, Math.floor(limit * (1 - Math.min(Math.max(othersShare, 0), 0.95)) + 1e-9));
}

/** For status and metrics. */
export interface BudgetSnapshot {
  readonly limit: number;
  readonly limitTold: boolean;
  readonly share: number;
  readonly used: number;
  readonly searchShare: number;
  readonly searchUsed: number;
  readonly openCalls: number;
  /** As the server last told, less our open calls; null when unknown. */
  readonly left: number | null;
  readonly pausedUntilMs: number | null;
  readonly pauseCause: PauseCause | null;
}

export function snapshot(before: BudgetState, nowMs: number): BudgetSnapshot {
  const state = advance(before, nowMs);
  const paused = state.pause !== null && state.pause.untilMs > state.nowMs ? state.pause : null;
  return {
    limit: state.limit,
    limitTold: state.limitTold,
    share: state.calls.limit,
    used: used(state.calls),
    searchShare: state.searches.limit,
    searchUsed: used(state.searches),
    openCalls: state.open.length,
    left: state.window === null ? null : Math.max(0, leftInWindow(state.window, state.open.length)),
    pausedUntilMs: paused?.untilMs ?? null,
    pauseCause: paused?.cause ?? null,
  };
}
