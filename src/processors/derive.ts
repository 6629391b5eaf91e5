/**
 * What changed, according to one event. Pure, and total: whatever the attributes hold, it returns.
 *
 * A resource type or verb it does not know is no error: Kustomer may add names at any time.
 */
import { hash } from 'node:crypto';
import type { ConnectionSettings } from '../fibric/connection.ts';
import {
  conversationCreated,
  conversationMessageCreated,
  conversationMessageUpdated,
  conversationUpdated,
  customerCreated,
  customerUpdated,
  type EventType,
  tagCreated,
  tagUpdated,
  teamCreated,
  teamUpdated,
  userCreated,
  userUpdated,
} from '../fibric/events/index.ts';
import type { KustomerEvent } from '../kustomer/event.ts';
import type { Candidate, Derived } from './change.ts';
import { movesOfConversation, observeConversation } from './derive/conversation.ts';
import { polledCandidates } from './derive/polled.ts';
import { breachOfChange } from './derive/sla.ts';
import { changeTime } from './derive/time.ts';
import { comparableText } from './digest.ts';
import { createdIdentity, updatedIdentity } from './identity.ts';
import { singularOf, timeOf } from './read.ts';

export interface Rules {
  readonly created: { readonly type: EventType; readonly extended: boolean };
  readonly updated: { readonly type: EventType; readonly extended: boolean };
}

/** What a resource type's create and update are called, and so whether they need `extendedEvents`. */
const RESOURCES = {
  conversation: { created: conversationCreated, updated: conversationUpdated },
  message: { created: conversationMessageCreated, updated: conversationMessageUpdated },
  customer: { created: customerCreated, updated: customerUpdated },
  user: { created: userCreated, updated: userUpdated },
  team: { created: teamCreated, updated: teamUpdated },
  tag: { created: tagCreated, updated: tagUpdated },
} as const satisfies Record<string, Rules>;

type ResourceType = keyof typeof RESOURCES;

/** Null when the event is of a type or verb we know nothing about; then nothing must be remembered of it either. */
export function derive(event: KustomerEvent, settings: ConnectionSettings): Derived | null {
  const resourceType = singularOf(event.resourceType);
  const rules = Object.hasOwn(RESOURCES, resourceType) ? RESOURCES[resourceType as ResourceType] : undefined;
  const created = event.verb === 'create';
  const { polled } = event;
  if (rules === undefined || !(created || event.verb === 'update' || polled !== null)) return null;

  const token = event.rev === null ? deliveryToken(event) : null;
  return {
    resourceType,
    resourceId: event.id,
    created,
    polled: polled !== null,
    revision: event.rev,
    token,
    observed: resourceType === 'conversation' ? observeConversation(event) : null,
    candidates:
      polled !== null
        ? polledCandidates(event, polled, { resourceType, rules, settings, token })
        : created
          ? createdCandidates(event, resourceType, rules, settings)
          : updatedCandidates(event, resourceType, rules, settings, token),
  };
}

function createdCandidates(
  event: KustomerEvent,
  resourceType: string,
  rules: Rules,
  settings: ConnectionSettings,
): readonly Candidate[] {
  if (rules.created.extended && !settings.extendedEvents) return [];
  return [
    {
      eventType: rules.created.type,
      identity: createdIdentity(resourceType, event.id),
      basis: 'created',
      occurredAt: timeOf(event.attributes['createdAt']) ?? timeOf(event.createdAt),
    },
  ];
}

function updatedCandidates(
  event: KustomerEvent,
  resourceType: string,
  rules: Rules,
  settings: ConnectionSettings,
  token: string | null,
): readonly Candidate[] {
  const revision = event.rev ?? token ?? '';
  const candidates: Candidate[] = [];
  if (resourceType === 'conversation') {
    candidates.push(...movesOfConversation(event, revision));
    const breach = breachOfChange(event);
    if (breach !== null) candidates.push(breach);
  }
  if (!rules.updated.extended || settings.extendedEvents) {
    candidates.push({
      eventType: rules.updated.type,
      identity: updatedIdentity(resourceType, event.id, revision),
      basis: 'revision',
      occurredAt: changeTime(event),
    });
  }
  return candidates;
}

/**
 * Retries of a delivery repeat its event id. Without one, only the content can tell it from another. A polled resource is
 * what it was when it was last updated, whoever saw it when.
 */
function deliveryToken(event: KustomerEvent): string {
  if (event.eventId !== null) return `event-${event.eventId}`;
  const updatedAt = event.polled === null ? null : timeOf(event.attributes['updatedAt']);
  if (updatedAt !== null) return `updated-${updatedAt}`;
  const { name, createdAt, attributes, relationships, changedAttributes, changedRelationships } = event;
  const content = [name, createdAt, attributes, relationships, changedAttributes, changedRelationships];
  return `content-${hash('sha1', comparableText(content), 'hex')}`;
}
