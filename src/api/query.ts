/** Query parameters are text; these read it strictly and still say in the OpenAPI document what they mean. */
import { z } from 'zod';
import { parseInstant } from '../fibric/commands/instant.ts';

/** A whole number within bounds: out of range is refused, never clamped. */
export function integer(min: number, max: number) {
  const message = `is a whole number from ${min} to ${max}`;
  return z.preprocess(
    (value) => (typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value),
    z.number({ error: message }).int(message).min(min, message).max(max, message),
  );
}

/** `true` or `false`. */
export function flag() {
  const read = (value: unknown): unknown => (value === 'true' ? true : value === 'false' ? false : value);
  return z.preprocess(read, z.boolean({ error: 'is true or false' }));
}

/** RFC 3339 with its zone, as milliseconds since the epoch. */
export function instantMs() {
  return z
    .string()
    .meta({ format: 'date-time' })
    .refine((text) => parseInstant(text) !== null, 'is a time with its zone, such as 2026-01-31T12:00:00Z')
    .transform((text) => parseInstant(text) as number);
}

/** How the API writes times. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}

export function rfc3339OrNull(ms: number | null): string | null {
  return ms === null ? null : rfc3339(ms);
}

/** A time in an answer. */
export const time = z.string().meta({ format: 'date-time' });
