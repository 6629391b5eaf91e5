/** Payloads of messages. */
import type { PayloadFor } from '../../fibric/events/index.ts';
import type { KustomerEvent } from '../../kustomer/event.ts';
import { customOf, flagOf, relatedIdOf, textOf, textsOf, timeOf } from '../read.ts';
import { changedOf, observationOf, type Source, subjectOf } from './common.ts';

function ids({ id, relationships }: KustomerEvent) {
  return {
    message_id: id,
    conversation_id: relatedIdOf(relationships['conversation']),
    customer_id: relatedIdOf(relationships['customer']),
  };
}

export function messageFacts({ attributes }: Pick<KustomerEvent, 'attributes'>) {
  return {
    external_id: textOf(attributes['externalId']),
    channel: textOf(attributes['channel']),
    app: textOf(attributes['app']),
    direction: textOf(attributes['direction']),
    direction_type: textOf(attributes['directionType']),
    status: textOf(attributes['status']),
    subject: textOf(attributes['subject']),
    preview: textOf(attributes['preview']),
    auto: flagOf(attributes['auto']),
    assigned_users: textsOf(attributes['assignedUsers']),
    assigned_teams: textsOf(attributes['assignedTeams']),
    sent_at: timeOf(attributes['sentAt']),
    created_at: timeOf(attributes['createdAt']),
    updated_at: timeOf(attributes['updatedAt']),
    custom: customOf(attributes['custom']),
  };
}

export function messageCreated(source: Source): PayloadFor<'conversation.message.created'> {
  const { event } = source;
  return { ...subjectOf(event), ...ids(event), ...observationOf(source), ...messageFacts(event) };
}

export function messageUpdated(source: Source): PayloadFor<'conversation.message.updated'> {
  const { event } = source;
  return { ...subjectOf(event), ...ids(event), ...observationOf(source), ...changedOf(event), ...messageFacts(event) };
}
