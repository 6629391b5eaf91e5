/** Option values that several commands take. */
import { CodedError } from '../../base/errors.ts';

/** Throws `config_invalid` for anything but a whole number from 0 to `max`. */
export function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new CodedError('config_invalid', `${option}: ${JSON.stringify(text)} is not a whole number from 0 to ${max}`);
}
