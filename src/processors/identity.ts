/**
 * Identities of changes: the change itself, not how it was delivered. A webhook body and a polled record of the same
 * change give the same identity, so whichever comes second is recognised. They end up in `change_id` and in `event_id`,
 * so their form is part of the contract: change one and replays produce new event ids.
 */
import { objectOf, textOf, timeOf } from './read.ts';

type Attributes = Readonly<Record<string, unknown>>;

/** A resource is created once. */
export function createdIdentity(resourceType: string, id: string): string {
  return `${resourceType}:${id}:created`;
}

/** `revision` is what the delivery can be told by where Kustomer gave no revision; see `deliveryToken`. */
export function updatedIdentity(resourceType: string, id: string, revision: number | string): string {
  return `${resourceType}:${id}:updated#${revision}`;
}

/** A move to `status`, told by its time; a conversation is not moved to the same status twice in a millisecond. */
export function statusIdentity(conversationId: string, status: string, at: string): string {
  return `conversation:${conversationId}:status:${status}@${at}`;
}

/** A move to `status` whose time is not known. */
export function statusRevisionIdentity(conversationId: string, status: string, revision: number | string): string {
  return `conversation:${conversationId}:status:${status}#${revision}`;
}

/** One state of the answer to one survey. */
export function satisfactionIdentity(conversationId: string, satisfactionLevel: Attributes): string {
  const part = (name: string): string => {
    const value = satisfactionLevel[name];
    return typeof value === 'number' ? String(value) : (textOf(value) ?? '-');
  };
  const state = `${part('formResponse')}:${part('status')}:${part('score')}:${part('rating')}`;
  return `conversation:${conversationId}:satisfaction:${state}@${part('updatedAt')}`;
}

/** A deadline that passed; pausing an SLA moves its deadlines, so the deadline is part of it. */
export function slaIdentity(conversationId: string, metric: string, breachAt: string): string {
  return `conversation:${conversationId}:sla:${metric}@${breachAt}`;
}

/** Two changes that share an identity, told apart by their revisions. */
export function withRevision(identity: string, revision: number | string): string {
  return `${identity}#${revision}`;
}

/** Where the time of a move to each status stands, besides modificationHistory.statusAt. */
const STATUS_TIMES: ReadonlyMap<string, readonly [attribute: string, property: string]> = new Map([
  ['open', ['open', 'statusAt']],
  ['snoozed', ['snooze', 'statusAt']],
  ['done', ['lastDone', 'createdAt']],
] as const);

/** What an update changed, by attribute; `undefined` for a polled record, which does not know. */
export type ChangedValues = (attribute: string) => unknown;

/**
 * When the conversation moved to `status`, or null. The change's own values come first. The snapshot counts only while
 * it still shows `status`: it may be newer than the change, and then its times are those of a later move.
 */
export function statusTime(status: string, attributes: Attributes, changedTo: ChangedValues): string | null {
  const isCurrent = attributes['status'] === status;
  const at = (attribute: string, property: string): string | null =>
    timeOf(objectOf(changedTo(attribute))[property]) ??
    (isCurrent ? timeOf(objectOf(attributes[attribute])[property]) : null);

  const fromHistory = at('modificationHistory', 'statusAt');
  if (fromHistory !== null) return fromHistory;
  // A poll of this conversation will tell the time by its history: any other source would not match.
  if (timeOf(objectOf(attributes['modificationHistory'])['statusAt']) !== null) return null;
  const source = STATUS_TIMES.get(status);
  return source === undefined ? null : at(source[0], source[1]);
}
