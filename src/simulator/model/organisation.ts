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
import type { ModelEvent } from './event.ts';
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
import { createIds, createRandom, type Random } from './random.ts';
import { type Attributes, type EventType, isoTime, type Relationships, type Resource, relationTo } from './resource.ts';
import { type Decide, Revisions } from './revisions.ts';
import { commentedSurvey, offeredSurvey, ratedSurvey, type SurveyOffer, type SurveyRating } from './satisfaction.ts';
import { type SlaPolicy, slaAfter, startSla } from './sla.ts';
import { Store } from './store.ts';
import { Timers } from './timers.ts';

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
  /** The clock every new conversation gets; none by default. */
  readonly sla?: SlaPolicy | undefined;
  /** Snoozed conversations open by themselves when their time comes. Default false. */
  readonly snoozesElapse?: boolean | undefined;
}

export const SYSTEM: Actor = { userId: null, client: null };

const DEFAULT_MAX_MESSAGES = 100_000;
const MAX_SURVEYS = 100_000;

export interface Survey {
  readonly conversationId: string;
  readonly level: Attributes;
}

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
  readonly notes = new Store();
  /** Custom objects of all klasses. */
  readonly kobjects = new Store();
  /** Survey answers by id: the latest state of each, also of those a later survey replaced on the conversation. */
  readonly surveys = new Map<string, Survey>();
  readonly revisions: Revisions;
  readonly sla: SlaPolicy | undefined;
  readonly #timers: Timers | null;
  readonly #customerActivity: boolean;
  #forgotten: (messageId: string) => void = () => {};

  constructor(options: OrganisationOptions) {
    this.orgId = options.orgId;
    this.name = options.name;
    this.random = createRandom(`organisation:${options.seed}`);
    this.messages = new Store(options.maxMessages ?? DEFAULT_MAX_MESSAGES, (id) => this.#forgotten(id));
    this.revisions = new Revisions({
      orgId: options.orgId,
      orgName: options.name,
      newId: createIds(options.seed),
      random: this.random,
    });
    this.sla = options.sla;
    this.#timers =
      options.sla === undefined && options.snoozesElapse !== true ? null : new Timers(options.snoozesElapse ?? false);
    if (this.#timers !== null) this.revisions.observe((resource) => this.#timers?.watch(resource));
    this.#customerActivity = options.customerActivity ?? false;
  }

  /** `forget` hears the id of every message that had to make room. */
  onForgotten(forget: (messageId: string) => void): void {
    this.#forgotten = forget;
  }

  /** What the clock alone does by `nowMs`: deadlines pass, snoozes elapse. Without timers nothing. */
  settle(nowMs: number, slaBreachEmits: boolean): readonly ModelEvent[] {
    return this.#timers?.settle(this, nowMs, slaBreachEmits) ?? [];
  }

  // Creation

  createCustomer(nowMs: number, seed: CustomerSeed, actor: Actor = SYSTEM): readonly ModelEvent[] {
    return [this.#create(this.customers, 'customer', nowMs, newCustomer(seed, nowMs), {}, actor)];
  }

  /** Without `customerId` a customer is made first. */
  createConversation(
    nowMs: number,
    seed: ConversationSeed & { readonly customerId?: string; readonly customer?: CustomerSeed; readonly id?: string },
    actor: Actor = SYSTEM,
  ): readonly ModelEvent[] {
    const { customerId, customer, id: givenId, ...fields } = seed;
    const made = customerId === undefined ? this.createCustomer(nowMs, customer ?? {}, actor) : [];
    const owner = customerId ?? (made[0] as ModelEvent).id;
    const id = givenId ?? this.revisions.newId(nowMs);
    const attributes = newConversation(fields, nowMs);
    const event = this.#create(
      this.conversations,
      'conversation',
      nowMs,
      this.sla === undefined ? attributes : { ...attributes, sla: startSla(this.sla, attributes, nowMs) },
      {
        messages: { links: { self: `/v1/conversations/${id}/messages` } },
        customer: relationTo('customer', owner),
        ...(this.sla === undefined
          ? {}
          : { sla: { links: { self: `/v1/slas/${this.sla.id}` }, data: { type: 'sla', id: this.sla.id } } }),
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
    seed: MessageSeed & { readonly id?: string },
    actor: Actor = SYSTEM,
  ): readonly ModelEvent[] {
    const conversation = this.conversations.get(conversationId);
    if (conversation === undefined || isDeleted(conversation)) return [];
    const { id, ...fields } = seed;
    const customerId = conversation.relationships['customer']?.data?.id as string;
    const message = this.#create(
      this.messages,
      'message',
      nowMs,
      newMessage(fields, conversation.attributes['messageCount'] === 0, nowMs),
      {
        // The plural type is the vendor's slip, on messages only.
        customer: { links: { self: `/v1/customers/${customerId}` }, data: { type: 'customers', id: customerId } },
        conversation: relationTo('conversation', conversationId),
      },
      actor,
      id,
    );
    const attributes = message.body.data.attributes;
    const seen = {
      direction: seed.direction,
      channel: seed.channel,
      sentAt: attributes['sentAt'] as string,
    };
    const before = conversation.attributes['status'];
    const events = this.changeConversation(nowMs, conversation, (now, ms) => recordMessage(now, seen, actor, ms), {
      ...actor,
      userId: null,
    });
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
    if (conversation === undefined || isDeleted(conversation)) return [];
    const events = this.changeConversation(
      nowMs,
      conversation,
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

  /** Any change of a conversation, with what it does to the SLA clock. */
  changeConversation(nowMs: number, conversation: Resource, decide: Decide, actor: Actor): readonly ModelEvent[] {
    const policy = this.sla;
    if (policy === undefined) return this.#change(this.conversations, conversation, nowMs, decide, actor);
    const withClock: Decide = (now, ms) => {
      const patch = decide(now, ms);
      const sla = slaAfter(policy, now, patch, ms);
      return sla === null ? patch : { ...patch, sla };
    };
    return this.#change(this.conversations, conversation, nowMs, withClock, actor);
  }

  offerSurvey(nowMs: number, conversationId: string, offer: Omit<SurveyOffer, 'responseId'>): readonly ModelEvent[] {
    const responseId = this.revisions.newId(nowMs);
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
    type: Exclude<EventType, 'conversation'>,
    nowMs: number,
    id: string,
    attributes: Attributes,
    actor: Actor = SYSTEM,
  ): readonly ModelEvent[] {
    const store = this.#storeOf(type);
    const resource = store.get(id);
    if (resource === undefined || isDeleted(resource)) return [];
    return this.#change(store, resource, nowMs, () => attributes, actor);
  }

  // Machinery

  #storeOf(type: Exclude<EventType, 'conversation'>): Store {
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
    type: EventType,
    nowMs: number,
    attributes: Attributes,
    relationships: Relationships,
    actor: Actor,
    id = this.revisions.newId(nowMs),
  ): ModelEvent {
    const resource = this.revisions.create(store, nowMs, { type, id, attributes, relationships }, actor);
    return this.revisions.created(resource, actor);
  }

  #change(
    store: Store,
    resource: Resource,
    nowMs: number,
    decide: Decide,
    actor: Actor,
    relationships: Relationships = {},
  ): readonly ModelEvent[] {
    const mutation = this.revisions.change(store, resource, nowMs, decide, actor, relationships);
    return mutation === null ? [] : [this.revisions.changed(mutation, actor)];
  }

  #survey(
    nowMs: number,
    conversationId: string,
    next: (level: Attributes, updatedAtMs: number) => Attributes | null,
  ): readonly ModelEvent[] {
    const conversation = this.conversations.get(conversationId);
    if (conversation === undefined || isDeleted(conversation)) return [];
    const decide = (now: Attributes, ms: number): Attributes => {
      const level = next(now['satisfactionLevel'] as Attributes, ms);
      return level === null ? {} : { satisfactionLevel: level };
    };
    const events = this.#change(this.conversations, conversation, nowMs, decide, SYSTEM);
    const level = this.conversations.get(conversationId)?.attributes['satisfactionLevel'] as Attributes;
    if (events.length > 0) this.#keepSurvey(level['formResponse'] as string, { conversationId, level });
    return events;
  }

  #keepSurvey(responseId: string, survey: Survey): void {
    this.surveys.set(responseId, survey);
    if (this.surveys.size <= MAX_SURVEYS) return;
    const [oldest] = this.surveys.keys();
    this.surveys.delete(oldest as string);
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
}

export function isDeleted(resource: Resource): boolean {
  return resource.attributes['deleted'] === true;
}
