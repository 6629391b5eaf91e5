/**
 * What becomes of a webhook request. Pure: plain data in, a refusal or a record to append out.
 *
 * W1  Nothing is appended without a valid signature of a live token of the connection in the path.
 * W2  With a valid signature, only a foreign organisation is refused: malformed bodies and unknown names are appended.
 * W3  The record's value is the body as received, and tenant and connection come from the connection, never the body.
 * W4  A refusal says nothing about what would have been accepted: no token, no organisation, no tenant.
 */
import type { ErrorCode } from '../base/errors.ts';
import type { ConnectionWithTokens } from '../fibric/connection.ts';
import type { Append } from '../kafka/port.ts';
import { type EventName, isKnownEventName } from '../kustomer/event-names.ts';
import type { HmacKey } from '../kustomer/hmac.ts';
import { peek } from '../kustomer/peek.ts';
import { signingKey, verifySignature } from '../kustomer/signature.ts';
import { type OriginHeaders, originHeaders, rawRecord } from './raw-record.ts';
import { validTraceparent } from './traceparent.ts';

export interface Refusal {
  readonly kind: 'refuse';
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface Acceptance {
  readonly kind: 'append';
  readonly record: Append;
  readonly malformed: boolean;
  /** Name in the body where there is one, for counting. */
  readonly eventName: string | null;
  /** The same when it is one of the twelve. */
  readonly knownName: EventName | null;
}

export interface Admission {
  readonly kind: 'admit';
  readonly connection: PreparedConnection;
}

/** A connection with what every request would otherwise compute again. */
export interface PreparedConnection {
  readonly connectionId: string;
  readonly tenantId: string;
  readonly orgId: string | null;
  readonly keys: readonly HmacKey[];
  readonly origin: OriginHeaders;
}

export function prepareConnection(connection: ConnectionWithTokens): PreparedConnection {
  return {
    connectionId: connection.connectionId,
    tenantId: connection.tenantId,
    orgId: connection.orgId,
    keys: connection.webhookTokens.map((token) => signingKey(token.reveal())),
    origin: originHeaders(connection, 'webhook'),
  };
}

/** The request before its body is read. */
export interface RequestHead {
  readonly method: string | undefined;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly contentLength: string | undefined;
}

export interface HeadContext {
  readonly shuttingDown: boolean;
  /** `unreadable`: the connection exists but its secrets cannot be opened here. */
  readonly connection: PreparedConnection | 'unreadable' | undefined;
  readonly maxBodyBytes: number;
}

/** What can be said without reading the body. */
export function decideHead(head: RequestHead, context: HeadContext): Refusal | Admission {
  if (head.method !== 'POST') return refuse(405, 'method_not_allowed', 'webhooks are POSTed');
  if (context.shuttingDown) return refuse(503, 'shutting_down', 'the service is stopping; send it again');
  if (context.connection === undefined) return refuse(404, 'connection_unknown', 'no connection has this id');
  if (context.connection === 'unreadable') {
    return refuse(503, 'secret_unreadable', 'the connection cannot be used at the moment; send it again');
  }
  if (!isJson(head.contentType))
    return refuse(415, 'media_type_unsupported', 'the content type must be application/json');
  if (head.contentEncoding !== undefined && head.contentEncoding.toLowerCase() !== 'identity') {
    return refuse(415, 'media_type_unsupported', 'the body must be sent without content encoding');
  }
  if (Number(head.contentLength) > context.maxBodyBytes) return bodyTooLarge(context.maxBodyBytes);
  return { kind: 'admit', connection: context.connection };
}

export function bodyTooLarge(maxBodyBytes: number): Refusal {
  return refuse(413, 'body_too_large', `the body exceeds ${maxBodyBytes} bytes`);
}

export interface WebhookBody {
  readonly topic: string;
  readonly connection: PreparedConnection;
  readonly body: Buffer;
  readonly signature: string | undefined;
  readonly traceparent: string | undefined;
  readonly receivedAtMs: number;
}

/** What becomes of a request whose head was admitted and whose whole body is here. */
export function decideBody(input: WebhookBody): Refusal | Acceptance {
  const { connection, body } = input;
  if (body.length === 0) return refuse(400, 'body_empty', 'the request has no body');
  switch (verifySignature(body, input.signature, connection.keys)) {
    case 'missing':
      return refuse(401, 'signature_missing', 'the X-Kustomer-Webhook-Signature header is missing');
    case 'invalid':
      return refuse(401, 'signature_invalid', 'the signature does not match the body');
    case 'valid':
  }

  const seen = peek(body);
  if (connection.orgId !== null && seen.org !== null && seen.org !== connection.orgId) {
    return refuse(403, 'org_mismatch', 'the body names another organisation than the connection');
  }
  return {
    kind: 'append',
    record: rawRecord({
      topic: input.topic,
      origin: connection.origin,
      body,
      peek: seen,
      receivedAtMs: input.receivedAtMs,
      traceparent: validTraceparent(input.traceparent),
    }),
    malformed: seen.malformed,
    eventName: seen.name,
    knownName: seen.name !== null && isKnownEventName(seen.name) ? seen.name : null,
  };
}

function isJson(contentType: string | undefined): boolean {
  if (contentType === 'application/json') return true;
  return contentType !== undefined && /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(contentType);
}

function refuse(status: number, code: ErrorCode, message: string): Refusal {
  return { kind: 'refuse', status, code, message };
}
