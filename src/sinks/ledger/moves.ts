/**
 * How an entry comes to be another. A move that is not listed here throws: it is a mistake in the program, and the partition
 * had better stop than write it down.
 *
 *          begin                complete
 *   null ─────────► in_flight ───────────► done              L7 done is final: nothing leads away from it but age
 *  failed ◄───────────  │ │ ─► parked ───► done (applied)    L8 a call is begun again only with a proof that the last one did
 *    ▲  ▲     fail      │ │      │                               not happen: by the same owner that it was not sent or refused,
 *    │  └───────────────┼─┼──────┘ (not applied)                 by any owner that it is absent
 *    └──── held ◄───────┘ └─► null, failed (release)         L9 what is in flight is left only for a known outcome, or parked
 *   null, failed ─► held ─► in_flight                        L10 the key stays bound to its arguments, however often it moves
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { CommandRecord, Failed, Held, InFlight, LedgerEntry, PolicyRef, Subject } from './entry.ts';

/** That a call in flight is not, and will not be, done. `refused`: not sent, or answered with a no. */
export type Proof = 'none' | 'refused' | 'absent';

export type LedgerMove =
  | { readonly kind: 'begin'; readonly entry: Omit<InFlight, 'kind'>; readonly proof: Proof }
  | { readonly kind: 'complete'; readonly atMs: number; readonly vendorId: string | null }
  | {
      readonly kind: 'fail';
      readonly atMs: number;
      readonly code: ErrorCode;
      readonly epoch: number;
      readonly proof: Proof;
    }
  | {
      readonly kind: 'park';
      readonly atMs: number;
      readonly subject: Subject;
      readonly record: CommandRecord | null;
    }
  | {
      readonly kind: 'hold';
      readonly atMs: number;
      readonly expiresAtMs: number;
      readonly fingerprint: string;
      readonly receiptId: string;
      readonly subject: Subject;
      readonly policy: PolicyRef;
      readonly record: CommandRecord | null;
      readonly epoch: number;
      readonly proof: Proof;
    }
  /** Back to what was known before the call was begun, which is not going to be made by this owner. */
  | { readonly kind: 'release'; readonly to: Failed | Held | null; readonly epoch: number; readonly proof: Proof };

export function advance(before: LedgerEntry | null, move: LedgerMove): LedgerEntry | null {
  switch (move.kind) {
    case 'begin':
      return begin(before, move);
    case 'complete': {
      const { fingerprint, receiptId } = from(before, move, 'in_flight', 'parked');
      return { kind: 'done', fingerprint, receiptId, atMs: move.atMs, vendorId: move.vendorId };
    }
    case 'fail': {
      const { fingerprint, receiptId } = from(before, move, 'in_flight', 'parked', 'held');
      demandProof(before, move);
      return { kind: 'failed', fingerprint, receiptId, atMs: move.atMs, code: move.code };
    }
    case 'park': {
      const { fingerprint, receiptId, policy } = from(before, move, 'in_flight');
      const { atMs, subject, record } = move;
      return { kind: 'parked', fingerprint, receiptId, atMs, subject, policy, record };
    }
    case 'hold': {
      const { atMs, expiresAtMs, fingerprint, receiptId, subject, policy, record } = move;
      if (before !== null) from(before, move, 'failed', 'in_flight');
      demandProof(before, move);
      demandBinding(before, fingerprint);
      return { kind: 'held', fingerprint, receiptId, atMs, expiresAtMs, subject, policy, record };
    }
    case 'release':
      from(before, move, 'in_flight');
      demandProof(before, move);
      if (move.to !== null) demandBinding(before, move.to.fingerprint);
      return move.to;
  }
}

function begin(before: LedgerEntry | null, move: Extract<LedgerMove, { kind: 'begin' }>): InFlight {
  const { entry } = move;
  if (before !== null) {
    from(before, move, 'failed', 'held', 'in_flight');
    demandBinding(before, entry.fingerprint);
    demandProof(before, { ...move, epoch: entry.epoch });
  }
  if (entry.deadlineMs < entry.sendByMs) throw new RangeError('a call is over before it is sent');
  return { kind: 'in_flight', ...entry };
}

function from<K extends LedgerEntry['kind']>(
  before: LedgerEntry | null,
  move: { readonly kind: string },
  ...kinds: readonly K[]
): Extract<LedgerEntry, { kind: K }> {
  if (before !== null && (kinds as readonly string[]).includes(before.kind))
    return before as Extract<LedgerEntry, { kind: K }>;
  throw new RangeError(`${move.kind} does not follow ${before?.kind ?? 'nothing'}`);
}

/** L8. That Kustomer said no is known to the owner that called, and to nobody else. */
function demandProof(
  before: LedgerEntry | null,
  { kind, epoch, proof }: { readonly kind: string; readonly epoch: number; readonly proof: Proof },
): void {
  if (before?.kind !== 'in_flight') return;
  if (before.epoch > epoch) throw new RangeError(`${kind}: epoch ${epoch} has been succeeded by ${before.epoch}`);
  const proved = proof === 'absent' || (proof === 'refused' && before.epoch === epoch);
  if (!proved) throw new RangeError(`${kind} without proof that the call of epoch ${before.epoch} did not happen`);
}

/** L10. */
function demandBinding(before: LedgerEntry | null, fingerprint: string): void {
  if (before !== null && before.fingerprint !== fingerprint) throw new RangeError('the key is bound to another action');
}
