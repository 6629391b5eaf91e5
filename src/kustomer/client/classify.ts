/** From what happened on the wire to an outcome. Pure. */
import type { AnswerHeaders } from '../budget/rate-headers.ts';
import { rateFacts } from '../budget/rate-headers.ts';
import { describeErrors, podMismatch, vendorErrors } from './error-body.ts';
import { type Failure, failure, type Outcome } from './outcome.ts';

/** What a request came to. `sent` is false only when no byte of it was given to a socket. */
export type WireResult =
  | { readonly answer: 'none'; readonly sent: boolean; readonly reason: string }
  /** Headers came; the body broke off, was too slow or too large: `reason`. */
  | {
      readonly answer: 'partial';
      readonly status: number;
      readonly headers: AnswerHeaders;
      readonly body: Buffer;
      readonly reason: string;
    }
  | { readonly answer: 'whole'; readonly status: number; readonly headers: AnswerHeaders; readonly body: Buffer };

export type Effect = 'read' | 'write';

export interface CallFacts {
  readonly operation: string;
  readonly effect: Effect;
  /** Named when Kustomer refuses for want of one. */
  readonly permission: string | null;
  readonly nowMs: number;
}

export function classify(result: WireResult, call: CallFacts): Outcome<unknown> {
  const { operation } = call;
  if (result.answer === 'none') {
    if (!result.sent) return failure('not_sent', { operation, message: `${operation}: not sent: ${result.reason}` });
    return unsure(call, `no answer: ${result.reason}`, null);
  }
  const { status } = result;
  if (status >= 200 && status < 300) return success(result, call);
  if (status >= 500 || status === 408 || status < 200)
    return unsure(call, `answered ${status}${told(result.body)}`, status, result);
  return refusal(result, call);
}

function success(result: Extract<WireResult, { status: number }>, call: CallFacts): Outcome<unknown> {
  const { status, headers } = result;
  if (result.answer === 'partial')
    return unsure(call, `answered ${status}, but the body broke off: ${result.reason}`, status);
  if (result.body.length === 0) return { kind: 'ok', status, headers, body: null };
  try {
    return { kind: 'ok', status, headers, body: JSON.parse(result.body.toString('utf8')) };
  } catch {
    return unsure(call, `answered ${status}, but the body is no JSON`, status);
  }
}

/** A read may simply be repeated; of a write nobody knows whether it happened. */
function unsure(
  { operation, effect, nowMs }: CallFacts,
  what: string,
  status: number | null,
  result?: Extract<WireResult, { status: number }>,
): Failure {
  const retryAfterMs = result === undefined ? null : rateFacts(result.headers, nowMs).retryAfterMs;
  return failure(effect === 'read' ? 'retry' : 'ambiguous', {
    operation,
    message: `${operation}: ${what}`,
    status,
    retryAtMs: retryAfterMs === null ? null : nowMs + retryAfterMs,
    errors: result === undefined ? [] : vendorErrors(result.body),
  });
}

function refusal(result: Extract<WireResult, { status: number }>, call: CallFacts): Failure {
  const { status, headers, body } = result;
  const { operation, permission, nowMs } = call;
  const errors = vendorErrors(body);
  const facts = { operation, status, errors };
  const pods = podMismatch(errors, body);
  if (pods !== null) {
    const { keyPod, askedPod } = pods;
    const message = `${operation}: the key belongs to pod ${keyPod}, the request went to ${askedPod}; use the organisation's own host`;
    return failure('config', { ...facts, message });
  }
  const message = `${operation}: answered ${status}${told(body)}`;
  if (status < 400) {
    return failure('config', { ...facts, message: `${operation}: answered ${status}, a redirect; it is not followed` });
  }
  if (status === 401 || status === 403) {
    const wanted = permission === null ? '' : `; the API key needs ${permission}`;
    return failure('permission', { ...facts, message: message + wanted });
  }
  if (status === 409) return failure('conflict', { ...facts, message });
  if (status === 429) {
    const { retryAfterMs, resetInMs } = rateFacts(headers, nowMs);
    const inMs = retryAfterMs ?? resetInMs;
    return failure('wait', { ...facts, message, retryAtMs: inMs === null ? null : nowMs + inMs });
  }
  return failure('refuse', { ...facts, message });
}

function told(body: Buffer): string {
  const text = describeErrors(vendorErrors(body));
  return text === '' ? '' : `: ${text}`;
}
