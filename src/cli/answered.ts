/** What came of a person's answer: to an approval, or about a parked action. */
import type { Receipt } from './api-types.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { exitCodeOfReceipt, receiptFields, showReceiptAdvice } from './receipt-text.ts';
import type { Output } from './terminal/output.ts';
import { styleOf } from './terminal/style.ts';

export interface Answered {
  /** What it is now; `answered` where that does not show yet. Somebody else may have been quicker. */
  readonly state?: string;
  readonly receipt?: Receipt | null;
  /** Under which it was sent again. */
  readonly command_id?: string | null;
}

/** The API waits for the effect, and an approved write is carried out meanwhile. */
export const ANSWER_MS = 60_000;

export function showAnswered(out: Output, id: string, { state, receipt, command_id }: Answered): void {
  out.line(`${id}: ${out.paint(styleOf(state), (state ?? 'answered').replaceAll('_', ' '))}`);
  if (command_id != null) out.line(`Sent again as ${command_id}.`);
  if (receipt == null) {
    out.line('next: `fibric receipts tail` shows its receipt when there is one');
  } else {
    out.line();
    out.fields(receiptFields(receipt));
    showReceiptAdvice(out, receipt);
  }
}

/** `wanted` is the state that was asked for. */
export function exitCodeOfAnswer({ state, receipt }: Answered, wanted: string): ExitCode {
  if (state !== undefined && state !== 'answered' && state !== wanted) return EXIT.failed;
  // What was rejected is refused, and that is what was asked for.
  return wanted === 'approved' && receipt != null ? exitCodeOfReceipt(receipt) : EXIT.ok;
}
