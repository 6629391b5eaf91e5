/**
 * What a command may do, as far as the ledger knows its key. The order of the questions matters: whether a call may be on the
 * wire comes before everything else, since a lane that moves on over one would have two in flight.
 *
 * L1 other arguments under a known key are refused, whatever became of the first (a key is bound at its first use)
 * L2 done: the command is a duplicate and is told of the first; never sent
 * L3 parked: nothing is sent under the key until a person has decided
 * L4 in flight and not by us, here and now: nothing is sent before it has been read back; and no read proves absence while
 *    the call may be on the wire
 * L5 failed: the same action may be tried again by a new command
 * L6 an entry of a later epoch means that we are the zombie: nothing is done at all
 *
 * Why failing releases the key (L5) instead of burning it. `failed` is only ever written when it is certain that nothing was
 * done: Kustomer itself said no to the only call that was out, or absence was proved (moves.ts). So trying again cannot do it
 * twice. A burned key would turn a cause that passes (a missing permission, a bad API key) into a write that is lost for 90
 * days and answers DEDUP, which everybody takes for success, because operators derive the same key for the same action
 * again. It stays bound to its arguments (L1): two actions under one key would make it a matter of luck which one happens.
 * The price is that a command that fails is called each time it is sent again; policy limits and the rate budget bound that.
 */
import type { Done, Failed, Held, InFlight, LedgerEntry, Parked } from './entry.ts';

export interface Claim {
  readonly fingerprint: string;
  /** Of the owner that asks. */
  readonly epoch: number;
  readonly live: boolean;
  /** Who approved the command that is held, if that is what is being carried out. */
  readonly approvedBy: string | null;
}

export type LedgerVerdict =
  /** Go on to the policy. */
  | { readonly kind: 'free'; readonly before: Failed | null }
  /** It is the held command, approved. */
  | { readonly kind: 'approved'; readonly held: Held }
  | { readonly kind: 'duplicate'; readonly of: Done | Held }
  | { readonly kind: 'conflict'; readonly of: LedgerEntry }
  | { readonly kind: 'unknown'; readonly of: Parked | InFlight }
  | { readonly kind: 'reconcile'; readonly entry: InFlight }
  | { readonly kind: 'fenced' };

export function consult(entry: LedgerEntry | null, claim: Claim): LedgerVerdict {
  if (entry === null) return { kind: 'free', before: null };
  if (entry.kind === 'in_flight' && entry.epoch > claim.epoch) return { kind: 'fenced' };
  if (entry.fingerprint !== claim.fingerprint) return { kind: 'conflict', of: entry };
  switch (entry.kind) {
    case 'done':
      return { kind: 'duplicate', of: entry };
    case 'failed':
      return { kind: 'free', before: entry };
    case 'parked':
      return { kind: 'unknown', of: entry };
    case 'held':
      return claim.approvedBy !== null && claim.live
        ? { kind: 'approved', held: entry }
        : { kind: 'duplicate', of: entry };
    case 'in_flight':
      // A dry run reads nothing back: it would settle what it is not about.
      return claim.live ? { kind: 'reconcile', entry } : { kind: 'unknown', of: entry };
  }
}
