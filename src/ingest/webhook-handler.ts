/**
 * The I/O around webhook-decision.ts: reads the body, appends the record, answers.
 *
 * H1  A 2xx is written only after `append` has resolved for the very bytes received.
 * H2  Every request gets one answer within `appendTimeoutMs` of its last byte, whatever the log does.
 * H3  Open requests and the bytes they hold are bounded; beyond the bounds the answer is 503.
 *     Of the bytes, one connection's bodies hold at most half before their signature is verified (body-reader.ts, B4).
 *     Of both, each tenant has a fair share (fair-shares.ts): one tenant's flood is refused while there is room for others.
 * H4  Bytes handed to the appender count as held until it settles, also when the sender was told 503 meanwhile.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hasCode } from '../base/errors.ts';
import { createFairShares } from '../base/fair-shares.ts';
import type { ConnectionWithTokens } from '../fibric/connection.ts';
import { SIGNATURE_HEADER } from '../kustomer/signature.ts';
import { answerAccepted, answerError } from './answer.ts';
import { type ByteBudget, readBody } from './body-reader.ts';
import type { ReceiverCounters } from './counters.ts';
import type { ConnectionLookup, RawAppender, ReceiverLogger } from './ports.ts';
import { createTally } from './tally.ts';
import {
  type Acceptance,
  bodyTooLarge,
  decideBody,
  decideHead,
  type PreparedConnection,
  prepareConnection,
  type Refusal,
} from './webhook-decision.ts';

export interface HandlerSettings {
  readonly topic: string;
  readonly maxBodyBytes: number;
  /** Longest wait for the log before a delivery is answered 503. */
  readonly appendTimeoutMs: number;
  readonly maxOpenRequests: number;
  readonly maxHeldBytes: number;
  readonly retryAfterS: number;
  /** At most one warning of a kind per connection in this time. */
  readonly alarmIntervalMs: number;
}

export interface HandlerOptions extends HandlerSettings {
  readonly connections: ConnectionLookup;
  readonly appender: RawAppender;
  readonly logger: ReceiverLogger;
  readonly nowMs: () => number;
}

export interface HandlerState {
  readonly shuttingDown: boolean;
  readonly openRequests: number;
  readonly heldBytes: number;
  /** Appends that failed or timed out since the last one that was acknowledged. */
  readonly failedSinceAck: number;
  readonly lastAckAtMs: number | null;
  readonly lastFailureAtMs: number | null;
}

export interface WebhookHandler {
  /** Answers a request below the webhook path; `connectionId` is its last segment. */
  handle(request: IncomingMessage, response: ServerResponse, connectionId: string): void;
  /** From now on new requests are answered 503, and answers ask for the connection to be closed. */
  shutDown(): void;
  readonly counters: ReceiverCounters;
  state(): HandlerState;
}

const NO_ROOM: Refusal = {
  kind: 'refuse',
  status: 503,
  code: 'queue_full',
  message: 'too many deliveries are waiting',
};
const NO_SHARE: Refusal = {
  kind: 'refuse',
  status: 503,
  code: 'share_full',
  message: "too many of the tenant's deliveries are waiting",
};
const NOT_STORED: Refusal = {
  kind: 'refuse',
  status: 503,
  code: 'log_unavailable',
  message: 'the delivery could not be stored in time; send it again',
};

export function createWebhookHandler(options: HandlerOptions): WebhookHandler {
  const { connections, appender, nowMs, maxBodyBytes } = options;
  const tally = createTally(options);
  const prepared = new WeakMap<ConnectionWithTokens, PreparedConnection>();
  const unverified = new WeakMap<PreparedConnection, ByteBudget>();
  const bodies = createFairShares(options.maxHeldBytes);
  const open = createFairShares(options.maxOpenRequests);
  const limits = { maxBodyBytes, maxDiscardBytes: 8 * maxBodyBytes };
  let shuttingDown = false;
  let failedSinceAck = 0;
  let lastAckAtMs: number | null = null;
  let lastFailureAtMs: number | null = null;

  function find(connectionId: string): PreparedConnection | 'unreadable' | undefined {
    const connection = connections.get(connectionId);
    if (connection === undefined) return connections.unreadable?.(connectionId) ? 'unreadable' : undefined;
    let found = prepared.get(connection);
    if (found === undefined) {
      found = prepareConnection(connection);
      prepared.set(connection, found);
      unverified.set(found, { heldBytes: 0, maxBytes: Math.floor(options.maxHeldBytes / 2) });
    }
    return found;
  }

  function refuse(response: ServerResponse, refusal: Refusal, connectionId: string | null, close = shuttingDown): void {
    const requestId = randomUUID();
    tally.refused(refusal, connectionId, requestId);
    if (!response.destroyed) answerError(response, refusal, { requestId, retryAfterS: options.retryAfterS, close });
  }

  function append(response: ServerResponse, acceptance: Acceptance, by: PreparedConnection, bytes: number): void {
    const { connectionId, tenantId } = by;
    let answered = false;
    const fail = (refusal: Refusal): void => {
      if (answered) return;
      answered = true;
      open.give(tenantId, 1);
      const isOneTenants = refusal === NO_SHARE;
      if (!isOneTenants) {
        failedSinceAck += 1;
        lastFailureAtMs = nowMs();
      }
      refuse(response, refusal, isOneTenants ? connectionId : null);
    };
    const timer = setTimeout(fail, options.appendTimeoutMs, NOT_STORED);
    appender.append(acceptance.record, tenantId).then(
      () => {
        clearTimeout(timer);
        bodies.give(tenantId, bytes);
        failedSinceAck = 0;
        lastAckAtMs = nowMs();
        if (answered) return;
        answered = true;
        open.give(tenantId, 1);
        tally.accepted(acceptance, connectionId, bytes);
        if (!response.destroyed) answerAccepted(response, shuttingDown);
      },
      (error: unknown) => {
        clearTimeout(timer);
        bodies.give(tenantId, bytes);
        if (hasCode(error, 'queue_full')) return fail(NO_ROOM);
        if (hasCode(error, 'share_full')) return fail(NO_SHARE);
        tally.appendFailed(error, connectionId);
        fail(NOT_STORED);
      },
    );
  }

  function received(request: IncomingMessage, response: ServerResponse, connection: PreparedConnection, body: Buffer) {
    const decision = decideBody({
      topic: options.topic,
      connection,
      body,
      signature: request.headers[SIGNATURE_HEADER] as string | undefined,
      traceparent: request.headers['traceparent'] as string | undefined,
      receivedAtMs: nowMs(),
    });
    if (decision.kind === 'append') {
      append(response, decision, connection, body.length);
    } else {
      bodies.give(connection.tenantId, body.length);
      open.give(connection.tenantId, 1);
      refuse(response, decision, connection.connectionId);
    }
  }

  function handle(request: IncomingMessage, response: ServerResponse, connectionId: string): void {
    const connection = find(connectionId);
    const admitted = decideHead(
      {
        method: request.method,
        contentType: request.headers['content-type'],
        contentEncoding: request.headers['content-encoding'],
        contentLength: request.headers['content-length'],
      },
      { shuttingDown, connection, maxBodyBytes },
    );
    if (admitted.kind === 'refuse') {
      // Node reads what is left of the body and drops it; not worth it for a body far too large.
      const close = shuttingDown || Number(request.headers['content-length']) > limits.maxDiscardBytes;
      refuse(response, admitted, connection === undefined ? null : connectionId, close);
      return;
    }
    const { tenantId } = admitted.connection;
    const taken = open.take(tenantId, 1);
    if (taken !== 'taken') {
      if (taken === 'full') refuse(response, NO_ROOM, null);
      else refuse(response, NO_SHARE, connectionId);
      return;
    }
    const share = unverified.get(admitted.connection) as ByteBudget;
    readBody(request, limits, { tenantId, all: bodies, unverified: share }, (body) => {
      if (typeof body !== 'string') {
        received(request, response, admitted.connection, body);
        return;
      }
      open.give(tenantId, 1);
      if (body === 'gone') tally.abandoned();
      else if (body === 'no_room') refuse(response, NO_ROOM, null);
      else if (body === 'no_share') refuse(response, NO_SHARE, connectionId);
      else if (body === 'unverified_full') refuse(response, NO_ROOM, connectionId);
      else refuse(response, bodyTooLarge(maxBodyBytes), connectionId, true);
    });
  }

  return {
    handle,
    shutDown() {
      shuttingDown = true;
    },
    counters: tally.counters,
    state: () => ({
      shuttingDown,
      openRequests: open.held,
      heldBytes: bodies.held,
      failedSinceAck,
      lastAckAtMs,
      lastFailureAtMs,
    }),
  };
}
