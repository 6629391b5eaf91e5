/** What an update of a conversation says happened to its status and to its satisfaction survey. */
import type { KustomerEvent } from '../../kustomer/event.ts';
import type { Candidate, ObservedState } from '../change.ts';
import { comparableText } from '../digest.ts';
import { satisfactionIdentity, statusIdentity, statusRevisionIdentity, statusTime } from '../identity.ts';
import { integerOf, objectOf, textOf, timeOf } from '../read.ts';
import { changeTime, millisOf } from './time.ts';

/** For a polled record, and for what a webhook's snapshot shows besides its change. */
export const nothingChanged = (): undefined => undefined;

/** The state a snapshot shows. */
export function observeConversation(event: KustomerEvent): ObservedState {
  const status = textOf(event.attributes['status']);
  // The change knows the count it led to; the snapshot may be newer.
  const reopenCount =
    integerOf(event.changedAttributes['reopenCount']?.after) ?? integerOf(event.attributes['reopenCount']);
  return {
    status,
    statusAtMs: status === null ? 0 : millisOf(statusTime(status, event.attributes, nothingChanged)),
    reopenCount: reopenCount !== null && reopenCount >= 0 ? reopenCount : null,
  };
}

/** What an update moved. `revision` stands in identities that have no time. */
export function movesOfConversation(event: KustomerEvent, revision: number | string): Candidate[] {
  const moves: Candidate[] = [];
  const happenedAt = changeTime(event);
  const status = statusMove(event);
  if (status !== null) {
    const at = statusTime(status, event.attributes, (name) => event.changedAttributes[name]?.after);
    moves.push({
      eventType: 'conversation.status.changed',
      identity: at === null ? statusRevisionIdentity(event.id, status, revision) : statusIdentity(event.id, status, at),
      basis: 'state',
      occurredAt: at ?? happenedAt,
      moves: { attribute: 'status', status, atMs: millisOf(at) },
    });
  }
  const answer = changedAnswer(event);
  if (answer !== null) {
    const at = timeOf(answer['updatedAt']);
    moves.push({
      eventType: 'conversation.satisfaction.updated',
      identity: satisfactionIdentity(event.id, answer),
      basis: 'state',
      occurredAt: at ?? happenedAt,
      moves: { attribute: 'satisfaction', status: null, atMs: millisOf(at) },
    });
  }
  return moves;
}

function statusMove(event: KustomerEvent): string | null {
  const change = event.changedAttributes['status'];
  if (change === undefined || change.before === change.after) return null;
  return textOf(change.after);
}

/** The answer a change of `satisfactionLevel` led to; null for a survey merely offered, expired or re-scheduled. */
export function changedAnswer(event: KustomerEvent): Readonly<Record<string, unknown>> | null {
  const change = event.changedAttributes['satisfactionLevel'];
  if (change === undefined) return null;
  const after = objectOf(change.after);
  return isAnswer(after) && answerOf(objectOf(change.before)) !== answerOf(after) ? after : null;
}

/** Only these two mean that the customer said something. */
export function isAnswer(satisfactionLevel: Readonly<Record<string, unknown>>): boolean {
  const status = satisfactionLevel['status'];
  return status === 'rated' || status === 'commented';
}

const ANSWER_PARTS = ['formResponse', 'status', 'score', 'rating', 'answers', 'firstAnswer', 'updatedAt'] as const;

function answerOf(satisfactionLevel: Readonly<Record<string, unknown>>): string {
  return comparableText(ANSWER_PARTS.map((part) => satisfactionLevel[part]));
}
