/**
 * What the server's own count says: `remaining` falls through every consumer of the organisation, also those we do not
 * know. Answers come back in another order than they were counted in.
 *
 * W1 Within a window the count only falls, so the lowest value seen is the latest. What we may still send is that value
 *    less every call of ours which it may not yet include: never more than the truth, bar what others take meanwhile.
 * W2 What an ended window said is forgotten. Its end is known from the reset, or is at most 60 s after it was first seen.
 * W3 An answer of an earlier window says nothing about this one.
 */
import { WINDOW_MS } from './bucket.ts';
import type { RateFacts } from './rate-headers.ts';

export interface ServerWindow {
  /** Null when the server does not send it. */
  readonly resetEpochS: number | null;
  /** Local time, an upper bound. */
  readonly endsAtMs: number;
  readonly lowest: number;
  /** Calls with this id or a later one were granted after `lowest` was seen. */
  readonly nextGrantId: number;
  /** Calls that ended without telling what was left: counted or not, nobody knows. */
  readonly untold: number;
  /** Calls with this id or a later one were granted after the last of those had ended. */
  readonly untoldBefore: number;
}

/** The server's times are in whole seconds; which way it rounds is not documented. */
export const RESET_SLACK_MS = 1000;

export interface Seen {
  readonly facts: RateFacts;
  readonly grantId: number;
  readonly nextGrantId: number;
  readonly nowMs: number;
}

export function seeWindow(window: ServerWindow | null, seen: Seen): ServerWindow | null {
  const { facts, grantId, nextGrantId, nowMs } = seen;
  const { remaining, resetInMs } = facts;
  if (remaining === null) return window === null ? null : callUntold(window, nextGrantId);
  const resetEpochS = resetInMs === null ? null : facts.resetEpochS;
  const endsAtMs = nowMs + (resetInMs ?? WINDOW_MS);
  const fresh = { resetEpochS, endsAtMs, lowest: remaining, nextGrantId, untold: 0, untoldBefore: 0 };
  if (window === null) return resetInMs === 0 ? null : fresh;
  const bothTold = resetEpochS !== null && window.resetEpochS !== null;
  if (bothTold && resetEpochS !== window.resetEpochS) return resetEpochS > window.resetEpochS ? fresh : window;
  const known: ServerWindow = {
    ...window,
    resetEpochS: resetEpochS ?? window.resetEpochS,
    // Every estimate is an upper bound, so the least is the best.
    endsAtMs: resetEpochS === null ? window.endsAtMs : bothTold ? Math.min(window.endsAtMs, endsAtMs) : endsAtMs,
  };
  const includesUntold = grantId >= window.untoldBefore;
  const counted = { lowest: remaining, nextGrantId, untold: includesUntold ? 0 : window.untold };
  if (remaining <= window.lowest) return { ...known, ...counted };
  // Older than what is known. But granted after that was seen, it was counted later: a new window, or a corrected count.
  if (grantId < window.nextGrantId) return known;
  return bothTold ? { ...known, ...counted } : fresh;
}

/** A call of ours ended and nothing was told about what is left. */
export function callUntold(window: ServerWindow, nextGrantId: number): ServerWindow {
  return { ...window, untold: window.untold + 1, untoldBefore: nextGrantId };
}

/** Calls the server would still take in this window, as far as we can tell. */
export function leftInWindow(window: ServerWindow, openCalls: number): number {
  return window.lowest - openCalls - window.untold;
}

export function windowOver(window: ServerWindow, nowMs: number): boolean {
  return nowMs >= window.endsAtMs + (window.resetEpochS === null ? 0 : RESET_SLACK_MS);
}
