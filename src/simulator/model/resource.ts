/**
 * One object of the vendor's database and the one way to change it.
 *
 * Invariants (test/unit/simulator/model.test.ts cites them):
 * R1 A created object has rev 1; every later mutation bumps rev by exactly one.
 * R2 updatedAt moves strictly forward per object, in whole milliseconds, even when the clock stands still.
 * R3 `changes` of a mutation is the exact difference of the two consecutive snapshots: every attribute and relationship
 *    that differs is listed with its whole value before and after (null where absent), and none that does not.
 * R4 A patch that changes nothing makes no revision.
 * R5 Resources are values: a mutation returns a new one and leaves the old untouched.
 */
export type EventType = 'conversation' | 'message' | 'customer' | 'user' | 'team' | 'tag';

/** Notes and custom objects have revisions as well, but no webhook tells of them. */
export type ResourceType = EventType | 'note' | KobjectType;
export type KobjectType = `kobject.${string}`;

export type Attributes = Readonly<Record<string, unknown>>;

export interface Reference {
  readonly type: string;
  readonly id: string;
}

export interface Relationship {
  readonly links?: { readonly self: string };
  /** The vendor's slip on custom objects: `klass.link`. */
  readonly link?: { readonly self: string };
  readonly data?: Reference;
}

export type Relationships = Readonly<Record<string, Relationship>>;

export interface Resource {
  readonly type: ResourceType;
  readonly id: string;
  readonly attributes: Attributes;
  readonly relationships: Relationships;
  readonly links: { readonly self: string };
  readonly rev: number;
  readonly updatedAtMs: number;
}

/** The vendor has only ever been seen to send `replace`, with null for an absent value. */
export interface ChangeOperation {
  readonly op: 'replace';
  readonly before: unknown;
  readonly after: unknown;
}

export interface Changes {
  readonly attributes: Readonly<Record<string, ChangeOperation>>;
  readonly relationships: Readonly<Record<string, ChangeOperation>>;
}

export interface Patch {
  readonly attributes?: Attributes;
  readonly relationships?: Relationships;
}

export interface Mutation {
  readonly resource: Resource;
  readonly changes: Changes;
}

export const isoTime = (ms: number): string => new Date(ms).toISOString();

/** With the link, as conversations and customers are related. */
export function relationTo(type: 'conversation' | 'customer', id: string): Relationship {
  return { links: { self: `/v1/${type}s/${id}` }, data: { type, id } };
}

/** Without: webhook bodies name the organisation and users by id only. */
export function referenceTo(type: 'org' | 'user', id: string): Relationship {
  return { data: { type, id } };
}

/** A custom object's own link is plural although its address is not: the vendor's slip. */
function linkTo(type: ResourceType, id: string): string {
  return type.startsWith('kobject.') ? `/v1/klasses/${type.slice('kobject.'.length)}s/${id}` : `/v1/${type}s/${id}`;
}

/** A new object at rev 1. `createdAt` and `updatedAt` are set here. */
export function createResource(
  type: ResourceType,
  id: string,
  nowMs: number,
  attributes: Attributes,
  relationships: Relationships,
): Resource {
  const at = isoTime(nowMs);
  return {
    type,
    id,
    attributes: { ...attributes, createdAt: at, updatedAt: at, rev: 1 },
    relationships,
    links: { self: linkTo(type, id) },
    rev: 1,
    updatedAtMs: nowMs,
  };
}

/** The time the next mutation of this object will carry (R2). */
export function nextUpdateMs(resource: Resource, nowMs: number): number {
  return Math.max(nowMs, resource.updatedAtMs + 1);
}

/**
 * Applies a patch; null when it would change nothing (R4). `stamps` (who and when) come along with a change but are
 * none by themselves.
 */
export function mutate(resource: Resource, patch: Patch, stamps: Patch, nowMs: number): Mutation | null {
  const attributes = difference(resource.attributes, patch.attributes ?? {});
  const relationships = difference(resource.relationships, patch.relationships ?? {});
  if (isEmpty(attributes) && isEmpty(relationships)) return null;
  const updatedAtMs = nextUpdateMs(resource, nowMs);
  const rev = resource.rev + 1;
  const stamped = { ...stamps.attributes, updatedAt: isoTime(updatedAtMs), rev };
  Object.assign(attributes, difference(resource.attributes, stamped));
  Object.assign(relationships, difference(resource.relationships, stamps.relationships ?? {}));
  return {
    resource: {
      ...resource,
      attributes: { ...resource.attributes, ...patch.attributes, ...stamped },
      relationships: isEmpty(relationships)
        ? resource.relationships
        : { ...resource.relationships, ...patch.relationships, ...stamps.relationships },
      rev,
      updatedAtMs,
    },
    changes: { attributes, relationships },
  };
}

function difference(
  before: Readonly<Record<string, unknown>>,
  patch: Readonly<Record<string, unknown>>,
): Record<string, ChangeOperation> {
  const changes: Record<string, ChangeOperation> = {};
  for (const key in patch) {
    const after = patch[key] ?? null;
    const old = before[key] ?? null;
    if (!sameJson(old, after)) changes[key] = { op: 'replace', before: old, after };
  }
  return changes;
}

function isEmpty(record: object): boolean {
  for (const _ in record) return false;
  return true;
}

/** Equality of JSON values; a key holding undefined counts as absent, as it does in JSON. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => sameJson(item, b[index]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key in left) if (!sameJson(left[key], right[key])) return false;
  for (const key in right) if (right[key] !== undefined && left[key] === undefined) return false;
  return true;
}
