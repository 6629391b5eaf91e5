/** Payloads of customers. */
import type { PayloadFor } from '../../fibric/events/index.ts';
import type { KustomerEvent } from '../../kustomer/event.ts';
import {
  customOf,
  flagOf,
  integerOf,
  numberOf,
  objectOf,
  pluckedOf,
  relatedIdOf,
  textOf,
  textsOf,
  timeOf,
} from '../read.ts';
import { changedOf, observationOf, type Source, subjectOf } from './common.ts';
import { ordersOf } from './order.ts';

type Snapshot = Pick<KustomerEvent, 'attributes' | 'relationships'>;

export function customerFacts({ attributes, relationships }: Snapshot) {
  return {
    external_id: textOf(attributes['externalId']),
    name: textOf(attributes['displayName']) ?? textOf(attributes['name']),
    emails: pluckedOf(attributes['emails'], 'email'),
    phones: pluckedOf(attributes['phones'], 'phone'),
    company_id: relatedIdOf(relationships['company']),
    tags: textsOf(attributes['tags']),
    verified: flagOf(attributes['verified']),
    created_at: timeOf(attributes['createdAt']),
    updated_at: timeOf(attributes['updatedAt']),
    last_activity_at: timeOf(attributes['lastActivityAt']),
    last_conversation_id: textOf(objectOf(attributes['lastConversation'])['id']),
    custom: customOf(attributes['custom']),
  };
}

export function customerCreated(source: Source): PayloadFor<'customer.created'> {
  const { event } = source;
  return { ...subjectOf(event), customer_id: event.id, ...observationOf(source), ...customerFacts(event) };
}

export function customerUpdated(source: Source): PayloadFor<'customer.updated'> {
  const { event } = source;
  return {
    ...subjectOf(event),
    customer_id: event.id,
    ...observationOf(source),
    ...changedOf(event),
    ...customerFacts(event),
    contact_history: contactHistoryOf(event),
    ...ordersOf(event.enrichment),
    deleted: flagOf(event.attributes['deleted']),
  };
}

/** Null where the record counts nothing at all. */
export function contactHistoryOf({
  attributes,
}: Pick<Snapshot, 'attributes'>): PayloadFor<'customer.updated'>['contact_history'] {
  const counts = objectOf(attributes['conversationCounts']);
  const satisfaction = objectOf(attributes['satisfactionLevel']);
  const history = {
    conversations_open: integerOf(counts['open']),
    conversations_snoozed: integerOf(counts['snoozed']),
    conversations_done: integerOf(counts['done']),
    conversations_all: integerOf(counts['all']),
    last_conversation_id: textOf(objectOf(attributes['lastConversation'])['id']),
    last_activity_at: timeOf(attributes['lastActivityAt']),
    last_customer_activity_at: timeOf(attributes['lastCustomerActivityAt']),
    first_satisfaction: scoreOf(satisfaction['firstSatisfaction']),
    last_satisfaction: scoreOf(satisfaction['lastSatisfaction']),
  };
  return Object.values(history).every((value) => value === null) ? null : history;
}

/** A score as such, or an answer that has one. */
function scoreOf(value: unknown): number | null {
  return numberOf(value) ?? numberOf(objectOf(value)['score']) ?? numberOf(objectOf(value)['rating']);
}
