/** `since` of lists and streams: a time, or how long ago. Pure. */
import { z } from 'zod';
import { parseInstant } from '../../fibric/commands/instant.ts';

const AGO = /^([1-9]\d{0,5})(s|m|h|d)$/;
const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const sinceQuery = z
  .string()
  .max(40)
  .refine(
    (text) => AGO.test(text) || parseInstant(text) !== null,
    'is how long ago (90s, 15m, 1h, 7d) or a time with its zone, such as 2026-01-31T12:00:00Z',
  )
  .optional()
  .describe('Only what came then or later: how long ago (`90s`, `15m`, `1h`, `7d`), or an RFC 3339 time.');

export function sinceMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const [, count, unit] = AGO.exec(text) ?? [];
  if (count === undefined) return parseInstant(text) ?? undefined;
  return Math.max(0, nowMs - Number(count) * (UNIT_MS[unit as string] as number));
}
