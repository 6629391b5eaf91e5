/** Durations and moments as people write them, and as they are shown. Pure. */
import { usageError } from './errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `500ms`, `15s`, `5m`, `1h`, `7d` in milliseconds; null for what is no duration. */
export function durationMs(text: string): number | null {
  const [, amount, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return null;
  return Math.round(Number(amount) * (UNIT_MS[unit] as number));
}

/** For an option. Throws `usage` outside the bounds. */
export function parseDuration(option: string, text: string, [minMs, maxMs]: readonly [number, number]): number {
  const ms = durationMs(text);
  if (ms === null) throw usageError(`${option} is a number with its unit, such as 500ms, 15s, 5m or 1h`);
  if (ms < minMs || ms > maxMs)
    throw usageError(`${option} is at least ${inSeconds(minMs)} and at most ${inSeconds(maxMs)}`);
  return ms;
}

function inSeconds(ms: number): string {
  return `${ms / 1000} s`;
}

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})$/;

/** `1h` (so long ago), a date (its midnight in UTC) or an instant with its zone, as RFC 3339. Throws `usage`. */
export function parseSince(option: string, text: string, nowMs: number): string {
  const ago = durationMs(text);
  if (ago !== null) return new Date(Math.max(0, nowMs - ago)).toISOString();
  if (DATE.test(text) || INSTANT.test(text)) {
    const ms = Date.parse(text);
    // Date.parse takes 2026-02-30 for the second of March.
    if (!Number.isNaN(ms) && new Date(`${text.slice(0, 10)}T00:00:00Z`).toISOString().startsWith(text.slice(0, 10)))
      return new Date(ms).toISOString();
  }
  throw usageError(
    `${option} is how long ago (30m, 1h, 7d), a date (2026-01-31) or an instant with its zone (2026-01-31T12:00:00Z)`,
  );
}

/** `2026-01-31 12:00:00Z`: shorter to the eye than RFC 3339, and no less exact. */
export function showTime(text: string | null | undefined): string {
  if (text == null) return '-';
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? text : `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** `[12:00:00]`, as a tail shows it: UTC. */
export function clockTime(ms: number): string {
  return `[${new Date(ms).toISOString().slice(11, 19)}]`;
}

/** `in 12 h`, `3 min ago`. */
export function relative(text: string | null | undefined, nowMs: number): string {
  if (text == null) return '-';
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) return text;
  const away = Math.abs(ms - nowMs);
  const size =
    away < 60_000
      ? `${Math.round(away / 1000)} s`
      : away < 3_600_000
        ? `${Math.round(away / 60_000)} min`
        : away < 172_800_000
          ? `${Math.round(away / 3_600_000)} h`
          : `${Math.round(away / 86_400_000)} days`;
  return ms >= nowMs ? `in ${size}` : `${size} ago`;
}
