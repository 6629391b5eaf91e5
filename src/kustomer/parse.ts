import type { Change, Enrichment, KustomerEvent, Polled } from './event.ts';
import { type EventFields, eventFields, verbOf } from './fields.ts';
import { isObject, type JsonObject, objectOrEmpty, parseObject, textOrNull } from './json.ts';

export type ParsedEvent =
  | { readonly ok: true; readonly event: KustomerEvent }
  | { readonly ok: false; readonly code: 'body_malformed' | 'event_invalid'; readonly message: string };

/**
 * A stored body as an event: a webhook's, or what the poller wrapped. Told by its shape, since a replayed one has lost its
 * channel. Never throws. Only what a change cannot be attributed without is demanded: the name (of a polled one the times
 * it is judged by) and the type and id of the resource. Everything else may be absent or of another type than the
 * vendor's documents say.
 */
export function parseEvent(bytes: Buffer): ParsedEvent {
  const body = parseObject(bytes);
  if (body === undefined) return refused('body_malformed', 'the body is not a JSON object');

  const fields = eventFields(body);
  const { name, resourceType, resourceId } = fields;
  const data = body['data'];
  const isPolled = name === null && isObject(body['poll']);
  if (name === null && !isPolled) return refused('event_invalid', 'name is missing or not a string');
  if (!isObject(data)) return refused('event_invalid', 'data is missing or not an object');
  if (resourceType === null) return refused('event_invalid', 'data.type is missing or not a string');
  if (resourceId === null) return refused('event_invalid', 'data.id is missing or not a string');
  if (name === null) return polledEvent(body, data, { ...fields, resourceType, resourceId });

  const changes = objectOrEmpty(body['changes']);
  return {
    ok: true,
    event: {
      eventId: fields.eventId,
      name,
      resourceType,
      verb: verbOf(name),
      org: fields.org,
      createdAt: textOrNull(body['createdAt']),
      client: textOrNull(body['client']),
      id: resourceId,
      rev: fields.rev,
      attributes: objectOrEmpty(data['attributes']),
      relationships: objectOrEmpty(data['relationships']),
      changedAttributes: changesOf(changes['attributes']),
      changedRelationships: changesOf(changes['relationships']),
      polled: null,
      enrichment: enrichmentOf(body),
    },
  };
}

const NO_CHANGES: Readonly<Record<string, Change>> = Object.freeze(Object.create(null));

type Identified = EventFields & { readonly resourceType: string; readonly resourceId: string };

function polledEvent(body: JsonObject, data: JsonObject, fields: Identified): ParsedEvent {
  const polled = polledOf(objectOrEmpty(body['poll']));
  if (polled === null) return refused('event_invalid', 'poll.observed_at or poll.since is missing or not a time');
  return {
    ok: true,
    event: {
      eventId: null,
      name: `poll.${polled.stream}`,
      resourceType: fields.resourceType,
      verb: 'observe',
      org: null,
      createdAt: null,
      client: null,
      id: fields.resourceId,
      rev: fields.rev,
      attributes: objectOrEmpty(data['attributes']),
      relationships: objectOrEmpty(data['relationships']),
      changedAttributes: NO_CHANGES,
      changedRelationships: NO_CHANGES,
      polled,
      enrichment: enrichmentOf(body),
    },
  };
}

function polledOf(poll: JsonObject): Polled | null {
  const observedAtMs = millisOrNull(poll['observed_at']);
  const sinceMs = millisOrNull(poll['since']);
  if (observedAtMs === null || sinceMs === null) return null;
  return { stream: textOrNull(poll['stream']) ?? 'unknown', observedAtMs, sinceMs };
}

function millisOrNull(value: unknown): number | null {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** What stands there at all has been fetched for, readable or not: asking again would go round for ever. */
function enrichmentOf(body: JsonObject): Enrichment | null {
  const given = body['enrichment'];
  if (given === undefined) return null;
  const { orders_state: state, orders } = objectOrEmpty(given);
  return { ordersState: textOrNull(state), orders: Array.isArray(orders) ? orders : null };
}

/**
 * A plain loop: entries, flatMap and fromEntries took 1.2 µs more a record (bench/RESULTS.md). Without a
 * prototype a key named `__proto__` stays a mere key.
 */
function changesOf(value: unknown): Readonly<Record<string, Change>> {
  const changes: Record<string, Change> = Object.create(null);
  const given = objectOrEmpty(value);
  for (const key of Object.keys(given)) {
    const change = given[key];
    if (!isObject(change)) continue;
    changes[key] = { op: textOrNull(change['op']) ?? 'replace', before: change['before'], after: change['after'] };
  }
  return changes;
}

function refused(code: 'body_malformed' | 'event_invalid', message: string): ParsedEvent {
  return { ok: false, code, message };
}
