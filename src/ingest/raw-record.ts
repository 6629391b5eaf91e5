/** The raw record: the bytes as received, keyed by resource, with headers that say where they came from. Pure. */
import { createHash } from 'node:crypto';
import type { Connection } from '../fibric/connection.ts';
import { type Channel, HEADER } from '../kafka/headers.ts';
import type { Append } from '../kafka/port.ts';
import type { Peek } from '../kustomer/peek.ts';

/** Longer ids than any vendor's; what exceeds it is hashed, so a key or header never carries a whole body. */
const MAX_TEXT_BYTES = 200;

/** KafkaJS takes a four-byte key for a transaction marker. */
const FORBIDDEN_KEY_BYTES = 4;

/** The headers all records of a connection share, encoded once. */
export type OriginHeaders = Readonly<Record<string, Buffer>>;

export function originHeaders(connection: Connection, channel: Channel): OriginHeaders {
  return {
    [HEADER.tenant]: Buffer.from(connection.tenantId),
    [HEADER.connection]: Buffer.from(connection.connectionId),
    [HEADER.channel]: Buffer.from(channel),
  };
}

/**
 * Key of a resource's records: the id as it is, so that all records of a resource share a partition whichever channel
 * saw them. Ids Kafka or KafkaJS would choke on are replaced by a hash of the id, which is just as stable.
 */
export function resourceKey(resourceId: string): Buffer {
  const key = Buffer.from(resourceId);
  return key.length === 0 || key.length === FORBIDDEN_KEY_BYTES || key.length > MAX_TEXT_BYTES
    ? hashKey('id', key)
    : key;
}

/** Key of a body that names no resource. Redeliveries of the same bytes share it. */
export function bodyKey(body: Buffer): Buffer {
  return hashKey('body', body);
}

function hashKey(prefix: string, bytes: Buffer): Buffer {
  return Buffer.from(`${prefix}:${createHash('sha256').update(bytes).digest('hex')}`);
}

export interface RawRecordInput {
  readonly topic: string;
  readonly origin: OriginHeaders;
  readonly body: Buffer;
  readonly peek: Peek;
  readonly receivedAtMs: number;
  /** Already validated; absent = none. */
  readonly traceparent?: string | undefined;
}

export function rawRecord({ topic, origin, body, peek, receivedAtMs, traceparent }: RawRecordInput): Append {
  const { resourceType, name, rev, eventId } = peek;
  const headers: Record<string, Buffer | string> = { ...origin, [HEADER.receivedAt]: String(receivedAtMs) };
  if (isShort(resourceType)) headers[HEADER.resourceType] = resourceType;
  if (isShort(name)) headers[HEADER.eventName] = name;
  if (rev !== null) headers[HEADER.rev] = String(rev);
  if (isShort(eventId)) headers[HEADER.deliveryId] = eventId;
  if (traceparent !== undefined) headers[HEADER.traceparent] = traceparent;
  return {
    topic,
    key: peek.resourceId === null ? bodyKey(body) : resourceKey(peek.resourceId),
    value: body,
    headers,
    timestampMs: receivedAtMs,
  };
}

/** Headers are hints; the body has the truth. One too long to be a hint is left out. */
function isShort(text: string | null): text is string {
  return text !== null && text.length <= MAX_TEXT_BYTES;
}
