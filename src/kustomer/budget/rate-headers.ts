/**
 * What an answer says about limits, as spans of time from now.
 *
 * The server's times are compared with the server's own `Date`, so our clock may be wrong by any amount. Without a
 * `Date` a reset is believed only where it falls within the coming window by our clock. Anything that is not a number of
 * a sensible size is taken for absent.
 */
import { WINDOW_MS } from './bucket.ts';

export type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface RateFacts {
  readonly limit: number | null;
  readonly remaining: number | null;
  /** The window's name: the reset as the server spells it. */
  readonly resetEpochS: number | null;
  /** Time to the end of the window; an upper bound, off by at most the second that `Date` is rounded by. */
  readonly resetInMs: number | null;
  readonly retryAfterMs: number | null;
}

const MAX_LIMIT = 1_000_000;
const LONGEST_RETRY_MS = 24 * 3_600_000;
/** The clocks behind `Date` and the reset may differ by a second. */
const WINDOW_TOLERANCE_MS = 1000;
/** Seconds since the epoch in 2001; less is no date. */
const LEAST_EPOCH_S = 1_000_000_000;
const LEAST_EPOCH_MS = LEAST_EPOCH_S * 1000;

export function rateFacts(headers: AnswerHeaders, nowMs: number): RateFacts {
  const limit = count(text(headers, 'x-ratelimit-limit'), 1, MAX_LIMIT);
  const remaining = count(text(headers, 'x-ratelimit-remaining'), Number.NEGATIVE_INFINITY, MAX_LIMIT);
  const serverMs = httpDate(text(headers, 'date'));
  const resetEpochS = epochSeconds(text(headers, 'x-ratelimit-reset'));
  return {
    limit,
    remaining: remaining === null ? null : Math.max(0, Math.min(remaining, limit ?? MAX_LIMIT)),
    resetEpochS,
    resetInMs: resetEpochS === null ? null : resetIn(resetEpochS * 1000, serverMs, nowMs),
    retryAfterMs: retryAfter(text(headers, 'retry-after'), serverMs ?? nowMs),
  };
}

function resetIn(resetMs: number, serverMs: number | null, nowMs: number): number | null {
  const inMs = resetMs - (serverMs ?? nowMs);
  if (inMs > WINDOW_MS + WINDOW_TOLERANCE_MS) return null;
  if (serverMs === null && inMs <= 0) return null;
  return inMs < -WINDOW_MS ? null : Math.max(0, inMs);
}

/** Seconds, or an HTTP date. */
function retryAfter(value: string | null, serverMs: number): number | null {
  if (value === null) return null;
  if (/^\d+(?:\.\d+)?$/.test(value)) return Math.min(Number(value) * 1000, LONGEST_RETRY_MS);
  const dateMs = httpDate(value);
  return dateMs === null ? null : Math.min(Math.max(0, dateMs - serverMs), LONGEST_RETRY_MS);
}

function text(headers: AnswerHeaders, name: string): string | null {
  const value = headers[name];
  const first = typeof value === 'string' ? value : value?.[0];
  return first === undefined ? null : first.trim();
}

/** `1000`, and `1000;w=60` as newer servers write it. */
function count(value: string | null, least: number, most: number): number | null {
  const digits = /^(-?\d{1,15})(?:\s*[;,].*)?$/.exec(value ?? '')?.[1];
  if (digits === undefined) return null;
  const number = Number(digits);
  return number >= least && number <= most ? number : null;
}

function epochSeconds(value: string | null): number | null {
  const digits = /^(\d{1,15})(?:\.\d+)?$/.exec(value ?? '')?.[1];
  if (digits === undefined) return null;
  const number = Number(digits);
  if (number >= LEAST_EPOCH_MS) return Math.ceil(number / 1000);
  return number >= LEAST_EPOCH_S ? number : null;
}

/** Only the form HTTP writes; `Date.parse` would make a date of nearly anything. */
function httpDate(value: string | null): number | null {
  if (value === null || !/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) return null;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? null : ms;
}
