/** The fields every payload begins with. */
import type { KustomerEvent } from '../../kustomer/event.ts';
import type { Candidate, Observation } from '../change.ts';
import { objectOf, relatedIdOf, relatedOf, singularOf, textOf, timeOf } from '../read.ts';

/** What a payload is made of. */
export interface Source {
  readonly event: KustomerEvent;
  readonly candidate: Candidate;
  readonly observation: Observation;
}

/** Entity key: what the platform serialises by, and the key of the record. */
export function entityOf(event: KustomerEvent): string {
  const type = singularOf(event.resourceType);
  if (type === 'message') {
    const conversationId = relatedIdOf(event.relationships['conversation']);
    if (conversationId !== null) return `conversation:${conversationId}`;
  }
  return `${type}:${event.id}`;
}

export function subjectOf(event: KustomerEvent) {
  return { resource_type: singularOf(event.resourceType), resource_id: event.id, entity: entityOf(event) };
}

export function observationOf({ event, candidate, observation }: Source) {
  const actor = actorOf(event, candidate);
  return {
    revision: event.rev,
    occurred_at: candidate.occurredAt,
    observed_via: observation.via as string,
    late: observation.late,
    actor,
    echo: echoOf(actor?.id ?? null, observation.machineUserId),
  };
}

/** The names of what changed; null where the event does not say. */
export function changedOf(event: KustomerEvent) {
  const attributes = Object.keys(event.changedAttributes);
  const relationships = Object.keys(event.changedRelationships);
  const isKnown = attributes.length > 0 || relationships.length > 0;
  return {
    changed_attributes: isKnown ? attributes.map((name) => name.toWellFormed()) : null,
    changed_relationships: isKnown ? relationships.map((name) => name.toWellFormed()) : null,
  };
}

interface Actor {
  readonly id: string | null;
  readonly type: string | null;
  readonly client: string | null;
}

function actorOf(event: KustomerEvent, candidate: Candidate): Actor | null {
  const who =
    event.polled !== null
      ? shownActorOf(event, candidate)
      : event.verb === 'create'
        ? creatorOf(event)
        : modifierOf(event);
  const client = textOf(event.client);
  return who === null && client === null ? null : { id: who?.id ?? null, type: who?.type ?? null, client };
}

function creatorOf({ relationships }: KustomerEvent) {
  return relatedOf(relationships['createdBy']) ?? relatedOf(relationships['modifiedBy']);
}

/** A poll shows who edited last, and when: whose change this one was is only known where it was that edit. */
function shownActorOf(event: KustomerEvent, { basis, occurredAt }: Candidate) {
  if (basis === 'created') return relatedOf(event.relationships['createdBy']);
  const editedAt = timeOf(event.attributes['modifiedAt']);
  return editedAt !== null && editedAt === occurredAt ? relatedOf(event.relationships['modifiedBy']) : null;
}

/**
 * `modifiedBy` names the last *user* who edited, and stays when routing or a workflow changes something later; only
 * `modifiedAt` tells whether it was this change. Naming our machine user for the system's changes would mark them as
 * echoes, and a consumer would pass over them.
 */
function modifierOf(event: KustomerEvent) {
  const { attributes, relationships, changedAttributes, changedRelationships } = event;
  const changed = changedRelationships['modifiedBy'];
  if (changed !== undefined) return relatedOf(changed.after) ?? relatedOf({ data: changed.after });
  const modifiedAt = timeOf(attributes['modifiedAt']);
  const updatedAt = timeOf(changedAttributes['updatedAt']?.after) ?? timeOf(attributes['updatedAt']);
  const isThisChange = changedAttributes['modifiedAt'] !== undefined || modifiedAt === null || modifiedAt === updatedAt;
  return isThisChange ? relatedOf(relationships['modifiedBy']) : null;
}

function echoOf(actorId: string | null, machineUserId: string | null): boolean | null {
  return actorId === null || machineUserId === null ? null : actorId === machineUserId;
}

/** Of a change, the value before or after; undefined where the attribute is not among the changed. */
export function sideOf(event: KustomerEvent, side: 'before' | 'after') {
  return {
    attribute: (name: string): unknown => event.changedAttributes[name]?.[side],
    relationshipId: (name: string): string | null => {
      const value = objectOf(event.changedRelationships[name]?.[side]);
      return relatedIdOf(value) ?? textOf(value['id']);
    },
  };
}
