/** What a lifecycle is told, and what it wants done: plain data both ways. */
import type { ErrorCode } from '../../base/errors.ts';
import type { CommandRecord, InFlight, LedgerChange, LedgerEntry, PolicyRef, Subject } from '../ledger/entry.ts';
import type { CallOutcome, ReadResult } from './outcome.ts';

/** As much of a command as its life depends on. */
export interface LiveCommand {
  readonly identity: string;
  readonly fingerprint: string;
  /** Of this record; see receiptIdOf. Also names its reservation: copies of one command have one each. */
  readonly receiptId: string;
  readonly subject: Subject;
  /** Kept with it while it waits for a person. */
  readonly record: CommandRecord | null;
  readonly mode: 'live' | 'dry_run';
  /** Its write is decided on what is read, and that is written down before anything is sent. */
  readonly readsFirst: boolean;
  readonly deadlineMs: number | null;
  /** Its connection is gone (C15). */
  readonly disconnected?: boolean;
  /** Who approved the held command of this identity, if the record is an approval and no command of its own. */
  readonly approvedBy: string | null;
}

/** The moment of an event. `random` is from 0 to below 1. */
export interface Moment {
  readonly nowMs: number;
  /** Until then the partition is ours, whatever the others do: the last heartbeat's time plus the session timeout. */
  readonly leaseUntilMs: number;
  readonly random: number;
}

export type PolicyDecision =
  /** `reserve`: the rule has a limit, and a place in it must be had first; `moved`: one it had before was in another. */
  | { readonly decision: 'ALLOW'; readonly policy: PolicyRef; readonly reserve: boolean; readonly moved?: boolean }
  | {
      readonly decision: 'ALERT';
      readonly policy: PolicyRef;
      readonly reserve: boolean;
      readonly moved?: boolean;
      readonly expiresAtMs: number;
    }
  | { readonly decision: 'BLOCK'; readonly policy: PolicyRef; readonly code: ErrorCode; readonly message: string };

/** Those with `ask` answer the effect with that number, once. */
export type LifecycleEvent =
  | { readonly kind: 'validated' }
  | { readonly kind: 'invalid'; readonly code: ErrorCode; readonly message: string }
  /** The lane does not let it start yet; what can be asked before may be. */
  | { readonly kind: 'ahead' }
  /** The lane lets it start. */
  | { readonly kind: 'turn' }
  /** `isUnsent`: what it has in flight by another owner was never sent, as is known from its lane. */
  | { readonly kind: 'looked_up'; readonly ask: number; readonly entry: LedgerEntry | null; readonly isUnsent: boolean }
  | { readonly kind: 'decided'; readonly ask: number; readonly decision: PolicyDecision }
  /** On the place nothing is sent after `untilMs`. */
  | { readonly kind: 'reserved'; readonly ask: number; readonly untilMs: number }
  | { readonly kind: 'limited'; readonly ask: number; readonly message: string }
  /** Nobody knows whether there is a place. */
  | { readonly kind: 'unavailable'; readonly ask: number; readonly message: string }
  /** Its transaction is committed. */
  | { readonly kind: 'persisted'; readonly ask: number }
  | { readonly kind: 'answered'; readonly ask: number; readonly outcome: CallOutcome }
  | { readonly kind: 'read'; readonly ask: number; readonly result: ReadResult }
  | { readonly kind: 'woke'; readonly ask: number }
  /** We are stopping, or handing the partition over: no new call. */
  | { readonly kind: 'stop' }
  /** The partition is no longer ours. */
  | { readonly kind: 'lost' };

export type LifecycleEffect =
  | { readonly kind: 'look_up'; readonly ask: number }
  | { readonly kind: 'ask_policy'; readonly ask: number }
  /** The same id is the same reservation, however often it is asked for. */
  | { readonly kind: 'reserve'; readonly ask: number; readonly reservationId: string }
  /** Durable, not only staged, before it is answered. */
  | { readonly kind: 'persist'; readonly ask: number; readonly change: LedgerChange & { readonly entry: InFlight } }
  /** Not one byte leaves after `sendByMs`; the connection is closed at `abortAtMs` and after the request timeout. */
  | {
      readonly kind: 'call';
      readonly ask: number;
      readonly attempt: number;
      readonly sendByMs: number;
      readonly abortAtMs: number;
      /** Read before deciding what to write, whatever is remembered: the last call met a conflict. */
      readonly reread: boolean;
    }
  | { readonly kind: 'read_back'; readonly ask: number }
  /** The lane backs off; `woke` when it has its turn again. */
  | { readonly kind: 'wait'; readonly ask: number; readonly untilMs: number; readonly why: WaitReason }
  /** The end: change, receipt and offset in one transaction. No change leaves the ledger as it is; no receipt writes none. */
  | { readonly kind: 'finish'; readonly change: LedgerChange | null; readonly receipt: ReceiptFacts | null }
  /** No end: the record stays unfinished, for the next owner. The change, if any, is committed all the same. */
  | { readonly kind: 'abandon'; readonly change: LedgerChange | null };

export type WaitReason = 'retry' | 'conflict' | 'lease' | 'limit' | 'read_back' | 'settle';

/** What the lifecycle knows for the receipt; tenancy, cause and the rest are the command's own. */
export interface ReceiptFacts {
  readonly receiptId: string;
  readonly decision: 'ALLOW' | 'ALERT' | 'BLOCK' | 'DEDUP';
  readonly outcome: 'applied' | 'refused' | 'deduplicated' | 'failed' | 'dry_run';
  readonly policy: PolicyRef;
  readonly code: ErrorCode | null;
  readonly message: string | null;
  /** Of the command this one repeats. */
  readonly firstReceiptId: string | null;
  readonly vendorId: string | null;
  /** It was so already. */
  readonly unchanged: boolean;
  readonly approvedBy: string | null;
  /** Calls, over all owners. */
  readonly attempts: number;
  /** The outcome was found by reading back. */
  readonly reconciled: boolean;
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number;
}
