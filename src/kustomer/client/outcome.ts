/**
 * What became of a call. Every outcome is a value; nothing is thrown for what Kustomer or the network does.
 *
 * For a write the two that matter are told apart exactly: `not_sent` means that no byte of it was given to a socket, and
 * everything that fails after that without Kustomer's own refusal is `ambiguous`.
 */
import { type Disposition, ERROR_TABLE, type ErrorCode } from '../../base/errors.ts';
import type { AnswerHeaders } from '../budget/rate-headers.ts';

export interface Success<T> {
  readonly kind: 'ok';
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: T;
}

export type FailureKind =
  /** Surely not sent: no connection, or no room in the budget. Sending it is safe. */
  | 'not_sent'
  /** A write that may have happened. */
  | 'ambiguous'
  /** A read without a usable answer. */
  | 'retry'
  /** 429: not done; again at `retryAtMs`. */
  | 'wait'
  /** 409. */
  | 'conflict'
  /** 401, 403. */
  | 'permission'
  /** Wrong pod, region or host. */
  | 'config'
  /** 400, 404, 413, 422 and whatever else says no for good. */
  | 'refuse';

export interface Failure {
  readonly kind: FailureKind;
  readonly code: ErrorCode;
  readonly disposition: Disposition;
  /** What was being done, such as `conversation.get`. */
  readonly operation: string;
  /** For logs and receipts: bounded, without secrets. */
  readonly message: string;
  /** Of the answer, when there was one. */
  readonly status: number | null;
  /** When trying again makes sense, where somebody told. */
  readonly retryAtMs: number | null;
  /** Kustomer's own words, one per error of the body. */
  readonly errors: readonly VendorError[];
}

export interface VendorError {
  readonly code: string | null;
  readonly message: string;
  /** The field or parameter complained of. */
  readonly parameter: string | null;
}

export type Outcome<T> = Success<T> | Failure;

const CODE_OF = {
  not_sent: 'kustomer_not_sent',
  ambiguous: 'kustomer_ambiguous',
  retry: 'kustomer_unanswered',
  wait: 'kustomer_rate_limited',
  conflict: 'kustomer_conflict',
  permission: 'kustomer_permission',
  config: 'kustomer_misconfigured',
  refuse: 'kustomer_refused',
} as const satisfies Record<FailureKind, ErrorCode>;

const MAX_MESSAGE_LENGTH = 600;

export interface FailureFacts {
  readonly operation: string;
  readonly message: string;
  readonly code?: ErrorCode;
  readonly status?: number | null;
  readonly retryAtMs?: number | null;
  readonly errors?: readonly VendorError[];
}

export function failure(kind: FailureKind, facts: FailureFacts): Failure {
  const code = facts.code ?? CODE_OF[kind];
  return {
    kind,
    code,
    disposition: ERROR_TABLE[code].disposition,
    operation: facts.operation,
    message: facts.message.slice(0, MAX_MESSAGE_LENGTH),
    status: facts.status ?? null,
    retryAtMs: facts.retryAtMs ?? null,
    errors: facts.errors ?? [],
  };
}

/** The same outcome with its body read; `read` gives undefined for what it cannot make sense of. */
export function mapBody<T, U>(outcome: Outcome<T>, read: (body: T) => U | undefined, operation: string): Outcome<U> {
  if (outcome.kind !== 'ok') return outcome;
  const body = read(outcome.body);
  if (body !== undefined) return { ...outcome, body };
  const message = `${operation}: Kustomer's answer has not the form expected`;
  return failure('retry', { operation, message, status: outcome.status });
}
