/**
 * How long everybody waits after a 429: `Retry-After`, else the reset, else a backoff with jitter (G3, G4 of budget.ts).
 */
import type { RateFacts } from './rate-headers.ts';
import { RESET_SLACK_MS, type ServerWindow } from './server-window.ts';

export type PauseCause = 'retry_after' | 'reset' | 'backoff';

export interface Pause {
  readonly untilMs: number;
  readonly cause: PauseCause;
  /** Calls with an earlier id were under way when it began. */
  readonly fromGrantId: number;
  /** 429s in a row, each after waiting as told. */
  readonly strikes: number;
}

const BACKOFF_MS = 5000;
const MAX_BACKOFF_MS = 60_000;

export interface Refused {
  readonly grantId: number;
  readonly facts: RateFacts;
  /** In [0, 1). */
  readonly random: number;
}

/** What the state of a budget tells about its pause. */
export interface PauseContext {
  readonly pause: Pause | null;
  readonly nowMs: number;
  readonly nextGrantId: number;
  readonly window: ServerWindow | null;
  readonly config: { readonly maxPauseMs: number };
}

/** The pause after a 429. */
export function pauseAfter(context: PauseContext, { grantId, facts, random }: Refused): Pause {
  const { pause, nowMs, nextGrantId, window, config } = context;
  const told: { readonly ms: number; readonly cause: PauseCause } | null =
    facts.retryAfterMs !== null
      ? { ms: facts.retryAfterMs, cause: 'retry_after' }
      : facts.resetInMs !== null
        ? { ms: facts.resetInMs + RESET_SLACK_MS, cause: 'reset' }
        : null;
  const until = (ms: number): number => nowMs + Math.min(ms, config.maxPauseMs);
  if (pause !== null && grantId < pause.fromGrantId) {
    // Under way when the pause began: no news but perhaps a later end.
    return told === null || until(told.ms) <= pause.untilMs
      ? pause
      : { ...pause, untilMs: until(told.ms), cause: told.cause };
  }
  const strikes = (pause?.strikes ?? 0) + 1;
  const fullMs = Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** Math.min(strikes - 1, 10));
  const spreadMs = fullMs * (0.5 + 0.5 * random);
  // Where we saw the window begin, its end is the longest that makes sense.
  const windowMs = window === null ? Number.POSITIVE_INFINITY : window.endsAtMs + RESET_SLACK_MS - nowMs;
  const backoffMs = Math.min(spreadMs, Math.max(windowMs, RESET_SLACK_MS));
  // Who is refused again after waiting as told has been told too little.
  const believed = told !== null && (strikes === 1 || told.ms >= backoffMs);
  const { ms, cause } = believed ? told : { ms: backoffMs, cause: 'backoff' as const };
  return { untilMs: until(ms), cause, fromGrantId: nextGrantId, strikes };
}
