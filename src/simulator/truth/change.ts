/** One change there was, and what tells it from every other. */
import type { Attributes, Resource } from '../model/resource.ts';

export interface TrueChange {
  readonly eventType: string;
  readonly resourceType: 'conversation' | 'message' | 'customer';
  readonly resourceId: string;
  /** This change and no other, among those of its type; see `identityOf`. */
  readonly identity: string;
  readonly atMs: number;
  /** The first copy that shows it; null when none ever does. */
  readonly rev: number | null;
  /** The first copy that shows it no longer; null = the last one still does. */
  readonly untilRev: number | null;
  /** Whether the webhook of `rev` tells of it. */
  readonly told: boolean;
}

/** What tells a change from every other of its type, as its payload says it. */
export function identityOf(eventType: string, payload: Attributes): string | null {
  const parts = (...names: readonly string[]): string => names.map((name) => String(payload[name])).join(' ');
  switch (eventType) {
    case 'conversation.created':
    case 'conversation.message.created':
      return parts('resource_id');
    case 'conversation.status.changed':
      return parts('resource_id', 'status', 'occurred_at');
    case 'conversation.satisfaction.updated': {
      const answer = payload['satisfaction'] as Attributes;
      const names = ['response_id', 'status', 'score', 'rating', 'updated_at'] as const;
      return [parts('resource_id'), ...names.map((name) => String(answer[name]))].join(' ');
    }
    case 'conversation.sla.breached':
      return parts('resource_id', 'metric', 'breach_at');
    case 'customer.updated':
      return parts('resource_id', 'revision');
    default:
      return null;
  }
}

export function about(
  { type, id }: Resource,
  eventType: string,
  payload: Attributes,
): Pick<TrueChange, 'eventType' | 'resourceType' | 'resourceId' | 'identity'> {
  const identity = identityOf(eventType, payload) as string;
  return { eventType, resourceType: type as TrueChange['resourceType'], resourceId: id, identity };
}
