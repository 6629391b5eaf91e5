/** What the vendor tells about one change: the body of an outbound webhook. */
import type { EventName } from '../../kustomer/event-names.ts';
import { type Changes, type EventType, isoTime, type Resource, type ResourceType } from './resource.ts';

export interface Snapshot {
  readonly type: ResourceType;
  readonly id: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly relationships: Readonly<Record<string, unknown>>;
  readonly links: { readonly self: string };
}

/** Key order is the vendor's, so that a serialised body looks like a real one. */
export interface WebhookBody {
  readonly id: string;
  readonly name: EventName;
  readonly org: string;
  readonly partition: string;
  readonly orgName: string;
  readonly createdAt: string;
  readonly persist: true;
  /** A string or absent, never an object. */
  readonly client?: string;
  readonly dataId: string;
  readonly data: Snapshot;
  /** On create null or absent: both have been seen. */
  readonly changes?: Changes | null;
}

/** One change of one object. `body.data` is the whole object after it. */
export interface ModelEvent {
  readonly name: EventName;
  readonly type: EventType;
  readonly id: string;
  readonly rev: number;
  readonly body: WebhookBody;
}

/** An event is published a little after the change it tells of, so the two times are never to be confused. */
const PUBLISH_DELAY_MS = 40;

export interface EventContext {
  readonly eventId: string;
  readonly orgId: string;
  readonly orgName: string;
  readonly client: string | null;
  /** Undefined leaves the key out. */
  readonly changes: Changes | null | undefined;
}

/** The snapshot the API and the webhooks show of an object. */
export function snapshotOf(resource: Resource): Snapshot {
  const { type, id, attributes, relationships, links } = resource;
  return { type, id, attributes, relationships, links };
}

export function hasEvents(type: ResourceType): type is EventType {
  return type !== 'note' && !type.startsWith('kobject.');
}

/** The event for an object that has just been created (rev 1) or changed. Only for types that have events. */
export function eventOf(resource: Resource, context: EventContext): ModelEvent {
  const name = `kustomer.${resource.type}.${resource.rev === 1 ? 'create' : 'update'}` as EventName;
  return {
    name,
    type: resource.type as EventType,
    id: resource.id,
    rev: resource.rev,
    body: {
      id: context.eventId,
      name,
      org: context.orgId,
      partition: context.orgId,
      orgName: context.orgName,
      createdAt: isoTime(resource.updatedAtMs + PUBLISH_DELAY_MS),
      persist: true,
      ...(context.client === null ? {} : { client: context.client }),
      dataId: resource.id,
      data: snapshotOf(resource),
      ...(context.changes === undefined ? {} : { changes: context.changes }),
    },
  };
}
