/** Option values that several commands take. */
import { CodedError } from '../../base/errors.ts';

/** Throws `config_invalid` for anything but a whole number from `min` to `max`. */
export function wholeNumber(option: string, text: string, max: number, min = 0): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new CodedError(
    'config_invalid',
    `${option}: ${JSON.stringify(text)} is not a whole number from ${min} to ${max}`,
  );
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time span such as `90s`, `15m`, `1h`, `2d`, in milliseconds. Throws `config_invalid` for anything else. */
export function durationMs(option: string, text: string): number {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit ?? ''];
  if (amount !== undefined && unitMs !== undefined && Number(amount) > 0) return Number(amount) * unitMs;
  throw new CodedError('config_invalid', `${option}: ${JSON.stringify(text)} is no time span such as 30m, 1h or 2d`);
}
