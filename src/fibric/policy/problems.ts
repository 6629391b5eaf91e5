/** What is wrong with a policy, where, and what to do about it. */

export type ProblemCode =
  | 'syntax'
  | 'too_large'
  | 'missing_key'
  | 'unknown_key'
  | 'duplicate_key'
  | 'wrong_type'
  | 'out_of_range'
  | 'unknown_capability'
  | 'unknown_field'
  | 'rule_kind'
  | 'duplicate_rule'
  | 'default_not_deny'
  | 'alias'
  | 'tag';

export interface PolicyProblem {
  readonly code: ProblemCode;
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
  readonly problem: string;
  /** What to do, as an instruction. */
  readonly remedy: string;
}

/** More would not be read; the rest shows once these are mended. */
export const MAX_PROBLEMS = 100;

/** In the order of the file, each once. */
export function inOrder(problems: readonly PolicyProblem[]): readonly PolicyProblem[] {
  const once = new Map(problems.map((one) => [`${one.line}:${one.column}:${one.problem}`, one]));
  return [...once.values()].sort((a, b) => a.line - b.line || a.column - b.column).slice(0, MAX_PROBLEMS);
}

/** One line each, in the form editors and terminals make links of. */
export function formatProblems(problems: readonly PolicyProblem[], file: string): string {
  return problems
    .map(({ line, column, problem, remedy }) => `${file}:${line}:${column}: ${problem}; ${remedy}`)
    .join('\n');
}

/** What somebody wrote, short enough to be repeated. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** `did you mean allow?` for a name that is nearly one of these; otherwise all of them. */
export function suggest(written: string, known: readonly string[]): string {
  const near = nearest(written, known);
  return near === null ? `use ${known.length === 1 ? '' : 'one of '}${known.join(', ')}` : `did you mean ${near}?`;
}

/** The name a third of whose letters, at most, would have to change; null when there is none. */
export function nearest(written: string, known: readonly string[]): string | null {
  if (written.length > 100) return null;
  let best: string | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const edits = editDistance(written.toLowerCase(), name);
    if (edits < fewest && edits <= Math.ceil(name.length / 3)) {
      best = name;
      fewest = edits;
    }
  }
  return best;
}

/** Letters to insert, remove or replace (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}
