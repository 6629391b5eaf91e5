/** Payloads of users, teams and tags: what the ids in other events stand for. */
import type { PayloadFor } from '../../fibric/events/index.ts';
import type { KustomerEvent } from '../../kustomer/event.ts';
import { flagOf, textOf, textsOf, timeOf } from '../read.ts';
import { changedOf, observationOf, type Source, subjectOf } from './common.ts';

function facts({ attributes }: KustomerEvent) {
  return {
    name: textOf(attributes['name']),
    created_at: timeOf(attributes['createdAt']),
    updated_at: timeOf(attributes['updatedAt']),
    deleted: flagOf(attributes['deleted']),
  };
}

function userFacts(event: KustomerEvent) {
  return {
    ...facts(event),
    display_name: textOf(event.attributes['displayName']),
    email: textOf(event.attributes['email']),
    user_type: textOf(event.attributes['userType']),
    teams: textsOf(event.attributes['teams']),
  };
}

function teamFacts(event: KustomerEvent) {
  return { ...facts(event), members: textsOf(event.attributes['members']) };
}

function tagFacts(event: KustomerEvent) {
  return { ...facts(event), color: textOf(event.attributes['color']) };
}

export function userCreated(source: Source): PayloadFor<'user.created'> {
  const { event } = source;
  return { ...subjectOf(event), user_id: event.id, ...observationOf(source), ...userFacts(event) };
}

export function userUpdated(source: Source): PayloadFor<'user.updated'> {
  const { event } = source;
  return { ...subjectOf(event), user_id: event.id, ...observationOf(source), ...changedOf(event), ...userFacts(event) };
}

export function teamCreated(source: Source): PayloadFor<'team.created'> {
  const { event } = source;
  return { ...subjectOf(event), team_id: event.id, ...observationOf(source), ...teamFacts(event) };
}

export function teamUpdated(source: Source): PayloadFor<'team.updated'> {
  const { event } = source;
  return { ...subjectOf(event), team_id: event.id, ...observationOf(source), ...changedOf(event), ...teamFacts(event) };
}

export function tagCreated(source: Source): PayloadFor<'tag.created'> {
  const { event } = source;
  return { ...subjectOf(event), tag_id: event.id, ...observationOf(source), ...tagFacts(event) };
}

export function tagUpdated(source: Source): PayloadFor<'tag.updated'> {
  const { event } = source;
  return { ...subjectOf(event), tag_id: event.id, ...observationOf(source), ...changedOf(event), ...tagFacts(event) };
}
