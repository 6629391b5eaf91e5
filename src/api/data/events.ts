/** Events as the API shows them: the ten fields of an envelope, and what says where it stands. */
import { z } from 'zod';
import { HEADER } from '../../kafka/headers.ts';
import type { LogRecord } from '../../kafka/port.ts';
import { ApiError, notFound } from '../errors.ts';
import { listOf, pageQuery } from '../pagination.ts';
import { rfc3339, time } from '../query.ts';
import { defineRoute, type Route } from '../route.ts';
import { checkOf, eventIdOf, readEventId } from './event-id.ts';
import { GLOB, matchesGlob } from './glob.ts';
import type { DataPorts, StoredEnvelope } from './ports.ts';
import { type Filter, Shelf } from './shelf.ts';
import { sinceMs, sinceQuery } from './since.ts';
import type { TopicViews } from './topic/views.ts';

const name = z.string().min(1).max(100);

export const eventRow = z.strictObject({
  object: z.literal('event'),
  id: z.string(),
  event_id: z.string(),
  reseller_id: z.string().nullable(),
  tenant_id: z.string(),
  workspace_id: z.string().nullable(),
  source: z.string(),
  event_type: z.string(),
  correlation_id: z.string(),
  payload: z.record(z.string(), z.unknown()),
  agent_id: z.string().nullable(),
  session_id: z.string().nullable(),
  observed_at: time,
  cursor: z.string(),
});
export type EventRow = z.input<typeof eventRow>;

export const eventFilterQuery = {
  source: name.optional().describe('Such as `kustomer`.'),
  event_type: z
    .string()
    .max(200)
    .regex(GLOB, 'is a dotted name in lower case, where * stands for exactly one segment')
    .optional()
    .describe('A name, or a glob where `*` is exactly one segment: `conversation.*.*`.'),
};

export interface EventFilters {
  readonly source?: string | undefined;
  readonly event_type?: string | undefined;
}

export type EventShelf = Shelf<StoredEnvelope, EventRow>;

export function eventShelf({ events, observer }: DataPorts, views: TopicViews): EventShelf {
  return new Shelf({ route: 'events', port: events, views, observer, rowOf });
}

export function eventFilter({ source, event_type: glob }: EventFilters): Filter<StoredEnvelope> {
  return {
    needles: source === undefined ? [] : [[Buffer.from(source)]],
    mayMatch: ({ headers }) => {
      const type = headers[HEADER.eventType];
      return glob === undefined || type === undefined || matchesGlob(glob, type.toString());
    },
    matches: (event) =>
      (source === undefined || event.source === source) && (glob === undefined || matchesGlob(glob, event.event_type)),
  };
}

function rowOf(tenantId: string, event: StoredEnvelope, record: LogRecord, cursor: string): EventRow {
  const text = (field: string): string | null => (event[field] as string | null | undefined) ?? null;
  const [payload] = Object.values(event.payload);
  return {
    object: 'event',
    id: eventIdOf(tenantId, event.event_id, record),
    event_id: event.event_id,
    reseller_id: text('reseller_id'),
    tenant_id: tenantId,
    workspace_id: text('workspace_id'),
    source: event.source,
    event_type: event.event_type,
    correlation_id: text('correlation_id') ?? '',
    payload: { ...(payload as Readonly<Record<string, unknown>>) },
    agent_id: text('agent_id'),
    session_id: text('session_id'),
    observed_at: rfc3339(record.timestampMs),
    cursor,
  };
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function searchEnd(topic: string, looked: number): string {
  return [
    `there is no event of this event_id among the newest ${looked.toLocaleString('en')} of the tenant, and older ones were not looked at.`,
    `Older ones are found by their \`ev_…\` id, in the list with \`since\`, or in the topic ${topic}`,
  ].join(' ');
}

export function eventRoutes(shelf: EventShelf): readonly Route[] {
  return [
    defineRoute({
      id: 'listEvents',
      method: 'GET',
      url: '/v1/events',
      summary: 'Events, newest first.',
      tag: 'events',
      scope: 'events:read',
      query: z.strictObject({
        ...eventFilterQuery,
        since: sinceQuery,
        ...pageQuery,
      }),
      response: { 200: listOf(eventRow) },
      handler: async ({ caller: { tenantId }, query: { limit, cursor, since, ...filters }, nowMs, signal }) => ({
        body: await shelf.list({
          tenantId,
          limit,
          cursor,
          sinceMs: sinceMs(since, nowMs),
          filter: eventFilter(filters),
          filters: { ...filters, since },
          signal,
        }),
      }),
    }),
    defineRoute({
      id: 'getEvent',
      method: 'GET',
      url: '/v1/events/:id',
      summary: 'One event, by its `ev_…` id, or by the envelope’s `event_id` among the newest.',
      tag: 'events',
      scope: 'events:read',
      params: z.strictObject({ id: z.string() }),
      response: { 200: eventRow },
      handler: async ({ caller: { tenantId }, params: { id }, signal }) => {
        const found = UUID.test(id)
          ? await shelf.find(tenantId, byEventId(id), signal)
          : await eventAt(shelf, tenantId, id, signal);
        if (found === undefined)
          throw new ApiError('not_found', searchEnd(shelf.port.topic(tenantId), shelf.findRecords));
        if (found === null) throw notFound('event');
        return { body: found };
      },
    }),
  ];
}

function byEventId(eventId: string): Filter<StoredEnvelope> {
  return {
    needles: [[Buffer.from(eventId)]],
    mayMatch: () => true,
    matches: (event) => event.event_id === eventId,
  };
}

async function eventAt(shelf: EventShelf, tenantId: string, id: string, signal: AbortSignal): Promise<EventRow | null> {
  const place = readEventId(id);
  const lease = place === null ? undefined : await shelf.lease(tenantId);
  if (place === null || lease === undefined) return null;
  try {
    const { view } = lease;
    // The end here may be behind that of the process which gave the id.
    if (place.partition < view.partitions && place.offset >= view.ring(place.partition).to) await view.bounds();
    const record = await view.at(place.partition, place.offset, signal);
    const event = record === undefined ? undefined : await shelf.decode(record);
    if (record === undefined || event === undefined || checkOf(tenantId, event.event_id) !== place.check) return null;
    const others = await view.since(record.timestampMs);
    const after = others.map((offset, partition) => (partition === place.partition ? place.offset + 1 : offset));
    return shelf.row(tenantId, event, record, shelf.streamCursor(tenantId, after));
  } finally {
    lease.release();
  }
}
