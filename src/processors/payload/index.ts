/** How each event type's payload is made: one line per type, and the compiler asks for every one. */
import type { EventType, Payload, PayloadFor } from '../../fibric/events/index.ts';
import type { Source } from './common.ts';
import {
  conversationCreated,
  conversationSatisfactionUpdated,
  conversationSlaBreached,
  conversationStatusChanged,
  conversationUpdated,
} from './conversation.ts';
import { customerCreated, customerUpdated } from './customer.ts';
import { tagCreated, tagUpdated, teamCreated, teamUpdated, userCreated, userUpdated } from './directory.ts';
import { messageCreated, messageUpdated } from './message.ts';

const PAYLOADS: { readonly [T in EventType]: (source: Source) => PayloadFor<T> } = {
  'conversation.created': conversationCreated,
  'conversation.message.created': messageCreated,
  'conversation.status.changed': conversationStatusChanged,
  'conversation.satisfaction.updated': conversationSatisfactionUpdated,
  'conversation.sla.breached': conversationSlaBreached,
  'customer.updated': customerUpdated,
  'conversation.updated': conversationUpdated,
  'conversation.message.updated': messageUpdated,
  'customer.created': customerCreated,
  'user.created': userCreated,
  'user.updated': userUpdated,
  'team.created': teamCreated,
  'team.updated': teamUpdated,
  'tag.created': tagCreated,
  'tag.updated': tagUpdated,
};

export function payloadOf(source: Source): Payload {
  return PAYLOADS[source.candidate.eventType](source);
}
