import type { QuotaNeed } from '../../fibric/policy/compile.ts';
import { cite } from '../../fibric/policy/evaluate.ts';

/** For receipts: which limit is used up, and when there is a place again. */
export function limitMessage({ citation, max, per }: QuotaNeed, freeAtMs: number): string {
  const when = new Date(freeAtMs).toISOString();
  return `${cite(citation)} allows ${max} per ${per}; they are used up, and the next place becomes free at ${when}`;
}
