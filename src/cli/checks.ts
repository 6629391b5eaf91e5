/** Checks of a probe or of the contract as lines: what is well in short, what is not with what to do. */
import type { Check } from './api-types.ts';
import { failureOfCheck } from './failures.ts';
import type { Output } from './terminal/output.ts';
import { type Style, styleOf } from './terminal/style.ts';
import { pad } from './terminal/width.ts';

export function showChecks(out: Output, checks: readonly Check[]): void {
  const widest = Math.max(0, ...checks.map(({ name }) => name.length));
  for (const check of checks) {
    const mark = markOf(check);
    const style: Style = mark === '?' || mark === 'warn' ? 'warn' : styleOf(mark);
    out.line(`  ${out.paint(style, pad(mark, 4))}  ${pad(check.name, widest)}  ${check.message ?? ''}`.trimEnd());
    if (check.ok === true) continue;
    const failure = failureOfCheck(check);
    const indent = ' '.repeat(10 + widest);
    if (failure !== null) out.line(`${indent}${failure.cause}`);
    const next = failure?.fix ?? check.next_step ?? null;
    if (next !== null) out.line(`${indent}${out.paint('faint', 'next:')} ${next}`);
  }
}

/** What a connector can do without is told, and fails nothing. */
function markOf({ ok, code }: Check): string {
  if (ok === null || ok === undefined) return '?';
  if (ok) return 'ok';
  return code?.startsWith('optional_') === true ? 'warn' : 'FAIL';
}
