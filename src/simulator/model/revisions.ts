/**
 * The one place where an organisation's objects are made and changed. Everyone who must know of every revision (the
 * search index, a test that keeps the truth) observes here: webhooks tell of fewer.
 */
import type { Actor } from './conversation.ts';
import { eventOf, type ModelEvent } from './event.ts';
import type { IdSource, Random } from './random.ts';
import {
  type Attributes,
  type Changes,
  createResource,
  isoTime,
  type Mutation,
  mutate,
  nextUpdateMs,
  type Patch,
  type Relationships,
  type Resource,
  type ResourceType,
  referenceTo,
} from './resource.ts';
import type { Store } from './store.ts';

export interface RevisionsOptions {
  readonly orgId: string;
  readonly orgName: string;
  readonly newId: IdSource;
  readonly random: Random;
}

export interface Creation {
  readonly type: ResourceType;
  readonly id: string;
  readonly attributes: Attributes;
  readonly relationships: Relationships;
}

export type Decide = (attributes: Attributes, updatedAtMs: number) => Attributes;

export class Revisions {
  readonly newId: IdSource;
  readonly #options: RevisionsOptions;
  readonly #observers: ((resource: Resource) => void)[] = [];

  constructor(options: RevisionsOptions) {
    this.#options = options;
    this.newId = options.newId;
  }

  /** Called with every revision of every object, in order, silent ones included. */
  observe(observer: (resource: Resource) => void): void {
    this.#observers.push(observer);
  }

  create(store: Store, nowMs: number, { type, id, attributes, relationships }: Creation, actor: Actor): Resource {
    const resource = createResource(type, id, nowMs, attributes, {
      org: referenceTo('org', this.#options.orgId),
      ...(actor.userId === null ? {} : { createdBy: referenceTo('user', actor.userId) }),
      ...relationships,
    });
    store.add(resource);
    this.#tell(resource);
    return resource;
  }

  /** Null when nothing would change. */
  change(
    store: Store,
    resource: Resource,
    nowMs: number,
    decide: Decide,
    actor: Actor,
    relationships: Relationships = {},
  ): Mutation | null {
    const updatedAtMs = nextUpdateMs(resource, nowMs);
    const patch = { attributes: decide(resource.attributes, updatedAtMs), relationships };
    const mutation = mutate(resource, patch, signature(actor, updatedAtMs), updatedAtMs);
    if (mutation === null) return null;
    store.replace(mutation.resource);
    this.#tell(mutation.resource);
    return mutation;
  }

  created(resource: Resource, actor: Actor): ModelEvent {
    // On create the vendor sends `changes: null` at times and leaves it out at others.
    return this.#event(resource, this.#options.random.chance(0.5) ? null : undefined, actor);
  }

  changed({ resource, changes }: Mutation, actor: Actor): ModelEvent {
    return this.#event(resource, changes, actor);
  }

  #tell(resource: Resource): void {
    for (const observer of this.#observers) observer(resource);
  }

  #event(resource: Resource, changes: Changes | null | undefined, actor: Actor): ModelEvent {
    return eventOf(resource, {
      eventId: this.newId(resource.updatedAtMs),
      orgId: this.#options.orgId,
      orgName: this.#options.orgName,
      client: actor.client,
      changes,
    });
  }
}

/** `modifiedAt` and `modifiedBy` move only for edits by a user; `updatedAt` moves for all. */
function signature(actor: Actor, updatedAtMs: number): Patch {
  if (actor.userId === null) return {};
  return {
    attributes: { modifiedAt: isoTime(updatedAtMs) },
    relationships: { modifiedBy: referenceTo('user', actor.userId) },
  };
}
