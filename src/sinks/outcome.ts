/**
 * The one table of what an answer of Kustomer's, or the lack of one, means for a write. Pure.
 *
 * The first row that fits decides. `becomes` is what the life of the command goes on from:
 *
 * applied       done, once
 * retry_later   surely not done; again after a backoff, or when Kustomer says
 * conflict      surely not done; what it was decided on has changed: read again and decide again
 * failed_final  surely not done, and would not be done the next time
 * ambiguous     may have been done: nothing is sent before it has been read back
 *
 * Reads before the write go through the same table: a read that fails has written nothing.
 */
import type { ErrorCode } from '../base/errors.ts';
import type { Failure, FailureKind, Outcome } from '../kustomer/client/outcome.ts';
import { nextStepOf } from './next-steps.ts';

export type Becomes = 'applied' | 'retry_later' | 'conflict' | 'failed_final' | 'ambiguous';

/** What it says about the connection as a whole, whatever becomes of the command. */
export type ConnectionFault = 'key_refused' | 'role_missing' | 'misconfigured';

export interface OutcomeRow {
  readonly name: string;
  readonly kind: FailureKind | 'ok';
  /** Any, when absent. */
  readonly status?: number | readonly [from: number, to: number];
  /** No answer came. */
  readonly unanswered?: true;
  readonly code?: ErrorCode;
  /** In Kustomer's own words. */
  readonly says?: RegExp;
  readonly becomes: Becomes;
  /** Of the receipt, should it end here; null when it succeeded. */
  readonly receiptCode: ErrorCode | null;
  readonly connectionFault?: ConnectionFault;
  readonly meaning: string;
}

export const OUTCOME_TABLE: readonly OutcomeRow[] = [
  {
    name: 'done',
    kind: 'ok',
    becomes: 'applied',
    receiptCode: null,
    meaning: '2xx with a body that could be read.',
  },
  {
    name: 'no_budget',
    kind: 'not_sent',
    code: 'budget_exhausted',
    becomes: 'retry_later',
    receiptCode: 'budget_exhausted',
    meaning: "The organisation's rate budget had no room in time.",
  },
  {
    name: 'not_sent',
    kind: 'not_sent',
    becomes: 'retry_later',
    receiptCode: 'kustomer_not_sent',
    meaning: 'No connection, or a reset before the first byte.',
  },
  {
    name: 'rate_limited',
    kind: 'wait',
    becomes: 'retry_later',
    receiptCode: 'kustomer_rate_limited',
    meaning: "429: the organisation's limit, that of creates per customer, or that of the object.",
  },
  {
    name: 'read_unanswered',
    kind: 'retry',
    becomes: 'retry_later',
    receiptCode: 'kustomer_unanswered',
    meaning: 'A read before the write got no usable answer.',
  },
  {
    name: 'conflict',
    kind: 'conflict',
    becomes: 'conflict',
    receiptCode: 'kustomer_conflict',
    meaning: '409: the object has another revision than the one decided on.',
  },
  {
    name: 'key_refused',
    kind: 'permission',
    status: 401,
    becomes: 'failed_final',
    receiptCode: 'kustomer_unauthorized',
    connectionFault: 'key_refused',
    meaning: '401: the key is wrong, expired or revoked; by the old documentation also a missing role.',
  },
  {
    name: 'role_missing',
    kind: 'permission',
    becomes: 'failed_final',
    receiptCode: 'kustomer_permission',
    connectionFault: 'role_missing',
    meaning: '403: the key lacks the role the message names.',
  },
  {
    name: 'misconfigured',
    kind: 'config',
    becomes: 'failed_final',
    receiptCode: 'kustomer_misconfigured',
    connectionFault: 'misconfigured',
    meaning: 'Another pod or region, a redirect, another host.',
  },
  {
    name: 'locked',
    kind: 'refuse',
    status: [400, 499],
    says: /\block(?:ed)?\b/i,
    becomes: 'failed_final',
    receiptCode: 'target_locked',
    meaning: '4xx that speaks of a lock.',
  },
  {
    name: 'not_found',
    kind: 'refuse',
    status: 404,
    becomes: 'failed_final',
    receiptCode: 'target_not_found',
    meaning: "404: there is none, or it is outside of the key's scope.",
  },
  {
    name: 'gone',
    kind: 'refuse',
    status: 410,
    becomes: 'failed_final',
    receiptCode: 'target_not_found',
    meaning: '410: it was there.',
  },
  {
    name: 'too_large',
    kind: 'refuse',
    status: 413,
    becomes: 'failed_final',
    receiptCode: 'write_too_large',
    meaning: '413: more than 100 KB.',
  },
  {
    name: 'bad_request',
    kind: 'refuse',
    status: 400,
    becomes: 'failed_final',
    receiptCode: 'kustomer_refused',
    meaning: '400: an unknown field or attribute, or a value Kustomer does not take.',
  },
  {
    name: 'unprocessable',
    kind: 'refuse',
    status: 422,
    becomes: 'failed_final',
    receiptCode: 'kustomer_refused',
    meaning: '422: understood, and refused.',
  },
  {
    name: 'unsendable',
    kind: 'refuse',
    unanswered: true,
    becomes: 'failed_final',
    receiptCode: 'kustomer_refused',
    meaning: 'Our own client would not send it: the body is too large or the path malformed.',
  },
  {
    name: 'refused',
    kind: 'refuse',
    becomes: 'failed_final',
    receiptCode: 'kustomer_refused',
    meaning: 'Any other 4xx.',
  },
  {
    name: 'server_error',
    kind: 'ambiguous',
    status: [500, 599],
    becomes: 'ambiguous',
    receiptCode: 'outcome_unknown',
    meaning: '5xx: the server failed, perhaps after it had written.',
  },
  {
    name: 'answer_unreadable',
    kind: 'ambiguous',
    status: [200, 299],
    becomes: 'ambiguous',
    receiptCode: 'outcome_unknown',
    meaning: '2xx, but the body broke off or is no JSON: most likely done, and read back all the same.',
  },
  {
    name: 'answer_lost',
    kind: 'ambiguous',
    becomes: 'ambiguous',
    receiptCode: 'outcome_unknown',
    meaning: 'Bytes left and no answer came: a reset, a timeout, 408.',
  },
];

export interface Judgement {
  readonly row: OutcomeRow['name'];
  readonly becomes: Becomes;
  readonly code: ErrorCode | null;
  /** Kustomer's own words among it; empty when done. */
  readonly message: string;
  readonly nextStep: string | null;
  readonly retryAtMs: number | null;
  readonly connectionFault: ConnectionFault | null;
}

export function judge(outcome: Outcome<unknown>): Judgement {
  const row = OUTCOME_TABLE.find((candidate) => fits(candidate, outcome)) as OutcomeRow;
  return {
    row: row.name,
    becomes: row.becomes,
    code: row.receiptCode,
    message: outcome.kind === 'ok' ? '' : outcome.message,
    nextStep: row.receiptCode === null ? null : nextStepOf(row.receiptCode),
    retryAtMs: outcome.kind === 'ok' ? null : outcome.retryAtMs,
    connectionFault: row.connectionFault ?? null,
  };
}

/** Every kind has a last row without a condition, so one always fits. */
function fits({ kind, status, unanswered, code, says }: OutcomeRow, outcome: Outcome<unknown>): boolean {
  if (kind !== outcome.kind) return false;
  if (outcome.kind === 'ok') return true;
  if (code !== undefined && code !== outcome.code) return false;
  if (unanswered === true && outcome.status !== null) return false;
  if (says !== undefined && !speaks(outcome, says)) return false;
  return status === undefined || isWithin(outcome.status, typeof status === 'number' ? [status, status] : status);
}

function isWithin(status: number | null, [from, to]: readonly [number, number]): boolean {
  return status !== null && status >= from && status <= to;
}

function speaks({ errors }: Failure, says: RegExp): boolean {
  return errors.some(({ code, message }) => says.test(message) || says.test(code ?? ''));
}
