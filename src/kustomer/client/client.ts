/**
 * The one way to Kustomer's REST API: every call waits for the budget, has a deadline, and ends in an outcome.
 *
 * K1 Nothing is sent without a grant of the organisation's budget, and every grant is ended with what really happened.
 * K2 A write is sent at most once per `call`. Whether it may be repeated is said by the outcome: see outcome.ts.
 * K3 The API key is revealed in one header and nowhere else; should Kustomer quote it, it is blotted out.
 * K4 Only the organisation's own host is ever asked: links to another are refused, redirects are not followed.
 * K5 A 429 stops every call, but for one that surely is about the write's own customer or object: whoever waits for that
 *    holds up nobody else.
 */

import { type Clock, steadyClock } from '../../base/clock.ts';
import { CodedError, hasCode } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import type { CallKind, Lane } from '../budget/lanes.ts';
import { rateFacts } from '../budget/rate-headers.ts';
import { type BaseOptions, baseOf, linkPath, pathOf, type Query } from './base-url.ts';
import type { BudgetGate, CallEnd, GateHealth } from './budget-gate.ts';
import { classify, type Effect, type WireResult } from './classify.ts';
import { type Failure, failure, type Outcome } from './outcome.ts';
import { createTransport, DEFAULT_TIMEOUTS, type Exchange, type Timeouts } from './transport.ts';

export interface KustomerClientOptions extends BaseOptions {
  readonly apiKey: Secret;
  /** Shared by everything in this process that calls the organisation. */
  readonly gate: BudgetGate;
  /** The gate's clock. */
  readonly clock?: Clock;
  readonly timeouts?: Partial<Timeouts>;
  readonly maxResponseBytes?: number;
  readonly connections?: number;
  readonly userAgent?: string;
}

export interface KustomerCall {
  /** For messages, logs and metrics, such as `conversation.get`. */
  readonly operation: string;
  readonly method: Exchange['method'];
  /** Below /v1, not encoded: `['conversations', id]`. Or a link out of an answer. */
  readonly path: readonly string[] | { readonly link: string };
  readonly query?: Query;
  readonly body?: unknown;
  readonly lane: Lane;
  /** Default `call`. */
  readonly kind?: CallKind;
  /** Default: GET reads, everything else writes. */
  readonly effect?: Effect;
  /** The role of Kustomer's that allows it, named when it is missing. */
  readonly permission?: string;
  /** Longest wait for the budget; default by lane. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  /** Asked right before the first byte; false = it is `not_sent`. */
  readonly maySend?: () => boolean;
}

export interface ClientHealth {
  readonly origin: string;
  readonly budget: GateHealth;
  readonly lastOkAtMs: number | null;
  readonly failuresInARow: number;
  readonly lastFailure: (Pick<Failure, 'kind' | 'code' | 'status' | 'operation'> & { readonly atMs: number }) | null;
  /** Kustomer's `X-Kustomer-Pod`. */
  readonly pod: string | null;
}

export interface KustomerClient {
  /** Never rejects for what Kustomer or the network does. */
  call(call: KustomerCall): Promise<Outcome<unknown>>;
  health(): ClientHealth;
  /** Breaks off what is under way. The gate is the caller's. */
  close(): Promise<void>;
}

/** Kustomer refuses more with 413 nearly everywhere. */
const MAX_REQUEST_BYTES = 100 * 1024;
const MAX_RESPONSE_BYTES = 32 * 1024 * 1024;
/** As many conversations of one customer may well be written to at once. */
const MOST_NARROW_IN_A_ROW = 20;
const WAIT_MS: Readonly<Record<Lane, number>> = { writes: 30_000, probes: 30_000, poll: 60_000, backfill: 300_000 };

export function createKustomerClient(options: KustomerClientOptions): KustomerClient {
  const { apiKey, gate, clock = steadyClock, userAgent = 'cn-kustomer' } = options;
  const base = baseOf(options);
  // undici would quote a header it cannot send.
  if (!/^[\x21-\x7e]+$/.test(apiKey.reveal())) {
    throw new CodedError('config_invalid', 'the API key of Kustomer is empty or has characters no key has');
  }
  const transport = createTransport({
    origin: base.origin,
    timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
    maxBytes: options.maxResponseBytes ?? MAX_RESPONSE_BYTES,
    connections: options.connections ?? 32,
  });
  let lastOkAtMs: number | null = null;
  let failuresInARow = 0;
  let lastFailure: ClientHealth['lastFailure'] = null;
  let pod: string | null = null;
  let narrowInARow = 0;

  /** K5. Should so many come without one write that succeeds, it is not one customer any more. */
  const isNarrow = (result: WireResult, effect: Effect): boolean => {
    if (effect !== 'write' || result.answer === 'none') return false;
    if (result.status < 300) narrowInARow = 0;
    const { remaining } = rateFacts(result.headers, clock.nowMs());
    if (result.status !== 429 || remaining === null || remaining < 1) return false;
    narrowInARow += 1;
    return narrowInARow <= MOST_NARROW_IN_A_ROW;
  };

  const prepare = (call: KustomerCall): Exchange | Failure => {
    const { operation, method, path, query, signal, maySend } = call;
    const target = 'link' in path ? linkPath(base, path.link) : pathOf(base, path, query);
    if (target === null) {
      const message = `${operation}: not sent: ${'link' in path ? 'the link leads to another host' : 'the path is malformed'}`;
      return failure('link' in path ? 'config' : 'refuse', { operation, message });
    }
    const body = call.body === undefined ? null : Buffer.from(JSON.stringify(call.body));
    if (body !== null && body.length > MAX_REQUEST_BYTES) {
      const message = `${operation}: not sent: ${body.length} bytes, Kustomer takes ${MAX_REQUEST_BYTES}`;
      return failure('refuse', { operation, message });
    }
    const headers = {
      accept: 'application/json',
      'user-agent': userAgent,
      authorization: `Bearer ${apiKey.reveal()}`,
      ...(body === null ? {} : { 'content-type': 'application/json' }),
    };
    return { method, path: target, headers, body, signal, maySend };
  };

  const perform = async (call: KustomerCall, exchange: Exchange): Promise<Outcome<unknown>> => {
    const { operation, lane, kind = 'call', method, signal } = call;
    const ask = { lane, kind, waitMs: call.waitMs ?? WAIT_MS[lane], signal };
    const effect = call.effect ?? (method === 'GET' ? 'read' : 'write');
    try {
      const result = await gate.run(ask, async () => {
        const value = await transport.exchange(exchange);
        return { value, end: endOf(value, isNarrow(value, effect)) };
      });
      if (result.answer !== 'none') pod = header(result, 'x-kustomer-pod') ?? pod;
      return classify(result, { operation, effect, permission: call.permission ?? null, nowMs: clock.nowMs() });
    } catch (error) {
      if (!hasCode(error, 'budget_exhausted')) throw error;
      const pausedUntilMs = error.detail['paused_until_ms'];
      const retryAtMs = typeof pausedUntilMs === 'number' ? pausedUntilMs : null;
      const message = `${operation}: not sent: ${error.message}`;
      return failure('not_sent', { operation, message, code: 'budget_exhausted', retryAtMs });
    }
  };

  /** K3: no answer of Kustomer's is trusted not to hold the key. */
  const blot = (text: string): string => text.replaceAll(apiKey.reveal(), '[secret]');

  return {
    call: async (call) => {
      const exchange = prepare(call);
      const outcome = 'kind' in exchange ? exchange : await perform(call, exchange);
      if (outcome.kind === 'ok') {
        lastOkAtMs = clock.nowMs();
        failuresInARow = 0;
        return outcome;
      }
      const { kind, code, status, operation } = outcome;
      failuresInARow += 1;
      lastFailure = { kind, code, status, operation, atMs: clock.nowMs() };
      const errors = outcome.errors.map((error) => ({
        code: error.code === null ? null : blot(error.code),
        message: blot(error.message),
        parameter: error.parameter === null ? null : blot(error.parameter),
      }));
      return { ...outcome, message: blot(outcome.message), errors };
    },
    health: () => ({ origin: base.origin, budget: gate.health(), lastOkAtMs, failuresInARow, lastFailure, pod }),
    close: () => transport.close(),
  };
}

function endOf(result: WireResult, narrow: boolean): CallEnd {
  if (result.answer !== 'none') {
    const { status, headers } = result;
    return { ending: 'answered', status, headers, ...(narrow ? { narrow } : {}) };
  }
  return { ending: result.sent ? 'unanswered' : 'not_sent' };
}

function header(result: Extract<WireResult, { status: number }>, name: string): string | null {
  const value = result.headers[name];
  return typeof value === 'string' ? value.slice(0, 50) : null;
}
