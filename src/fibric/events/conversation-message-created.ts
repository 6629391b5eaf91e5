import { defineEventType } from './define.ts';
import { MESSAGE_FACTS, MESSAGE_IDS, OBSERVATION, SUBJECT } from './fields.ts';

export const conversationMessageCreated = defineEventType({
  type: 'conversation.message.created',
  kind: 'webhook',
  extended: false,
  record: 'ConversationMessageCreated',
  doc: 'A message landed on a conversation, inbound or outbound.',
  fields: [...SUBJECT, ...MESSAGE_IDS, ...OBSERVATION, ...MESSAGE_FACTS],
});
