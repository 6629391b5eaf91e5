/**
 * What happens to entries that wait for a person, beside the lanes. Each gives the change to commit; a hold that ends also
 * gives what its receipt says. Undefined: there is nothing (any more) to decide.
 *
 * V1 a parked command that was applied is done: its duplicates are told so
 * V2 a parked command that was not applied frees its key; only a new command sends it again
 * V3 the receipt of a parked command is out; the decision changes none
 * V4 a held command ends once: approved (lifecycle), refused or expired, and never before its time
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { Done, Failed, Held, LedgerEntry, Parked } from './entry.ts';
import { advance } from './moves.ts';

export type Resolution = { readonly applied: true; readonly vendorId: string | null } | { readonly applied: false };

export function resolveParked(entry: Parked, resolution: Resolution, nowMs: number): Done | Failed {
  const move = resolution.applied
    ? ({ kind: 'complete', atMs: nowMs, vendorId: resolution.vendorId } as const)
    : ({ kind: 'fail', atMs: nowMs, code: 'outcome_unknown', epoch: 0, proof: 'absent' } as const);
  return advance(entry, move) as Done | Failed;
}

export interface EndedHold {
  readonly entry: Failed;
  readonly code: ErrorCode;
}

export function expireHeld(entry: Held, nowMs: number): EndedHold | undefined {
  return nowMs < entry.expiresAtMs ? undefined : endHeld(entry, 'confirmation_expired', nowMs);
}

export function rejectHeld(entry: Held, nowMs: number): EndedHold {
  return endHeld(entry, nowMs < entry.expiresAtMs ? 'confirmation_rejected' : 'confirmation_expired', nowMs);
}

function endHeld(entry: Held, code: ErrorCode, nowMs: number): EndedHold {
  const failed = advance(entry, { kind: 'fail', atMs: nowMs, code, epoch: 0, proof: 'refused' }) as Failed;
  return { entry: failed, code };
}

/** What lists of work for people show. */
export function waitsForPerson(entry: LedgerEntry): entry is Parked | Held {
  return entry.kind === 'parked' || entry.kind === 'held';
}
