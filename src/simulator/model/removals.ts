/**
 * Deletions and merges. The vendor has no event for them: what is deleted falls silent, and of a merge only the changes
 * of the objects involved can be seen.
 */
import type { Actor } from './conversation.ts';
import type { ModelEvent } from './event.ts';
import type { Organisation } from './organisation.ts';
import { type Attributes, isoTime, type Relationships, type Resource, relationTo } from './resource.ts';
import type { Store } from './store.ts';

/** Marks an object deleted; no event. Works on any store. */
export function markDeleted(
  organisation: Organisation,
  store: Store,
  nowMs: number,
  resource: Resource,
  actor: Actor,
): void {
  const decide = (_now: Attributes, ms: number): Attributes => ({ deleted: true, deletedAt: isoTime(ms) });
  organisation.revisions.change(store, resource, nowMs, decide, actor);
}

/**
 * Merges one conversation into another: messages and notes move, the source stays with `mergedTarget` and is done.
 * The events are those of the two conversations and of the messages; whether the vendor sends them is not documented.
 */
export function mergeConversations(
  organisation: Organisation,
  nowMs: number,
  source: Resource,
  target: Resource,
  actor: Actor,
): readonly ModelEvent[] {
  const events: ModelEvent[] = [];
  const moved = { conversation: relationTo('conversation', target.id) };
  const messages = relatedTo(organisation.messages, 'conversation', source.id);
  const notes = relatedTo(organisation.notes, 'conversation', source.id);
  for (const message of messages)
    events.push(...relate(organisation, organisation.messages, nowMs, message, moved, actor));
  for (const note of notes) organisation.revisions.change(organisation.notes, note, nowMs, () => ({}), actor, moved);
  const count = (attributes: Attributes, key: string): number => Number(attributes[key] ?? 0);
  const sum = (now: Attributes, key: string): number => count(now, key) + count(source.attributes, key);
  // Not through the SLA clock: nobody has written or answered anything.
  const gathered = organisation.revisions.change(
    organisation.conversations,
    target,
    nowMs,
    (now, ms) => ({
      messageCount: sum(now, 'messageCount'),
      noteCount: sum(now, 'noteCount'),
      inboundMessageCount: sum(now, 'inboundMessageCount'),
      outboundMessageCount: sum(now, 'outboundMessageCount'),
      lastActivityAt: isoTime(ms),
    }),
    actor,
  );
  if (gathered !== null) events.push(organisation.revisions.changed(gathered, actor));
  events.push(...organisation.editConversation(nowMs, source.id, { status: 'done' }, actor));
  const done = organisation.conversations.get(source.id) as Resource;
  const mark = (): Attributes => ({ mergedTarget: target.id, messageCount: 0, noteCount: 0 });
  const mutation = organisation.revisions.change(organisation.conversations, done, nowMs, mark, actor);
  return mutation === null ? events : [...events, organisation.revisions.changed(mutation, actor)];
}

/**
 * Merges one customer into another, for ever: conversations, messages, notes and custom objects move, the target keeps its name and
 * gains the source's addresses, the source is deleted. Conversations that move send `conversation.update`.
 */
export function mergeCustomers(
  organisation: Organisation,
  nowMs: number,
  source: Resource,
  target: Resource,
  actor: Actor,
): readonly ModelEvent[] {
  const events: ModelEvent[] = [];
  const { customers, conversations, messages, notes, kobjects, revisions } = organisation;
  for (const conversation of relatedTo(conversations, 'customer', source.id)) {
    events.push(...organisation.moveConversation(nowMs, conversation.id, target.id, actor));
  }
  const link = { self: `/v1/customers/${target.id}` };
  for (const message of relatedTo(messages, 'customer', source.id)) {
    const customer = { links: link, data: { type: 'customers', id: target.id } };
    events.push(...relate(organisation, messages, nowMs, message, { customer }, actor));
  }
  for (const store of [notes, kobjects]) {
    for (const resource of relatedTo(store, 'customer', source.id)) {
      revisions.change(store, resource, nowMs, () => ({}), actor, { customer: relationTo('customer', target.id) });
    }
  }
  const both = (now: Attributes, key: string): readonly unknown[] => [
    ...(now[key] as readonly unknown[]),
    ...(source.attributes[key] as readonly unknown[]),
  ];
  const decide = (now: Attributes, ms: number): Attributes => ({
    emails: both(now, 'emails').slice(0, 10),
    phones: both(now, 'phones').slice(0, 10),
    externalIds: both(now, 'externalIds').slice(0, 10),
    conversationCounts: added(now['conversationCounts'], source.attributes['conversationCounts']),
    lastActivityAt: isoTime(ms),
  });
  const merged = revisions.change(customers, target, nowMs, decide, actor);
  if (merged !== null) events.push(revisions.changed(merged, actor));
  const remove = (_now: Attributes, ms: number): Attributes => ({
    deleted: true,
    deletedAt: isoTime(ms),
    mergedTarget: target.id,
  });
  revisions.change(customers, source, nowMs, remove, actor);
  return events;
}

/** In order of creation. */
export function relatedTo(store: Store, relation: string, id: string): readonly Resource[] {
  return [...store.values()].filter((resource) => resource.relationships[relation]?.data?.id === id);
}

function relate(
  organisation: Organisation,
  store: Store,
  nowMs: number,
  resource: Resource,
  relationships: Relationships,
  actor: Actor,
): readonly ModelEvent[] {
  const mutation = organisation.revisions.change(store, resource, nowMs, () => ({}), actor, relationships);
  return mutation === null ? [] : [organisation.revisions.changed(mutation, actor)];
}

function added(a: unknown, b: unknown): Attributes {
  const sum = { ...(a as Record<string, number>) };
  for (const [key, value] of Object.entries(b as Record<string, number>)) sum[key] = (sum[key] ?? 0) + value;
  return sum;
}
