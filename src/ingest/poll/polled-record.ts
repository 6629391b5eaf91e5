/** A polled row as a raw record: the resource as received, and when and under which bound it was observed. Pure. */
import { type Channel, HEADER } from '../../kafka/headers.ts';
import type { Append } from '../../kafka/port.ts';
import type { Resource } from '../../kustomer/client/documents.ts';
import { type OriginHeaders, resourceKey } from '../raw-record.ts';
import type { Row, StreamName } from './streams.ts';

export type PolledChannel = Extract<Channel, 'poll' | 'backfill'>;

export interface PolledRecordInput {
  readonly topic: string;
  readonly origin: OriginHeaders;
  readonly stream: StreamName;
  readonly row: Row<Resource>;
  /** When the page was answered. */
  readonly observedAtMs: number;
  /** Nothing that happened before may be published: it is state to remember. */
  readonly sinceMs: number;
}

export function polledRecord({ topic, origin, stream, row, observedAtMs, sinceMs }: PolledRecordInput): Append {
  const poll = { stream, observed_at: new Date(observedAtMs).toISOString(), since: new Date(sinceMs).toISOString() };
  const headers: Record<string, Buffer | string> = {
    ...origin,
    [HEADER.receivedAt]: String(Math.round(observedAtMs)),
    [HEADER.resourceType]: row.resource.type.slice(0, 200),
  };
  if (row.rev !== null) headers[HEADER.rev] = String(row.rev);
  return {
    topic,
    key: resourceKey(row.id),
    value: Buffer.from(JSON.stringify({ poll, data: row.resource })),
    headers,
    timestampMs: Math.round(observedAtMs),
  };
}
