import { defineEventType, field, flag, nullable, text } from './define.ts';
import { CONVERSATION_FACTS, CONVERSATION_IDS, OBSERVATION, SUBJECT } from './fields.ts';

export const conversationStatusChanged = defineEventType({
  type: 'conversation.status.changed',
  kind: 'webhook',
  extended: false,
  record: 'ConversationStatusChanged',
  doc: 'The status moved, including a reopen after done.',
  fields: [
    ...SUBJECT,
    ...CONVERSATION_IDS,
    ...OBSERVATION,
    field('status', text, 'The status this change led to: open, snoozed or done.'),
    field('previous_status', nullable(text), 'The status before; null when not known, never guessed.'),
    field(
      'reopened',
      nullable(flag),
      'True when it was done and is open again; null when the status before is unknown.',
    ),
    ...CONVERSATION_FACTS,
  ],
});
