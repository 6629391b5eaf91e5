import { defineEventType, field, nullable, text } from './define.ts';
import { CONVERSATION_FACTS, CONVERSATION_IDS, OBSERVATION, SUBJECT } from './fields.ts';

export const conversationCreated = defineEventType({
  type: 'conversation.created',
  kind: 'webhook',
  extended: false,
  record: 'ConversationCreated',
  doc: 'A new conversation, on any channel.',
  fields: [
    ...SUBJECT,
    ...CONVERSATION_IDS,
    ...OBSERVATION,
    field('status', nullable(text), 'open, snoozed or done, as the snapshot shows it.'),
    ...CONVERSATION_FACTS,
  ],
});
