/** What became of a call, as the lifecycle tells calls apart, and the one table from what Kustomer's client says. */
import type { ErrorCode } from '../../base/errors.ts';
import type { Failure, FailureKind, Outcome } from '../../kustomer/client/outcome.ts';

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

/**
 * `retry` is a read before the write: the write was not sent. A write's own failure is never `retry`: its client calls
 * everything after the first byte `ambiguous` that Kustomer has not said no to.
 */
const KIND_OF = {
  not_sent: 'retry_later',
  wait: 'retry_later',
  retry: 'retry_later',
  conflict: 'conflict',
  permission: 'failed_final',
  config: 'failed_final',
  refuse: 'failed_final',
  ambiguous: 'ambiguous',
} as const satisfies Record<FailureKind, CallOutcome['kind']>;

export function callOutcome<T>(outcome: Outcome<T>, vendorIdOf: (body: T) => string | null): CallOutcome {
  if (outcome.kind === 'ok') return { kind: 'applied', vendorId: vendorIdOf(outcome.body), unchanged: false };
  return failedCall(outcome);
}

export function failedCall({ kind, code, message, retryAtMs }: Failure): CallOutcome {
  const is = KIND_OF[kind];
  return is === 'retry_later' ? { kind: is, code, message, retryAtMs } : { kind: is, code, message };
}

/** What a read after an ambiguous call showed. */
export type ReadResult =
  | { readonly kind: 'found'; readonly vendorId: string | null }
  /** Everything was read, from `startedAtMs` on, and it is not there. */
  | { readonly kind: 'absent'; readonly startedAtMs: number }
  /** No answer, or one that leaves it open; worth reading again. */
  | { readonly kind: 'unclear'; readonly retryAtMs: number | null }
  /** It cannot be read at all, such as without the permission; reading again would not help. */
  | { readonly kind: 'unreadable'; readonly message: string };
