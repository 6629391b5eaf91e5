/**
 * The catalogue of what can be sensed. A new event type is one file and one line here: append it, the order is the
 * order of the branches in the Avro union.
 */
import { conversationCreated } from './conversation-created.ts';
import { conversationMessageCreated } from './conversation-message-created.ts';
import { conversationMessageUpdated } from './conversation-message-updated.ts';
import { conversationSatisfactionUpdated } from './conversation-satisfaction-updated.ts';
import { conversationSlaBreached } from './conversation-sla-breached.ts';
import { conversationStatusChanged } from './conversation-status-changed.ts';
import { conversationUpdated } from './conversation-updated.ts';
import { customerCreated } from './customer-created.ts';
import { customerUpdated } from './customer-updated.ts';
import type { PayloadOf } from './define.ts';
import { tagCreated } from './tag-created.ts';
import { tagUpdated } from './tag-updated.ts';
import { teamCreated } from './team-created.ts';
import { teamUpdated } from './team-updated.ts';
import { userCreated } from './user-created.ts';
import { userUpdated } from './user-updated.ts';

export const EVENT_TYPES = [
  conversationCreated,
  conversationMessageCreated,
  conversationStatusChanged,
  conversationSatisfactionUpdated,
  conversationSlaBreached,
  customerUpdated,
  conversationUpdated,
  conversationMessageUpdated,
  customerCreated,
  userCreated,
  userUpdated,
  teamCreated,
  teamUpdated,
  tagCreated,
  tagUpdated,
] as const;

export {
  conversationCreated,
  conversationMessageCreated,
  conversationMessageUpdated,
  conversationUpdated,
  customerCreated,
  customerUpdated,
  tagCreated,
  tagUpdated,
  teamCreated,
  teamUpdated,
  userCreated,
  userUpdated,
};

type Definition = (typeof EVENT_TYPES)[number];

/** `conversation.created`, `conversation.status.changed`, …: also the only values of a metric's event_type label. */
export type EventType = Definition['type'];

export type PayloadFor<T extends EventType> = PayloadOf<Extract<Definition, { readonly type: T }>>;
export type Payload = { readonly [T in EventType]: PayloadFor<T> }[EventType];

const BY_TYPE: ReadonlyMap<string, Definition> = new Map(EVENT_TYPES.map((d) => [d.type, d]));

/** The definition of an event type; undefined for a name that is not in the catalogue. */
export function eventTypeDefinition(type: EventType): Definition;
export function eventTypeDefinition(type: string): Definition | undefined;
export function eventTypeDefinition(type: string): Definition | undefined {
  return BY_TYPE.get(type);
}
