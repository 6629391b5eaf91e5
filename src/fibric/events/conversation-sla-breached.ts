import { defineEventType, field, nullable, text } from './define.ts';
import { CONVERSATION_FACTS, CONVERSATION_IDS, OBSERVATION, SUBJECT } from './fields.ts';

export const conversationSlaBreached = defineEventType({
  type: 'conversation.sla.breached',
  kind: 'poll',
  extended: false,
  record: 'ConversationSlaBreached',
  doc: 'An SLA target passed without the required response.',
  fields: [
    ...SUBJECT,
    ...CONVERSATION_IDS,
    ...OBSERVATION,
    field('sla_name', nullable(text), 'Name of the SLA.'),
    field('sla_id', nullable(text), 'Id of the SLA.'),
    field('metric', text, 'firstResponse, longestUnrespondedMessage, nextReply, ….'),
    field('breach_at', text, 'The deadline that passed, RFC 3339; with the metric, the identity of the breach.'),
    field('satisfied_at', nullable(text), 'When the target was met after all.'),
    field('status', nullable(text), 'Status of the conversation as the snapshot shows it.'),
    ...CONVERSATION_FACTS,
  ],
});
