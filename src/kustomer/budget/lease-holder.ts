/**
 * The borrower's side of lender.ts: what this process may start, and what it owes back.
 *
 * H1 A call is started only within `startMs` of having asked, by our own clock, and only on a grant lent and not used yet,
 *    for its lane or a lower one.
 * H2 A lease is returned once it can start nothing more and all its calls have ended. A call that got no answer is left to
 *    lapse: the server may count it after we gave it up.
 * H3 A lease found for an ask that we no longer know is never used: it is returned, as unused.
 * H4 After a 429 of ours nothing is started until the time it told, or until the lender has taken the pause over; after
 *    one of anybody's, no lease is used that was lent before the lender knew of it.
 * H5 Where an answer says that nothing is left in the server's window, nothing is started in it, lease or not.
 */

import type { Ending } from './bucket.ts';
import type { Grant, WaitReason } from './budget.ts';
import { endGrant, freeGrants, type HeldLease, isOpen, isOver, newLease, returnOf, useGrant } from './held-lease.ts';
import { type CallKind, LANES, type Lane } from './lanes.ts';
import {
  type HeardAnswer,
  LEASE_TIMES,
  type LeaseMessage,
  type LeaseTable,
  type LeaseTimes,
  type LeaseWant,
} from './lease-forms.ts';
import { pauseAfter } from './pause.ts';
import type { RateFacts } from './rate-headers.ts';
import { callUntold, leftInWindow, RESET_SLACK_MS, type ServerWindow, seeWindow, windowOver } from './server-window.ts';

export interface LeaseHolder {
  readonly borrower: string;
  readonly times: LeaseTimes;
  readonly maxPauseMs: number;
  readonly nextSequence: number;
  /** Asked and not yet answered, oldest first. */
  readonly asked: readonly Asked[];
  readonly held: readonly HeldLease[];
  /** Not yet told: the latest answer, and the latest 429. */
  readonly heard: readonly Heard[];
  /** Grants up to this one have been seen: the table repeats them. */
  readonly seenGrantId: number;
  /** What the lender last had no room for. */
  readonly unmet: readonly Unmet[];
  /** H4: until the lender's pause is seen. */
  readonly stop: { readonly untilMs: number; readonly grantId: number; readonly strikes: number } | null;
  readonly window: ServerWindow | null;
  /** As last read; null before the first. */
  readonly table: LeaseTable | null;
  readonly tableAtMs: number;
}

export interface Asked {
  readonly sequence: number;
  readonly atMs: number;
  readonly wants: readonly LeaseWant[];
}

interface Unmet {
  readonly lane: Lane;
  readonly kind: CallKind;
  readonly untilMs: number;
  readonly reason: WaitReason;
}

type Heard = Omit<HeardAnswer, 'agoMs'> & { readonly atMs: number };

/** An ask without an answer for this long is asked again: the log is slow, or has no owner at this moment. */
export const REASK_MS = 1000;

export function emptyHolder(borrower: string, times: LeaseTimes = LEASE_TIMES, maxPauseMs = 300_000): LeaseHolder {
  return {
    borrower,
    times,
    maxPauseMs,
    nextSequence: 1,
    asked: [],
    held: [],
    heard: [],
    seenGrantId: 0,
    unmet: [],
    stop: null,
    window: null,
    table: null,
    tableAtMs: 0,
  };
}

/** The table as committed. Leases of ours that are new become usable, for what is left of their time. */
export function see(before: LeaseHolder, table: LeaseTable, nowMs: number): LeaseHolder {
  const { borrower, times, seenGrantId } = before;
  const fresh = table.leases.filter(
    (lease) => lease.borrower === borrower && lease.leaseId > seenGrantId && lease.lapsing === null,
  );
  const held = fresh.map(({ leaseId, sequence, lane, kind, count }): HeldLease => {
    const askedAtMs = before.asked.find((asked) => asked.sequence === sequence)?.atMs;
    const startUntilMs = askedAtMs === undefined ? Number.NEGATIVE_INFINITY : askedAtMs + times.startMs;
    return newLease({ leaseId, lane, kind, startUntilMs }, count);
  });
  const answer = table.answers.find((mine) => mine.borrower === borrower);
  const answered = Math.max(answer?.sequence ?? 0, ...fresh.map(({ sequence }) => sequence));
  const { pause } = table;
  // What was not asked for together with this is still as it was.
  const asked = before.asked.filter(({ sequence }) => sequence <= answered).flatMap(({ wants }) => wants);
  const answeredAlso = (other: Unmet): boolean =>
    asked.some(({ lane, kind }) => lane === other.lane && kind === other.kind) ||
    answer?.unmet.some(({ lane, kind }) => lane === other.lane && kind === other.kind) === true;
  const unmet = [
    ...before.unmet.filter((other) => nowMs < other.untilMs && !answeredAlso(other)),
    ...(answer?.unmet ?? []).map(({ lane, kind, inMs, reason }) => ({ lane, kind, reason, untilMs: nowMs + inMs })),
  ];
  const thawed = before.table?.pause != null && pause === null;
  const holder = {
    ...before,
    asked: before.asked.filter(({ sequence }) => sequence > answered),
    held: [...before.held, ...held],
    seenGrantId: Math.max(seenGrantId, table.nextGrantId - 1),
    unmet: thawed ? [] : unmet,
    stop: pause !== null && before.stop !== null && pause.fromGrantId > before.stop.grantId ? null : before.stop,
    table,
    tableAtMs: nowMs,
  };
  return pause === null ? holder : voided(holder, pause.fromGrantId);
}

/** H4. What is under way stays so; the rest can only go back. */
function voided(holder: LeaseHolder, beforeGrantId: number): LeaseHolder {
  const unusable = (lease: HeldLease): HeldLease =>
    lease.leaseId < beforeGrantId ? { ...lease, startUntilMs: Number.NEGATIVE_INFINITY } : lease;
  return { ...holder, held: holder.held.map(unusable) };
}

export type StartAnswer =
  | { readonly holder: LeaseHolder; readonly grant: Grant }
  | { readonly waitUntilMs: number; readonly reason: WaitReason };

export interface StartRequest {
  readonly lane: Lane;
  readonly kind: CallKind;
  readonly nowMs: number;
}

/** A grant for a call to be started now. Of the leases for its lane the oldest, for it ends first; then of lower lanes. */
export function start(before: LeaseHolder, { lane, kind, nowMs }: StartRequest): StartAnswer {
  const { stop, window } = before;
  if (stop !== null && nowMs < stop.untilMs) return { waitUntilMs: stop.untilMs, reason: 'paused' };
  // Without a reset its end is a guess, and finding out is the lender's (budget.ts).
  if (
    window !== null &&
    window.resetEpochS !== null &&
    !windowOver(window, nowMs) &&
    leftInWindow(window, openCalls(before)) < 1
  ) {
    return { waitUntilMs: window.endsAtMs + RESET_SLACK_MS, reason: 'window_empty' };
  }
  for (const usable of LANES.slice(LANES.indexOf(lane))) {
    const found = before.held.find(
      (held) => held.lane === usable && held.kind === kind && nowMs < held.startUntilMs && freeGrants(held) > 0,
    );
    if (found === undefined) continue;
    const { lease, grantId } = useGrant(found);
    return { holder: withLease(before, lease), grant: { grantId, kind, lane, grantedAtMs: nowMs } };
  }
  const unmet = before.unmet.find((other) => other.lane === lane && other.kind === kind && nowMs < other.untilMs);
  return { waitUntilMs: Number.POSITIVE_INFINITY, reason: unmet?.reason ?? 'lease' };
}

export interface FinishedCall {
  readonly grantId: number;
  readonly ending: Ending;
  readonly nowMs: number;
}

export function finish(before: LeaseHolder, { grantId, ending, nowMs }: FinishedCall): LeaseHolder {
  const lease = before.held.find((held) => isOpen(held, grantId));
  if (lease === undefined) return before;
  const window =
    before.window !== null && ending === 'unanswered'
      ? callUntold(before.window, before.seenGrantId + 1)
      : before.window;
  return withLease({ ...before, window }, endGrant(lease, grantId, ending, nowMs));
}

export interface AnswerHeard {
  readonly grantId: number;
  readonly kind: CallKind;
  readonly refused: boolean;
  readonly facts: RateFacts;
  readonly nowMs: number;
  readonly random: number;
}

/** An answer's headers: for ourselves at once, and for the lender with the next message. */
export function learn(before: LeaseHolder, { grantId, kind, refused, facts, nowMs, random }: AnswerHeard): LeaseHolder {
  const heard = [
    ...before.heard.filter((other) => other.refused !== refused),
    { grantId, kind, refused, facts, random, atMs: nowMs },
  ];
  const open = before.window !== null && windowOver(before.window, nowMs) ? null : before.window;
  // A limit this small speaks of searches (see budget.ts), and so does what is left of it.
  const ofSearches =
    kind === 'search' && facts.limit !== null && before.table !== null && facts.limit < before.table.calls.share;
  const window = ofSearches ? open : seeWindow(open, { facts, grantId, nextGrantId: before.seenGrantId + 1, nowMs });
  const learned = { ...before, heard, window };
  if (!refused) return before.stop !== null && grantId > before.stop.grantId ? { ...learned, stop: null } : learned;
  const { maxPauseMs, stop } = before;
  const known =
    stop === null
      ? null
      : { untilMs: stop.untilMs, cause: 'backoff' as const, fromGrantId: stop.grantId + 1, strikes: stop.strikes };
  const context = { pause: known, nowMs, nextGrantId: before.seenGrantId + 1, window, config: { maxPauseMs } };
  const pause = pauseAfter(context, { grantId, facts, random });
  const stopped = { untilMs: pause.untilMs, grantId: Math.max(grantId, stop?.grantId ?? 0), strikes: pause.strikes };
  return voided({ ...learned, stop: stopped }, before.seenGrantId + 1);
}

/** To be called when the message is appended, before: the clock of its leases runs from here (L3). */
export function compose(
  before: LeaseHolder,
  wants: readonly LeaseWant[],
  nowMs: number,
): { readonly holder: LeaseHolder; readonly message: LeaseMessage } {
  const { borrower, nextSequence: sequence, heard } = before;
  // An answer may yet come for as long as a lease of it could be used.
  const asked = before.asked.filter(({ atMs }) => nowMs - atMs < before.times.startMs);
  const message: LeaseMessage = {
    borrower,
    sequence,
    waitingFrom: asked.find(({ atMs }) => nowMs - atMs < REASK_MS)?.sequence ?? sequence,
    wants: [...wants],
    returns: before.held.filter((lease) => isOver(lease, nowMs)).map((lease) => returnOf(lease, nowMs)),
    heard: heard.map(({ atMs, ...answer }) => ({ ...answer, agoMs: Math.max(0, nowMs - atMs) })),
  };
  return {
    message,
    holder: {
      ...before,
      nextSequence: sequence + 1,
      asked: wants.length === 0 ? asked : [...asked, { sequence, atMs: nowMs, wants }],
    },
  };
}

/** The message stands in the log: what it returned and told need not be said again. Else it is, harmlessly (L5). */
export function sent(before: LeaseHolder, message: LeaseMessage): LeaseHolder {
  const returned = new Set(message.returns.map(({ leaseId }) => leaseId));
  const told = new Set(message.heard.map(({ grantId }) => grantId));
  return {
    ...before,
    held: before.held.filter(({ leaseId }) => !returned.has(leaseId)),
    heard: before.heard.filter(({ grantId }) => !told.has(grantId)),
  };
}

/** Gives up everything not yet used: it can only be returned now. */
export function giveUp(holder: LeaseHolder): LeaseHolder {
  return voided({ ...holder, asked: [] }, Number.POSITIVE_INFINITY);
}

export function openCalls(holder: LeaseHolder): number {
  return holder.held.reduce((sum, { open }) => sum + open.length, 0);
}

function withLease(holder: LeaseHolder, changed: HeldLease): LeaseHolder {
  return { ...holder, held: holder.held.map((lease) => (lease.leaseId === changed.leaseId ? changed : lease)) };
}
