/** `poll_interval` and `backfill_since` as people write them: parsed, or refused with the reason. Pure. */

import { MIN_POLL_INTERVAL_MS } from './connection.ts';

/** A poll is what makes up for lost webhooks: one a day is the least that deserves the name. */
export const MAX_POLL_INTERVAL_MS = 86_400_000;

/** `problem` completes the sentence "backfill_since …". It quotes what was written, which is no secret. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** `60s`, `5m`, `1h` in milliseconds. */
export function parsePollInterval(text: string): Parsed<number> {
  const [, amount, unit] = /^(\d{1,9})([a-z]{0,9})$/.exec(text) ?? [];
  if (amount === undefined)
    return { problem: `is a whole number with its unit, such as 60s, 5m or 1h, not ${quoted(text)}` };
  if (!isUnit(unit))
    return {
      problem: `needs one of the units s, m, h, as in 60s; ${quoted(text)} has ${unit === '' ? 'none' : 'another'}`,
    };
  const ms = Number(amount) * UNIT_MS[unit];
  if (ms < MIN_POLL_INTERVAL_MS) {
    return {
      problem: `is at least ${formatDuration(MIN_POLL_INTERVAL_MS)}: shorter would use up the search limit of Kustomer`,
    };
  }
  if (ms > MAX_POLL_INTERVAL_MS) return { problem: `is at most ${formatDuration(MAX_POLL_INTERVAL_MS)}` };
  return { value: ms };
}

function isUnit(text: string | undefined): text is keyof typeof UNIT_MS {
  return text !== undefined && Object.hasOwn(UNIT_MS, text);
}

/** In the largest unit that gives a whole number above one, as people write 60s; what parsePollInterval reads back. */
export function formatDuration(ms: number): string {
  const [unit, unitMs] = Object.entries(UNIT_MS).findLast(([, size]) => ms > size && ms % size === 0) ?? [
    's',
    UNIT_MS.s,
  ];
  return `${ms / unitMs}${unit}`;
}

const DATE = String.raw`(\d{4})-(\d{2})-(\d{2})`;
const TIME = String.raw`(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?`;
const ISO = new RegExp(`^${DATE}(?:T${TIME}(Z|[+-]\\d{2}:\\d{2})?)?$`);

/**
 * An ISO 8601 date or instant in milliseconds since the epoch. A bare date is its midnight in UTC; a time of day without
 * a zone is refused, because which hour it means depends on who reads it.
 */
export function parseBackfillSince(text: string, nowMs: number): Parsed<number> {
  const match = ISO.exec(text);
  if (match === null) {
    return {
      problem: `is an ISO 8601 date or instant, such as 2026-01-31 or 2026-01-31T12:00:00Z, not ${quoted(text)}`,
    };
  }
  const [, year, month, day, hour, minute, second = '0', fraction = '0', zone] = match;
  if (hour !== undefined && zone === undefined) {
    return { problem: `has a time without a zone; write ${text}Z for UTC, or an offset such as ${text}+01:00` };
  }
  const [y, mo, d, h, mi, s] = [year, month, day, hour ?? '0', minute ?? '0', second].map(Number) as Six;
  const localMs = Date.UTC(y, mo - 1, d, h, mi, s, Number(fraction.padEnd(3, '0')));
  const offset = offsetMs(zone ?? 'Z');
  // Date.UTC carries what is too large over, so a day that does not exist comes out as another.
  const exists = new Date(localMs).getUTCDate() === d && mo >= 1 && mo <= 12 && h < 24 && mi < 60 && s < 60;
  if (!exists || offset === undefined || y < 1970)
    return { problem: `names a moment that does not exist: ${quoted(text)}` };
  const ms = localMs - offset;
  if (ms > nowMs) return { problem: `lies in the future: ${text}` };
  if (ms < 0) return { problem: `lies before 1970: ${text}` };
  return { value: ms };
}

type Six = [number, number, number, number, number, number];

/** Undefined for an offset no clock has. */
function offsetMs(zone: string): number | undefined {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):(\d{2})$/.exec(zone) ?? [];
  if (hours === undefined || minutes === undefined) return 0;
  if (Number(hours) > 14 || Number(minutes) > 59) return undefined;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * UNIT_MS.m;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 50));
}
