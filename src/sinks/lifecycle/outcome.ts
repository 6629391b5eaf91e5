/** What became of a call, as the lifecycle tells calls apart; what Kustomer's answers come to is the table of ../outcome.ts. */
import type { ErrorCode } from '../../base/errors.ts';

export type CallOutcome =
  /** `unchanged`: it was so already, and nothing was sent. */
  | { readonly kind: 'applied'; readonly vendorId: string | null; readonly unchanged: boolean }
  /** Having read, the action itself would not do it (a call's state would move backwards, the conversation is merged). */
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
  /** Kustomer said no, and would again. */
  | { readonly kind: 'failed_final'; readonly code: ErrorCode; readonly message: string }
  /** Surely not done; worth trying again. */
  | {
      readonly kind: 'retry_later';
      readonly code: ErrorCode;
      readonly message: string;
      readonly retryAtMs: number | null;
    }
  /** 409: surely not done; what it was decided on has changed. */
  | { readonly kind: 'conflict'; readonly code: ErrorCode; readonly message: string }
  /** It may have happened. */
  | { readonly kind: 'ambiguous'; readonly code: ErrorCode; readonly message: string };

/** What a read after an ambiguous call showed. */
export type ReadResult =
  | { readonly kind: 'found'; readonly vendorId: string | null }
  /** Everything was read, from `startedAtMs` on, and it is not there. */
  | { readonly kind: 'absent'; readonly startedAtMs: number }
  /** No answer, or one that leaves it open; worth reading again. */
  | { readonly kind: 'unclear'; readonly retryAtMs: number | null }
  /** It cannot be read at all, such as without the permission; reading again would not help. */
  | { readonly kind: 'unreadable'; readonly message: string };
