/**
 * What a poll shows. A polled resource says what is, not what happened: only what carries its own time can be told from
 * what had been so before, and nothing that happened before `since` is a candidate. Whether a candidate is news is for
 * dedupe, which knows what has been published.
 */
import type { ConnectionSettings } from '../../fibric/connection.ts';
import type { KustomerEvent, Polled } from '../../kustomer/event.ts';
import type { Candidate } from '../change.ts';
import type { Rules } from '../derive.ts';
import { createdIdentity, satisfactionIdentity, statusIdentity, statusTime, updatedIdentity } from '../identity.ts';
import { integerOf, objectOf, textOf, timeOf } from '../read.ts';
import { isAnswer, nothingChanged } from './conversation.ts';
import { breachesShown } from './sla.ts';
import { millisOf } from './time.ts';

export interface PolledFacts {
  readonly resourceType: string;
  readonly rules: Rules;
  readonly settings: ConnectionSettings;
  /** Tells the record where it has no revision. */
  readonly token: string | null;
}

/** In the order in which they happened, as far as it can be known: a creation first, the latest revision last. */
export function polledCandidates(event: KustomerEvent, polled: Polled, facts: PolledFacts): readonly Candidate[] {
  const { resourceType, rules, settings, token } = facts;
  const { attributes, id } = event;
  const isWanted = (type: { readonly extended: boolean }): boolean => !type.extended || settings.extendedEvents;
  const isRecent = (time: string | null): time is string => time !== null && Date.parse(time) >= polled.sinceMs;
  const candidates: Candidate[] = [];

  const createdAt = timeOf(attributes['createdAt']);
  if (isWanted(rules.created) && isRecent(createdAt)) {
    const identity = createdIdentity(resourceType, id);
    candidates.push({ eventType: rules.created.type, identity, basis: 'created', occurredAt: createdAt });
  }
  if (resourceType === 'conversation') {
    const status = statusShown(event);
    if (status !== null && isRecent(status.occurredAt)) candidates.push(status);
    const answer = answerShown(event);
    if (answer !== null && isRecent(answer.occurredAt)) candidates.push(answer);
    for (const breach of breachesShown(event, polled)) if (isRecent(breach.occurredAt)) candidates.push(breach);
  }
  const updatedAt = timeOf(attributes['updatedAt']);
  if (isWanted(rules.updated) && isRecent(updatedAt) && wasUpdated(event, createdAt, updatedAt)) {
    const identity = updatedIdentity(resourceType, id, event.rev ?? token ?? '');
    candidates.push({ eventType: rules.updated.type, identity, basis: 'revision', occurredAt: updatedAt });
  }
  return candidates;
}

/** The first revision is the creation, which is no update. */
function wasUpdated({ rev }: KustomerEvent, createdAt: string | null, updatedAt: string): boolean {
  if (rev !== null && rev <= 1) return false;
  return createdAt === null || Date.parse(updatedAt) > Date.parse(createdAt);
}

/** The move that led to the status shown. Without its time it cannot be told from any other, nor from none. */
function statusShown(event: KustomerEvent): Candidate | null {
  const { attributes, id } = event;
  const status = textOf(attributes['status']);
  if (status === null) return null;
  const at = statusTime(status, attributes, nothingChanged);
  if (at === null || isFirstStatus(event, status, at)) return null;
  return {
    eventType: 'conversation.status.changed',
    identity: statusIdentity(id, status, at),
    basis: 'state',
    occurredAt: at,
    moves: { attribute: 'status', status, atMs: millisOf(at) },
  };
}

/**
 * The status a conversation was created with has a time too, but nobody moved it there. Kustomer may stamp it a little
 * later than the creation; one that is open and was neither snoozed nor done has never been anything else.
 */
function isFirstStatus({ attributes, rev }: KustomerEvent, status: string, at: string): boolean {
  if (rev !== null && rev <= 1) return true;
  const createdAt = timeOf(attributes['createdAt']);
  if (createdAt !== null && Date.parse(at) <= Date.parse(createdAt)) return true;
  const never = (count: string): boolean => integerOf(attributes[count]) === 0;
  return (
    status === 'open' &&
    never('doneCount') &&
    never('snoozeCount') &&
    !((integerOf(attributes['reopenCount']) ?? 0) > 0)
  );
}

function answerShown({ attributes, id }: KustomerEvent): Candidate | null {
  const level = objectOf(attributes['satisfactionLevel']);
  const at = timeOf(level['updatedAt']);
  if (at === null || !isAnswer(level)) return null;
  return {
    eventType: 'conversation.satisfaction.updated',
    identity: satisfactionIdentity(id, level),
    basis: 'state',
    occurredAt: at,
    moves: { attribute: 'satisfaction', status: null, atMs: millisOf(at) },
  };
}
