/** Payloads of customers. */
import type { PayloadFor } from '../../fibric/events/index.ts';
import type { KustomerEvent } from '../../kustomer/event.ts';
import { customOf, flagOf, objectOf, pluckedOf, relatedIdOf, textOf, textsOf, timeOf } from '../read.ts';
import { changedOf, observationOf, type Source, subjectOf } from './common.ts';

function facts({ attributes, relationships }: KustomerEvent) {
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
  return { ...subjectOf(event), customer_id: event.id, ...observationOf(source), ...facts(event) };
}

export function customerUpdated(source: Source): PayloadFor<'customer.updated'> {
  const { event } = source;
  return {
    ...subjectOf(event),
    customer_id: event.id,
    ...observationOf(source),
    ...changedOf(event),
    ...facts(event),
  };
}
