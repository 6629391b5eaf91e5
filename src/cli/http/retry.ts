/**
 * Whether a call is made again, and when. Pure.
 *
 * R1 Only what can be sent twice without harm is: GET, and POST with an Idempotency-Key, whose repetition gets the stored
 *    answer. PUT and DELETE are left to whoever called.
 * R2 No call is made again for an answer that says what is wrong with it, and none for a reason that will not pass.
 * R3 Retry-After is obeyed, and no wait ends after the deadline: then the last answer is the answer.
 */
import type { CliError } from '../errors.ts';

export const MAX_ATTEMPTS = 4;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;

export interface Attempt {
  readonly method: string;
  readonly hasIdempotencyKey: boolean;
  /** How many were made, from 1. */
  readonly attempts: number;
  readonly error: CliError;
  /** Header Retry-After in ms; null without one. */
  readonly retryAfterMs: number | null;
  readonly msLeft: number;
  /** From 0 up to 1. */
  readonly random: number;
}

const PASSING_STATUS: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const PASSING_CODE: ReadonlySet<string> = new Set(['entity_locked', 'idempotency_in_progress', 'api_unreachable']);
/** Says of something behind the API what asking again at once does not change. */
const LASTING_CODE: ReadonlySet<string> = new Set(['connector_upstream_error', 'deadline_exceeded']);

/** How long to wait before the next attempt; null = this was the last. */
export function retryWaitMs(attempt: Attempt): number | null {
  const { method, hasIdempotencyKey, attempts, error, retryAfterMs, msLeft, random } = attempt;
  const isSafe = method === 'GET' || (method === 'POST' && hasIdempotencyKey);
  if (!isSafe || attempts >= MAX_ATTEMPTS || LASTING_CODE.has(error.code)) return null;
  if (!PASSING_CODE.has(error.code) && !(error.status !== null && PASSING_STATUS.has(error.status))) return null;
  const waitMs = retryAfterMs ?? backoffMs(attempts, random);
  return waitMs < msLeft ? waitMs : null;
}

/** Doubles from a quarter of a second up to its bound, with jitter downwards by half. */
export function backoffMs(attempts: number, random: number, longestMs = LONGEST_WAIT_MS): number {
  const full = Math.min(FIRST_WAIT_MS * 2 ** Math.min(attempts - 1, 20), longestMs);
  return Math.round(full * (0.5 + random / 2));
}

/** Seconds, or an HTTP date. Null for what is neither. */
export function parseRetryAfter(text: string | null, nowMs: number): number | null {
  if (text === null) return null;
  if (/^\d{1,6}$/.test(text)) return Number(text) * 1000;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}
