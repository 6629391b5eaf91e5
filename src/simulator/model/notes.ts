/** Notes: no webhook of their own; a new one shows in its conversation's `noteCount`. Notes have no `rev` to callers. */
import type { Actor } from './conversation.ts';
import type { ModelEvent } from './event.ts';
import { isDeleted, type Organisation } from './organisation.ts';
import { type Attributes, isoTime, type Relationship, type Resource, relationTo } from './resource.ts';

export interface Mention {
  readonly user?: string | undefined;
  readonly team?: string | undefined;
}

export interface NoteSeed {
  readonly body: string;
  readonly id?: string | undefined;
  /** Duplicates are accepted, as nothing of the vendor's says otherwise. */
  readonly externalId?: string | undefined;
  readonly lang?: string | undefined;
  readonly importedAt?: string | undefined;
  readonly userMentions?: readonly Mention[] | undefined;
}

export interface NoteMade {
  readonly note: Resource;
  readonly events: readonly ModelEvent[];
}

/** Null when the conversation is unknown or deleted. */
export function createNote(
  organisation: Organisation,
  nowMs: number,
  conversationId: string,
  seed: NoteSeed,
  actor: Actor,
): NoteMade | null {
  const conversation = organisation.conversations.get(conversationId);
  if (conversation === undefined || isDeleted(conversation)) return null;
  const { id = organisation.revisions.newId(nowMs), userMentions, ...fields } = seed;
  const creation = {
    type: 'note',
    id,
    attributes: defined({ ...fields, deleted: false, modifiedAt: isoTime(nowMs) }),
    relationships: {
      customer: conversation.relationships['customer'] as Relationship,
      conversation: relationTo('conversation', conversationId),
    },
  } as const;
  const note = organisation.revisions.create(organisation.notes, nowMs, withMentions(creation, userMentions), actor);
  const events = organisation.changeConversation(
    nowMs,
    conversation,
    (now) => ({ noteCount: Number(now['noteCount'] ?? 0) + 1 }),
    { ...actor, userId: null },
  );
  return { note, events };
}

/** Undefined when there is no such note. */
export function editNote(
  organisation: Organisation,
  nowMs: number,
  id: string,
  edit: Attributes,
  actor: Actor,
): Resource | undefined {
  const note = organisation.notes.get(id);
  if (note === undefined) return undefined;
  organisation.revisions.change(organisation.notes, note, nowMs, () => defined(edit), actor);
  return organisation.notes.get(id);
}

function withMentions<T extends { readonly attributes: Attributes }>(
  creation: T,
  mentions: readonly Mention[] = [],
): T {
  return mentions.length === 0
    ? creation
    : { ...creation, attributes: { ...creation.attributes, userMentions: mentions } };
}

function defined(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}
