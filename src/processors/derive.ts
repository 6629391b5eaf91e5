/**
 * What changed, according to one event. Pure, and total: whatever the attributes hold, it returns.
 *
 * A resource type or verb it does not know yields no candidates: Kustomer may add names at any time, and a stored
 * record that says nothing to us is no error.
 */
import { hash } from 'node:crypto';
import type { ConnectionSettings } from '../fibric/connection.ts';
import type { KustomerEvent } from '../kustomer/event.ts';
import type { Candidate, Derived } from './change.ts';
import { observeConversation, updatedConversation } from './derive/conversation.ts';
import { createdIdentity, updatedIdentity } from './identity.ts';
import { singularOf, timeOf } from './read.ts';

/** Which event types a resource type's create and update give, and whether only with `extendedEvents`. */
const RESOURCES = {
  conversation: { created: 'conversation.created', updated: 'conversation.updated', extended: [false, true] },
  message: {
    created: 'conversation.message.created',
    updated: 'conversation.message.updated',
    extended: [false, true],
  },
  customer: { created: 'customer.created', updated: 'customer.updated', extended: [true, false] },
  user: { created: 'user.created', updated: 'user.updated', extended: [true, true] },
  team: { created: 'team.created', updated: 'team.updated', extended: [true, true] },
  tag: { created: 'tag.created', updated: 'tag.updated', extended: [true, true] },
} as const;

type ResourceType = keyof typeof RESOURCES;

/** The resource type of an event, in the singular. */
export function resourceTypeOf(event: KustomerEvent): string {
  return singularOf(event.resourceType);
}

export function derive(event: KustomerEvent, settings: ConnectionSettings): Derived {
  const resourceType = resourceTypeOf(event);
  const token = event.rev === null ? deliveryToken(event) : null;
  const candidates: Candidate[] = [];
  const rules = Object.hasOwn(RESOURCES, resourceType) ? RESOURCES[resourceType as ResourceType] : undefined;

  if (rules !== undefined && event.verb === 'create') {
    if (!rules.extended[0] || settings.extendedEvents) {
      candidates.push({
        eventType: rules.created,
        identity: createdIdentity(resourceType, event.id),
        basis: 'created',
        occurredAt: timeOf(event.attributes['createdAt']) ?? timeOf(event.createdAt),
      });
    }
  } else if (rules !== undefined && event.verb === 'update') {
    const revision = event.rev ?? token ?? '';
    if (resourceType === 'conversation') updatedConversation(event, revision, candidates);
    if (!rules.extended[1] || settings.extendedEvents) {
      candidates.push({
        eventType: rules.updated,
        identity: updatedIdentity(resourceType, event.id, revision),
        basis: 'revision',
        occurredAt: changeTime(event),
      });
    }
  }
  return {
    resourceType,
    resourceId: event.id,
    created: rules !== undefined && event.verb === 'create',
    revision: event.rev,
    token,
    observed: resourceType === 'conversation' ? observeConversation(event) : null,
    candidates,
  };
}

/** When an update happened: the change's own time, else that of the event; the snapshot's may be of a later change. */
export function changeTime(event: KustomerEvent): string | null {
  return timeOf(event.changedAttributes['updatedAt']?.after) ?? timeOf(event.createdAt);
}

/** Retries of a delivery repeat its event id. Without one, only the content can tell it from another. */
function deliveryToken(event: KustomerEvent): string {
  if (event.eventId !== null) return `event-${event.eventId}`;
  const { name, createdAt, attributes, relationships, changedAttributes, changedRelationships } = event;
  const content = [name, createdAt, attributes, relationships, changedAttributes, changedRelationships];
  return `content-${hash('sha1', JSON.stringify(content), 'hex')}`;
}
