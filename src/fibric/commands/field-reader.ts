/** What can be wrong with a command, and how its fields are read without trusting one of them. Pure. */
import { parseInstant } from './instant.ts';

export const PROBLEM_CODES = [
  'missing',
  'malformed',
  'too_long',
  'unknown',
  'mismatch',
  'deadline_passed',
  'undecodable',
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

export interface Problem {
  readonly field: string;
  readonly code: ProblemCode;
  /** A sentence that begins with the field. */
  readonly message: string;
}

/** Reads a decoded record field by field and remembers what is wrong with it. */
export class FieldReader {
  readonly problems: Problem[] = [];
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    const isObject = typeof value === 'object' && value !== null;
    this.#fields = isObject ? (value as Record<string, unknown>) : {};
  }

  complain(field: string, code: ProblemCode, what: string): void {
    this.problems.push({ field, code, message: `${field} ${what}` });
  }

  value(field: string): unknown {
    return Object.hasOwn(this.#fields, field) ? this.#fields[field] : undefined;
  }

  text(field: string, pattern: RegExp): string | null {
    const value = this.value(field);
    if (typeof value !== 'string' || value === '') this.complain(field, 'missing', 'is missing');
    else if (pattern.test(value)) return value;
    else this.complain(field, 'malformed', 'has a form or a length that is not taken');
    return null;
  }

  optional(field: string, pattern: RegExp): string | null {
    const value = this.value(field);
    return value === undefined || value === null ? null : this.text(field, pattern);
  }

  instant(field: string): number | null {
    const value = this.value(field);
    const ms = typeof value === 'string' ? parseInstant(value) : null;
    if (ms === null) {
      this.complain(field, 'malformed', 'is not a time with its zone, such as 2026-01-31T12:00:00Z');
    }
    return ms;
  }

  optionalInstant(field: string): number | null {
    const value = this.value(field);
    return value === undefined || value === null ? null : this.instant(field);
  }

  number(field: string): number | null {
    const value = this.value(field);
    if (value === undefined || value === null) return null;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    this.complain(field, 'malformed', 'is not a number');
    return null;
  }

  oneOf<T extends string>(field: string, values: readonly T[], fallback: T): T {
    const value = this.value(field);
    if (value === undefined) return fallback;
    const found = values.find((one) => one === value);
    if (found === undefined) this.complain(field, 'unknown', `is not ${values.join(' or ')}`);
    return found ?? fallback;
  }
}
