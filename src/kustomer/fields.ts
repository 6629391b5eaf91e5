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
  const name = textOrNull(body['name']);
  return {
    eventId: textOrNull(body['id']),
    name,
    org: textOrNull(body['org']),
    resourceType: textOrNull(data['type']),
    resourceId: textOrNull(data['id']),
    rev: revision(body, data, name),
  };
}

/** `create` of `kustomer.conversation.create`. */
export function verbOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/**
 * The revision this change led to. `changes` knows it exactly; the snapshot may already be newer than the change it
 * travels with, and two changes read from one snapshot would look like one. So an update that tells what it changed,
 * but not its revision, has none. Creates have no `changes`, and there is one of them only.
 */
function revision(body: JsonObject, data: JsonObject, name: string | null): number | null {
  const { attributes, relationships } = objectOrEmpty(body['changes']);
  const changed = objectOrEmpty(objectOrEmpty(attributes)['rev'])['after'];
  if (isRevision(changed)) return changed;
  if (isUpdateWithoutRevision(name, hasKeys(attributes) || hasKeys(relationships))) return null;
  const current = objectOrEmpty(data['attributes'])['rev'];
  return isRevision(current) ? current : null;
}

/** Whether the snapshot's revision may not stand in, given whether anything stands under `changes`. */
export function isUpdateWithoutRevision(name: string | null, tellsChanges: boolean): boolean {
  return tellsChanges && (name === null || verbOf(name) !== 'create');
}

function hasKeys(value: unknown): boolean {
  return Object.keys(objectOrEmpty(value)).length > 0;
}

function isRevision(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
