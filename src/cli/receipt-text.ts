/** A receipt for people, and as an exit code. Pure but for where it is written. */
import type { Receipt } from './api-types.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { failureOfReceipt } from './failures.ts';
import type { Output } from './terminal/output.ts';
import { styleOf } from './terminal/style.ts';
import type { Cell } from './terminal/table.ts';
import { showTime } from './times.ts';

/** Refusals that policy, or a person policy asked, has spoken. */
const VETOES: ReadonlySet<string> = new Set([
  'policy_blocked',
  'operator_without_rule',
  'grant_missing',
  'capability_not_exposed',
  'limit_reached',
  'confirmation_rejected',
  'confirmation_expired',
]);

/** What a script that sent an action wants to know of its receipt. */
export function exitCodeOfReceipt({ outcome, verdict, error }: Receipt): ExitCode {
  const decision = verdict?.decision;
  if (error?.code === 'command_invalid') return EXIT.usage;
  if (error?.code === 'confirmation_pending') return EXIT.waiting;
  if (outcome === 'applied' || decision === 'DEDUP') return EXIT.ok;
  if (outcome === 'dry_run') {
    if (decision === 'ALERT') return EXIT.waiting;
    if (decision === 'BLOCK') return EXIT.blocked;
    return error == null ? EXIT.ok : EXIT.writeFailed;
  }
  if (decision === 'BLOCK' || outcome === 'refused')
    return error == null || VETOES.has(error.code) ? EXIT.blocked : EXIT.writeFailed;
  return EXIT.writeFailed;
}

export function receiptId({ id, receipt_id }: Receipt): string {
  return id ?? receipt_id ?? '-';
}

export function ruleText({ verdict }: Receipt): string {
  if (verdict?.rule != null) return verdict.rule;
  return verdict?.decision === 'BLOCK' ? '(no rule matched)' : '-';
}

export function policyText({ policy }: Receipt): string {
  return policy == null ? '(none)' : `${policy.name} version ${policy.version}`;
}

/** The lines that say what was decided and what came of it. */
export function receiptFields(receipt: Receipt): readonly (readonly [string, Cell])[] {
  const { verdict, error, vendor, timings } = receipt;
  const optional = (name: string, value: string | null | undefined): readonly (readonly [string, Cell])[] =>
    value == null || value === '' ? [] : [[name, value]];
  return [
    ['receipt', receiptId(receipt)],
    ['verdict', { text: verdict?.decision ?? '-', style: styleOf(verdict?.decision) }],
    ['rule', ruleText(receipt)],
    ['policy', policyText(receipt)],
    ['outcome', { text: outcomeText(receipt), style: styleOf(receipt.outcome) }],
    ...optional('first receipt', receipt.first_receipt_id),
    ...optional('capability', receipt.capability),
    ...optional('connection', receipt.connection),
    ...optional('operator', receipt.operator),
    ...optional('entity', receipt.entity_key),
    ...optional('key', receipt.idempotency_key),
    ...optional('approver', receipt.approver),
    ...optional('correlation', receipt.correlation_id),
    ...optional('wrote', vendor == null ? null : `${vendor.type} ${vendor.id ?? '(id not told)'}`),
    ...optional('at', timings?.['disposed_at'] == null ? null : showTime(timings['disposed_at'])),
    ...optional('error', error == null ? null : `${error.code}: ${error.message}`),
  ];
}

function outcomeText({ outcome, unchanged, attempts, reconciled, mode }: Receipt): string {
  const notes = [
    ...(unchanged === true ? ['it already was so'] : []),
    ...(reconciled === true ? ['found by reading back'] : []),
    ...(attempts !== undefined && attempts > 1 ? [`${attempts} attempts`] : []),
    ...(mode === 'dry_run' ? ['nothing was sent'] : []),
  ];
  return `${outcome ?? '-'}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
}

/** Why, and what to do: the guide's words where it knows the failure, else the receipt's own. */
export function showReceiptAdvice(out: Output, receipt: Receipt): void {
  const { error } = receipt;
  for (const { field, message } of error?.problems ?? []) out.line(`  ${field}: ${message}`);
  const failure = failureOfReceipt(receipt);
  if (failure !== null) {
    out.line();
    out.line(failure.cause);
    out.line(`next: ${failure.fix}`);
  } else if (error?.next_step) {
    out.line();
    out.line(`next: ${error.next_step}`);
  }
}
