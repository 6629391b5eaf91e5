import { z } from 'zod';
import { field, nullable, text } from '../events/define.ts';
import { defineCommandType } from './define.ts';
import { conversationId, instant } from './values.ts';

export const CONVERSATION_STATUSES = ['open', 'snoozed', 'done'] as const;

export const statusWrite = defineCommandType({
  capability: 'conversation.status.write',
  record: 'StatusWrite',
  doc: 'Opens, snoozes or closes a conversation.',
  fields: [
    field('conversation_id', text, 'Id of the conversation.'),
    field('status', text, 'open, snoozed or done.'),
    field('snooze_until', nullable(text), 'When it opens again, RFC 3339: with snoozed, and only with it.'),
  ],
  schema: z
    .strictObject({
      conversation_id: conversationId,
      status: z.enum(CONVERSATION_STATUSES, 'is not open, snoozed or done'),
      snooze_until: instant.nullable().default(null),
    })
    .refine(({ status, snooze_until }) => status !== 'snoozed' || snooze_until !== null, {
      path: ['snooze_until'],
      message: 'is missing: a conversation is snoozed until some time',
    })
    .refine(({ status, snooze_until }) => status === 'snoozed' || snooze_until === null, {
      path: ['snooze_until'],
      message: 'goes with the status snoozed only',
    }),
  entityKey: ({ conversation_id }) => `conversation:${conversation_id}`,
  laneKey: ({ conversation_id }) => conversation_id,
});
