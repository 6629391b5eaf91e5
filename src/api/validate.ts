/** What came in against what a route declares. All problems are told at once, each by its field and none with its value. */
import type { z } from 'zod';
import { ApiError, type ApiProblem } from './errors.ts';

const MAX_PROBLEMS = 20;
const MAX_NAME_LENGTH = 60;

/** Throws `invalid_parameter` naming what is wrong. */
export function checked<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = problemsOf(parsed.error);
  throw new ApiError('invalid_parameter', summary(problems), { problems });
}

/** One sentence of several problems. */
export function summary(problems: readonly ApiProblem[]): string {
  return problems.map(({ field, message }) => (field === null ? message : `${field} ${message}`)).join('; ');
}

export function problemsOf(error: z.ZodError): readonly ApiProblem[] {
  return error.issues
    .flatMap((issue): ApiProblem[] => {
      const path = issue.path.map((part) => shortened(String(part)));
      if (issue.code === 'unrecognized_keys') {
        return issue.keys.map((key) => ({
          field: [...path, shortened(key)].join('.'),
          code: 'unknown_field',
          message: 'is not known here',
        }));
      }
      const missing = issue.code === 'invalid_type' && issue.input === undefined && /undefined$/.test(issue.message);
      return [
        {
          field: path.length === 0 ? null : path.join('.'),
          code: missing ? 'missing' : issue.code,
          message: missing ? 'is missing' : lowered(issue.message),
        },
      ];
    })
    .slice(0, MAX_PROBLEMS);
}

function shortened(name: string): string {
  return name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}…` : name;
}

/** Zod's own messages begin like sentences; ours complete one. */
function lowered(message: string): string {
  return message
    .replace(/^Invalid input: /, 'is wrong: ')
    .replace(/^Too (?=big|small)/, 'is too ')
    .replace(/^Invalid /, 'is no valid ');
}
