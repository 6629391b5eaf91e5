/**
 * A Kustomer organisation in memory. Commands change objects and return the events the vendor would publish, in the
 * order it would publish them. No clock and no I/O: the time comes in with each command, randomness with the seed, so
 * the same commands at the same times give the same bytes.
 */
import {
  type Actor,
  type ConversationEdit,
  type ConversationSeed,
  editConversation,
  newConversation,
  recordMessage,
} from './conversation.ts';
import { eventOf, type ModelEvent } from './event.ts';
import {
  type CustomerSeed,
  type MessageSeed,
  newCustomer,
  newMessage,
  newTag,
  newTeam,
  newUser,
  type UserSeed,
} from './people.ts';
import { createIds, createRandom, type IdSource, type Random } from './random.ts';
import {
  type Attributes,
  type Changes,
  createResource,
  isoTime,
  mutate,
  nextUpdateMs,
  type Patch,
  type Relationships,
  type Resource,
  type ResourceType,
  referenceTo,
  relationTo,
} from './resource.ts';
import { commentedSurvey, offeredSurvey, ratedSurvey, type SurveyOffer, type SurveyRating } from './satisfaction.ts';
import { Store } from './store.ts';

export interface OrganisationOptions {
  /** 24 hex. */
  readonly orgId: string;
  /** The `acme` in acme.kustomerapp.com. */
  readonly name: string;
  readonly seed: string;
  /** Oldest messages are forgotten beyond this. */
  readonly maxMessages?: number;
  /** Also send the customer.update that a message or a conversation's status causes at the vendor. Default false. */
  readonly customerActivity?: boolean;
}

export const SYSTEM: Actor = { userId: null, client: null };

const DEFAULT_MAX_MESSAGES = 100_000;

export class Organisation {
  readonly orgId: string;
  readonly name: string;
  readonly random: Random;
  readonly conversations = new Store();
  readonly customers = new Store();
  readonly messages: Store;
  readonly users = new Store();
  readonly teams = new Store();
  readonly tags = new Store();
  readonly #newId: IdSource;
  readonly #customerActivity: boolean;

  constructor(options: OrganisationOptions) {
    this.orgId = options.orgId;
    this.name = options.name;
    this.random = createRandom(`organisation:${options.seed}`);
    this.messages = new Store(options.maxMessages ?? DEFAULT_MAX_MESSAGES);
    this.#newId = createIds(options.seed);
    this.#customerActivity = options.customerActivity ?? false;
  }

  // Creation

  createCustomer(nowMs: number, seed: CustomerSeed, actor: Actor = SYSTEM): readonly ModelEvent[] {
    return [this.#create(this.customers, 'customer', nowMs, newCustomer(seed, nowMs), {}, actor)];
  }

  /** Without `customerId` a customer is made first. */
  createConversation(
    nowMs: number,
    seed: ConversationSeed & { readonly customerId?: string; readonly customer?: CustomerSeed },
    actor: Actor = SYSTEM,
  ): readonly ModelEvent[] {
    const { customerId, customer, ...fields } = seed;
    const made = customerId === undefined ? this.createCustomer(nowMs, customer ?? {}, actor) : [];
    const owner = customerId ?? (made[0] as ModelEvent).id;
    const id = this.#newId(nowMs);
    const event = this.#create(
      this.conversations,
      'conversation',
      nowMs,
      newConversation(fields, nowMs),
      {
        messages: { links: { self: `/v1/conversations/${id}/messages` } },
        customer: relationTo('customer', owner),
      },
      actor,
      id,
    );
    return [...made, event, ...this.#customerTouched(owner, nowMs, null, event.body.data.attributes['status'])];
  }

  /** Records a message in a conversation; an inbound one reopens it when it is snoozed or done. */
  createMessage(
    nowMs: number,
    conversationId: string,
    seed: MessageSeed,
    actor: Actor = SYSTEM,
  ): readonly ModelEvent[] {
    const conversation = this.conversations.get(conversationId);
    if (conversation === undefined) return [];
    const customerId = conversation.relationships['customer']?.data?.id as string;
    const message = this.#create(
      this.messages,
      'message',
      nowMs,
      newMessage(seed, conversation.attributes['messageCount'] === 0, nowMs),
      {
        // The plural type is the vendor's slip, on messages only.
        customer: { links: { self: `/v1/customers/${customerId}` }, data: { type: 'customers', id: customerId } },
        conversation: relationTo('conversation', conversationId),
      },
      actor,
    );
    const attributes = message.body.data.attributes;
    const seen = {
      direction: seed.direction,
      channel: seed.channel,
      sentAt: attributes['sentAt'] as string,
    };
    const before = conversation.attributes['status'];
    const events = this.#change(
      this.conversations,
      conversation,
      nowMs,
      (now, ms) => recordMessage(now, seen, actor, ms),
      { ...actor, userId: null },
    );
    const after = this.conversations.get(conversationId)?.attributes['status'];
    return [message, ...events, ...this.#customerTouched(customerId, nowMs, before, after)];
  }

  createUser(nowMs: number, seed: UserSeed, actor: Actor = SYSTEM): readonly ModelEvent[] {
    return [this.#create(this.users, 'user', nowMs, newUser(seed, nowMs), {}, actor)];
  }

  createTeam(
    nowMs: number,
    name: string,
    members: readonly string[] = [],
    actor: Actor = SYSTEM,
  ): readonly ModelEvent[] {
    return [this.#create(this.teams, 'team', nowMs, newTeam(name, members, nowMs), {}, actor)];
  }

  createTag(nowMs: number, name: string, actor: Actor = SYSTEM): readonly ModelEvent[] {
    return [this.#create(this.tags, 'tag', nowMs, newTag(name, nowMs), {}, actor)];
  }

  // Change. An unknown id, or a change of nothing, gives no event.

  editConversation(nowMs: number, id: string, edit: ConversationEdit, actor: Actor = SYSTEM): readonly ModelEvent[] {
    const conversation = this.conversations.get(id);
    if (conversation === undefined) return [];
    const events = this.#change(
      this.conversations,
      conversation,
      nowMs,
      (now, ms) => editConversation(now, edit, actor, ms),
      actor,
    );
    const after = this.conversations.get(id)?.attributes['status'];
    const customerId = conversation.relationships['customer']?.data?.id as string;
    if (after === conversation.attributes['status']) return events;
    return [...events, ...this.#customerTouched(customerId, nowMs, conversation.attributes['status'], after)];
  }

  /** As a customer merge or a manual move does: the relationship changes, no attribute but the stamps. */
  moveConversation(nowMs: number, id: string, customerId: string, actor: Actor = SYSTEM): readonly ModelEvent[] {
    const conversation = this.conversations.get(id);
    if (conversation === undefined) return [];
    const relationships = { customer: relationTo('customer', customerId) };
    return this.#change(this.conversations, conversation, nowMs, () => ({}), actor, relationships);
  }

  offerSurvey(nowMs: number, conversationId: string, offer: Omit<SurveyOffer, 'responseId'>): readonly ModelEvent[] {
    const responseId = this.#newId(nowMs);
    return this.#survey(nowMs, conversationId, (_level, ms) => offeredSurvey({ ...offer, responseId }, ms));
  }

  rateSurvey(nowMs: number, conversationId: string, rating: SurveyRating): readonly ModelEvent[] {
    return this.#survey(nowMs, conversationId, (level, ms) => ratedSurvey(level, rating, ms));
  }

  commentSurvey(nowMs: number, conversationId: string, comment: string): readonly ModelEvent[] {
    return this.#survey(nowMs, conversationId, (level, ms) => commentedSurvey(level, comment, ms));
  }

  /** Customers, messages, users, teams and tags have no consequences of their own: the fields are set as they are. */
  edit(
    type: Exclude<ResourceType, 'conversation'>,
    nowMs: number,
    id: string,
    attributes: Attributes,
    actor: Actor = SYSTEM,
  ): readonly ModelEvent[] {
    const store = this.#storeOf(type);
    const resource = store.get(id);
    if (resource === undefined) return [];
    return this.#change(store, resource, nowMs, () => attributes, actor);
  }

  // Machinery

  #storeOf(type: Exclude<ResourceType, 'conversation'>): Store {
    const stores = {
      customer: this.customers,
      message: this.messages,
      user: this.users,
      team: this.teams,
      tag: this.tags,
    };
    return stores[type];
  }

  #create(
    store: Store,
    type: ResourceType,
    nowMs: number,
    attributes: Attributes,
    relationships: Relationships,
    actor: Actor,
    id = this.#newId(nowMs),
  ): ModelEvent {
    const resource = createResource(type, id, nowMs, attributes, {
      org: referenceTo('org', this.orgId),
      ...(actor.userId === null ? {} : { createdBy: referenceTo('user', actor.userId) }),
      ...relationships,
    });
    store.add(resource);
    // On create the vendor sends `changes: null` at times and leaves it out at others.
    return this.#event(resource, this.random.chance(0.5) ? null : undefined, actor);
  }

  #change(
    store: Store,
    resource: Resource,
    nowMs: number,
    decide: (attributes: Attributes, updatedAtMs: number) => Attributes,
    actor: Actor,
    relationships: Relationships = {},
  ): readonly ModelEvent[] {
    const updatedAtMs = nextUpdateMs(resource, nowMs);
    const patch = { attributes: decide(resource.attributes, updatedAtMs), relationships };
    const mutation = mutate(resource, patch, signature(actor, updatedAtMs), updatedAtMs);
    if (mutation === null) return [];
    store.replace(mutation.resource);
    return [this.#event(mutation.resource, mutation.changes, actor)];
  }

  #survey(
    nowMs: number,
    conversationId: string,
    next: (level: Attributes, updatedAtMs: number) => Attributes | null,
  ): readonly ModelEvent[] {
    const conversation = this.conversations.get(conversationId);
    if (conversation === undefined) return [];
    const decide = (now: Attributes, ms: number): Attributes => {
      const level = next(now['satisfactionLevel'] as Attributes, ms);
      return level === null ? {} : { satisfactionLevel: level };
    };
    return this.#change(this.conversations, conversation, nowMs, decide, SYSTEM);
  }

  /** The vendor stamps a customer for what happens in its conversations; consumers know these as update floods. */
  #customerTouched(customerId: string, nowMs: number, before: unknown, after: unknown): readonly ModelEvent[] {
    const customer = this.#customerActivity ? this.customers.get(customerId) : undefined;
    if (customer === undefined) return [];
    const decide = (now: Attributes, ms: number): Attributes => {
      const counts = { ...(now['conversationCounts'] as Record<string, number>) };
      if (before === null) counts['all'] = (counts['all'] ?? 0) + 1;
      else counts[before as string] = (counts[before as string] ?? 0) - 1;
      counts[after as string] = (counts[after as string] ?? 0) + 1;
      return { lastActivityAt: isoTime(ms), conversationCounts: counts };
    };
    return this.#change(this.customers, customer, nowMs, decide, SYSTEM);
  }

  #event(resource: Resource, changes: Changes | null | undefined, actor: Actor): ModelEvent {
    return eventOf(resource, {
      eventId: this.#newId(resource.updatedAtMs),
      orgId: this.orgId,
      orgName: this.name,
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
