import { defineEventType } from './define.ts';
import { CHANGED, MESSAGE_FACTS, MESSAGE_IDS, OBSERVATION, SUBJECT } from './fields.ts';

export const conversationMessageUpdated = defineEventType({
  type: 'conversation.message.updated',
  kind: 'webhook',
  extended: true,
  record: 'ConversationMessageUpdated',
  doc: 'A message changed: delivery state, error, redaction, ….',
  fields: [...SUBJECT, ...MESSAGE_IDS, ...OBSERVATION, ...CHANGED, ...MESSAGE_FACTS],
});
