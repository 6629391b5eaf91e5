/** A polled row as a raw record: the resource as received, and when and under which bound it was observed. Pure. */
import { type Channel, HEADER } from '../../kafka/headers.ts';
import type { Append } from '../../kafka/port.ts';
import type { Resource } from '../../kustomer/client/documents.ts';
import { type OriginHeaders, resourceKey } from '../raw-record.ts';
import type { Row, StreamName } from './streams.ts';

export type PolledChannel = Extract<Channel, 'poll' | 'backfill'>;

/** The processor forgets what it has not touched for so long; a day of margin for when it does. */
const RETENTION_MARGIN_MS = 86_400_000;

export interface Bounds {
  readonly backfillSinceMs: number | null;
  readonly startedAtMs: number;
  /** How long the processor remembers what it has seen of a resource. */
  readonly stateRetentionMs: number;
}

/**
 * The bound of what a row may publish. A live poll meets resources whose state the processor may have forgotten since: what
 * they show of the time before was published long ago, and must not be published again. A backfill is the first to look.
 */
export function sinceOf(channel: PolledChannel, bounds: Bounds, nowMs: number): number {
  const wantedMs = bounds.backfillSinceMs ?? bounds.startedAtMs;
  if (channel === 'backfill') return wantedMs;
  return Math.max(wantedMs, nowMs - bounds.stateRetentionMs + RETENTION_MARGIN_MS);
}

export interface PolledRecordInput {
  readonly topic: string;
  readonly origin: OriginHeaders;
  readonly stream: StreamName;
  readonly row: Row<Resource>;
  /** When the page was answered, by the server's clock: it tells deadlines that have passed. */
  readonly observedAtMs: number;
  /** By ours. */
  readonly receivedAtMs: number;
  /** Nothing that happened before may be published: it is state to remember. */
  readonly sinceMs: number;
}

export function polledRecord(input: PolledRecordInput): Append {
  const { topic, origin, stream, row, observedAtMs, receivedAtMs, sinceMs } = input;
  const poll = { stream, observed_at: new Date(observedAtMs).toISOString(), since: new Date(sinceMs).toISOString() };
  const headers: Record<string, Buffer | string> = {
    ...origin,
    [HEADER.receivedAt]: String(Math.round(receivedAtMs)),
    [HEADER.resourceType]: row.resource.type.slice(0, 200),
  };
  if (row.rev !== null) headers[HEADER.rev] = String(row.rev);
  return {
    topic,
    key: resourceKey(row.id),
    value: Buffer.from(JSON.stringify({ poll, data: row.resource })),
    headers,
    timestampMs: Math.round(receivedAtMs),
  };
}
