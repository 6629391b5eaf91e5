/** Custom objects such as orders: no webhook of their own, but creating one touches its customer, which has one. */
import type { Actor } from './conversation.ts';
import type { ModelEvent } from './event.ts';
import { type Organisation, SYSTEM } from './organisation.ts';
import { type Attributes, isoTime, type KobjectType, type Resource, relationTo } from './resource.ts';

export interface KobjectSeed {
  readonly title: string;
  readonly customerId?: string | undefined;
  readonly externalId?: string | undefined;
  readonly attributes?: Attributes | undefined;
}

export interface KobjectMade {
  readonly kobject: Resource;
  readonly events: readonly ModelEvent[];
}

const MAX_RECENT_ITEMS = 10;

export function kobjectType(klass: string): KobjectType {
  return `kobject.${klass}`;
}

export function createKobject(
  organisation: Organisation,
  nowMs: number,
  klass: string,
  { title, customerId, externalId, attributes }: KobjectSeed,
  actor: Actor = SYSTEM,
): KobjectMade {
  const creation = {
    type: kobjectType(klass),
    id: organisation.revisions.newId(nowMs),
    attributes: {
      externalId: externalId ?? null,
      title,
      description: null,
      icon: null,
      images: [],
      data: {},
      custom: {},
      tags: [],
      deleted: false,
      ...attributes,
    },
    relationships: {
      klass: { link: { self: `/v1/klasses/${klass}` }, data: { type: 'klass', id: klass } },
      ...(customerId === undefined ? {} : { customer: relationTo('customer', customerId) }),
    },
  };
  const kobject = organisation.revisions.create(organisation.kobjects, nowMs, creation, actor);
  return { kobject, events: customerId === undefined ? [] : touch(organisation, nowMs, customerId, kobject, actor) };
}

export function editKobject(
  organisation: Organisation,
  nowMs: number,
  kobject: Resource,
  edit: Attributes,
  actor: Actor = SYSTEM,
): Resource {
  const decide = (): Attributes => edit;
  return organisation.revisions.change(organisation.kobjects, kobject, nowMs, decide, actor)?.resource ?? kobject;
}

/** As observed at the vendor: updatedAt, lastActivityAt, rev and recentItems of the customer move. */
function touch(
  organisation: Organisation,
  nowMs: number,
  customerId: string,
  kobject: Resource,
  actor: Actor,
): readonly ModelEvent[] {
  const customer = organisation.customers.get(customerId);
  if (customer === undefined) return [];
  const decide = (now: Attributes, ms: number): Attributes => ({
    lastActivityAt: isoTime(ms),
    recentItems: [
      { type: kobject.type, id: kobject.id, updatedAt: isoTime(ms) },
      ...(now['recentItems'] as readonly unknown[]),
    ].slice(0, MAX_RECENT_ITEMS),
  });
  const touched = { ...actor, userId: null };
  const mutation = organisation.revisions.change(organisation.customers, customer, nowMs, decide, touched);
  return mutation === null ? [] : [organisation.revisions.changed(mutation, touched)];
}
