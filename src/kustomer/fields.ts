/** Where the identifying facts stand in an event body: one place, so that receiver and processor read them alike. */
import { type JsonObject, objectOrEmpty, textOrNull } from './json.ts';

export interface EventFields {
  readonly eventId: string | null;
  readonly name: string | null;
  readonly org: string | null;
  readonly resourceType: string | null;
  readonly resourceId: string | null;
  readonly rev: number | null;
}

export function eventFields(body: JsonObject): EventFields {
  const data = objectOrEmpty(body['data']);
  return {
    eventId: textOrNull(body['id']),
    name: textOrNull(body['name']),
    org: textOrNull(body['org']),
    resourceType: textOrNull(data['type']),
    resourceId: textOrNull(data['id']),
    rev: revision(body, data),
  };
}

/**
 * The revision this change led to. `changes` knows it exactly; the snapshot may already be newer than the change it
 * travels with, and two changes read from one snapshot would look like one. Creates have no `changes`.
 */
function revision(body: JsonObject, data: JsonObject): number | null {
  const changed = objectOrEmpty(objectOrEmpty(objectOrEmpty(body['changes'])['attributes'])['rev'])['after'];
  if (isRevision(changed)) return changed;
  const current = objectOrEmpty(data['attributes'])['rev'];
  return isRevision(current) ? current : null;
}

function isRevision(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
