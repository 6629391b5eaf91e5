import { defineEventType, field, long, nullable, record, text, texts } from './define.ts';
import { CHANGED, CONVERSATION_FACTS, CONVERSATION_IDS, OBSERVATION, SUBJECT } from './fields.ts';

const state = record(
  'ConversationChange',
  'Attributes on one side of the change. Null = not among the changed ones, or really null: changed_attributes tells.',
  [
    field('status', nullable(text), 'status'),
    field('sub_status', nullable(text), 'subStatus'),
    field('name', nullable(text), 'name'),
    field('priority', nullable(long), 'priority'),
    field('assigned_users', nullable(texts), 'assignedUsers'),
    field('assigned_teams', nullable(texts), 'assignedTeams'),
    field('tags', nullable(texts), 'tags'),
    field('channels', nullable(texts), 'channels'),
    field('customer_id', nullable(text), 'relationship customer'),
    field('queue_id', nullable(text), 'relationship queue'),
    field('brand_id', nullable(text), 'relationship brand'),
  ] as const,
);

export const conversationUpdated = defineEventType({
  type: 'conversation.updated',
  kind: 'webhook',
  extended: true,
  record: 'ConversationUpdated',
  doc: 'Anything about a conversation changed: assignment, tags, priority, ….',
  fields: [
    ...SUBJECT,
    ...CONVERSATION_IDS,
    ...OBSERVATION,
    ...CHANGED,
    field('before', nullable(state), 'Null when Kustomer did not say what changed.'),
    field('after', nullable(state), 'Null when Kustomer did not say what changed.'),
    field('status', nullable(text), 'Status of the conversation as the snapshot shows it.'),
    ...CONVERSATION_FACTS,
  ],
});
