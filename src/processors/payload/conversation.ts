/** Payloads of conversations. */
import type { PayloadFor } from '../../fibric/events/index.ts';
import type { Change, KustomerEvent } from '../../kustomer/event.ts';
import type { KnownBefore } from '../change.ts';
import { customOf, integerOf, numberOf, objectOf, relatedIdOf, textOf, textsOf, timeOf } from '../read.ts';
import { changedOf, observationOf, type Source, sideOf, subjectOf } from './common.ts';

function ids(event: KustomerEvent) {
  return { conversation_id: event.id, customer_id: relatedIdOf(event.relationships['customer']) };
}

/** Also of one that was read, which tells of no change. */
export function conversationFacts({
  attributes,
  relationships,
  changedAttributes,
}: Pick<KustomerEvent, 'attributes' | 'relationships' | 'changedAttributes'>) {
  return {
    external_id: textOf(attributes['externalId']),
    name: textOf(attributes['name']),
    channels: textsOf(attributes['channels']),
    direction: textOf(attributes['direction']),
    priority: integerOf(attributes['priority']),
    assigned_users: textsOf(attributes['assignedUsers']),
    assigned_teams: textsOf(attributes['assignedTeams']),
    tags: textsOf(attributes['tags']),
    queue_id: relatedIdOf(relationships['queue']),
    brand_id: relatedIdOf(relationships['brand']),
    // The change knows it exactly; the snapshot may be older or newer.
    reopen_count: integerOf(changedAttributes['reopenCount']?.after) ?? integerOf(attributes['reopenCount']),
    message_count: integerOf(attributes['messageCount']),
    created_at: timeOf(attributes['createdAt']),
    updated_at: timeOf(attributes['updatedAt']),
    last_activity_at: timeOf(attributes['lastActivityAt']),
    last_message_at: timeOf(attributes['lastMessageAt']),
    custom: customOf(attributes['custom']),
  };
}

export function conversationCreated(source: Source): PayloadFor<'conversation.created'> {
  const { event } = source;
  return {
    ...subjectOf(event),
    ...ids(event),
    ...observationOf(source),
    status: textOf(event.attributes['status']),
    ...conversationFacts(event),
  };
}

export function conversationStatusChanged(source: Source): PayloadFor<'conversation.status.changed'> {
  const { event, observation } = source;
  const change = event.changedAttributes['status'];
  // A poll shows where it stands, and compares with what was known before.
  const { known } = observation;
  const status = textOf(known === null ? change?.after : event.attributes['status']) ?? '';
  const before = known === null ? textOf(change?.before) : known.status;
  const counted = known === null ? event.changedAttributes['reopenCount'] : countSince(event, known);
  return {
    ...subjectOf(event),
    ...ids(event),
    ...observationOf(source),
    status,
    previous_status: before,
    reopened: reopened({ before, status, counted, isExact: known === null || known.missedRevisions === 0 }),
    ...conversationFacts(event),
    missed_revisions: known?.missedRevisions ?? null,
  };
}

interface Move {
  readonly before: string | null;
  readonly status: string;
  readonly counted: Counted | undefined;
  /** Whether `before` is what the status was right before. */
  readonly isExact: boolean;
}

/**
 * Open again after done, or wherever Kustomer itself counts a reopen: a snoozed conversation may count as one. One that
 * was done a while ago and is not counted may have been snoozed in between.
 */
function reopened({ before, status, counted, isExact }: Move): boolean | null {
  if (status === 'open' && countRose(counted)) return true;
  if (status === 'open' && before === 'done') return isExact ? true : null;
  return before === null ? null : false;
}

type Counted = Pick<Change, 'before' | 'after'>;

function countSince({ attributes }: KustomerEvent, { reopenCount }: KnownBefore): Counted | undefined {
  return reopenCount === null ? undefined : { before: reopenCount, after: attributes['reopenCount'] };
}

/** The count is absent until the first reopen, so that one rises from nothing. */
function countRose(change: Counted | undefined): boolean {
  const after = integerOf(change?.after);
  return after !== null && after > (integerOf(change?.before) ?? 0);
}

export function conversationSatisfactionUpdated(source: Source): PayloadFor<'conversation.satisfaction.updated'> {
  const { event } = source;
  const change = event.changedAttributes['satisfactionLevel'];
  const level = objectOf(change === undefined ? event.attributes['satisfactionLevel'] : change.after);
  return {
    ...subjectOf(event),
    ...ids(event),
    ...observationOf(source),
    satisfaction: {
      response_id: textOf(level['formResponse']),
      form_id: textOf(level['form']),
      status: textOf(level['status']) ?? '',
      score: numberOf(level['score']),
      rating: numberOf(level['rating']),
      channel: textOf(level['channel']),
      sent_by: textOf(level['sentBy']),
      sent_by_teams: textsOf(level['sentByTeams']),
      sent_at: timeOf(level['sentAt']),
      created_at: timeOf(level['createdAt']),
      updated_at: timeOf(level['updatedAt']),
    },
    previous_satisfaction_status: textOf(objectOf(change?.before)['status']),
    status: textOf(event.attributes['status']),
    ...conversationFacts(event),
  };
}

export function conversationSlaBreached(source: Source): PayloadFor<'conversation.sla.breached'> {
  const { event, candidate } = source;
  const { metric, at } = candidate.basis === 'once' ? candidate.breach : { metric: '', at: '' };
  const sla = objectOf(event.changedAttributes['sla']?.after ?? event.attributes['sla']);
  const state = objectOf(objectOf(sla['metrics'])[metric]);
  return {
    ...subjectOf(event),
    ...ids(event),
    ...observationOf(source),
    sla_name: textOf(sla['name']),
    sla_id: relatedIdOf(event.relationships['sla']),
    metric,
    breach_at: at,
    // Of another deadline of the same metric it would say nothing.
    satisfied_at: state['breachAt'] === at ? timeOf(state['satisfiedAt']) : null,
    status: textOf(event.attributes['status']),
    ...conversationFacts(event),
  };
}

export function conversationUpdated(source: Source): PayloadFor<'conversation.updated'> {
  const { event } = source;
  const changed = changedOf(event);
  const isKnown = changed.changed_attributes !== null;
  return {
    ...subjectOf(event),
    ...ids(event),
    ...observationOf(source),
    ...changed,
    before: isKnown ? changedFacts(event, 'before') : null,
    after: isKnown ? changedFacts(event, 'after') : null,
    status: textOf(event.attributes['status']),
    ...conversationFacts(event),
  };
}

function changedFacts(event: KustomerEvent, side: 'before' | 'after') {
  const { attribute, relationshipId } = sideOf(event, side);
  return {
    status: textOf(attribute('status')),
    sub_status: textOf(attribute('subStatus')),
    name: textOf(attribute('name')),
    priority: integerOf(attribute('priority')),
    assigned_users: textsOf(attribute('assignedUsers')),
    assigned_teams: textsOf(attribute('assignedTeams')),
    tags: textsOf(attribute('tags')),
    channels: textsOf(attribute('channels')),
    customer_id: relationshipId('customer'),
    queue_id: relationshipId('queue'),
    brand_id: relationshipId('brand'),
  };
}
