import { defineEventType, field, flag, long, nullable, text } from './define.ts';
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
    field(
      'missed_revisions',
      nullable(long),
      'Seen by a poll: other revisions since previous_status was seen that nobody told of; 0 = previous_status is exact, more = statuses in between may have been missed. Null when not known, and for webhooks.',
    ),
  ],
});
