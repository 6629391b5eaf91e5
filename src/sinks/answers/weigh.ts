/**
 * What an answer comes to, as the ledger stands when its turn in the lane has come. Pure.
 *
 * J4 an answer counts only for the command it names, while that waits: once it has ended, or was answered, nothing changes
 * J5 an approval that was being carried out when its owner went is carried on, whoever approved first
 * J6 who answers what is another tenant's, or from another lane, is told of in the dead topic
 */
import type { Held, InFlight, LedgerEntry, Parked } from '../ledger/entry.ts';
import { resolveParked } from '../ledger/resolve.ts';
import type { Answer } from './answer.ts';

export type Weighed =
  | { readonly kind: 'nothing'; readonly why: string }
  | { readonly kind: 'foreign'; readonly why: string }
  /** Parked no more: `entry` is what the ledger says from now on. */
  | { readonly kind: 'resolve'; readonly entry: LedgerEntry }
  | { readonly kind: 'reject'; readonly held: Held }
  | { readonly kind: 'execute'; readonly of: Held | InFlight; readonly approvedBy: string };

export interface Said {
  readonly answer: Answer;
  /** Of its record. */
  readonly key: string;
}

export function weigh(entry: LedgerEntry | null, { answer, key }: Said, nowMs: number): Weighed {
  if (entry === null || entry.receiptId !== answer.receiptId) return nothing('nothing waits under it');
  switch (entry.kind) {
    case 'done':
    case 'failed':
      return nothing('it has ended');
    case 'held':
      return foreign(entry, { answer, key }) ?? ofHeld(entry, answer);
    case 'parked':
      return foreign(entry, { answer, key }) ?? ofParked(entry, answer, nowMs);
    case 'in_flight':
      if (entry.approvedBy === null || entry.record === null) return nothing('it is being carried out');
      if (entry.record.key !== key) return { kind: 'foreign', why: OTHER_LANE };
      if (answer.answer !== 'approve') return nothing('it was approved before');
      return { kind: 'execute', of: entry, approvedBy: entry.approvedBy };
  }
}

function ofHeld(held: Held, { answer, by }: Answer): Weighed {
  if (answer === 'approve') return { kind: 'execute', of: held, approvedBy: by };
  if (answer === 'reject') return { kind: 'reject', held };
  return nothing('it waits for its approval, not to be settled');
}

function ofParked(parked: Parked, { answer, vendorId }: Answer, nowMs: number): Weighed {
  if (answer === 'applied')
    return { kind: 'resolve', entry: resolveParked(parked, { applied: true, vendorId }, nowMs) };
  if (answer === 'not_applied') return { kind: 'resolve', entry: resolveParked(parked, { applied: false }, nowMs) };
  return nothing('its outcome is unknown; it cannot be approved');
}

const OTHER_LANE = 'the answer came in another lane than its command';

/** J6. */
function foreign({ subject, record }: Held | Parked, { answer, key }: Said): Weighed | undefined {
  if (subject.tenantId !== answer.tenantId) {
    return { kind: 'foreign', why: 'the answer names the command of another tenant' };
  }
  return record !== null && record.key !== key ? { kind: 'foreign', why: OTHER_LANE } : undefined;
}

function nothing(why: string): Weighed {
  return { kind: 'nothing', why };
}
