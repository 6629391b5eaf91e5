import { defineEventType, field, nullable, text } from './define.ts';
import { CONVERSATION_FACTS, CONVERSATION_IDS, OBSERVATION, SUBJECT, satisfaction } from './fields.ts';

export const conversationSatisfactionUpdated = defineEventType({
  type: 'conversation.satisfaction.updated',
  kind: 'webhook',
  extended: false,
  record: 'ConversationSatisfactionUpdated',
  doc: 'A customer answered a satisfaction survey, or changed the answer. A survey merely sent is none.',
  fields: [
    ...SUBJECT,
    ...CONVERSATION_IDS,
    ...OBSERVATION,
    field('satisfaction', satisfaction, 'The answer.'),
    field('previous_satisfaction_status', nullable(text), 'offered, rated, …: where the response stood before.'),
    field('status', nullable(text), 'Status of the conversation as the snapshot shows it.'),
    ...CONVERSATION_FACTS,
  ],
});
