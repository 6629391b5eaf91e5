import { z } from 'zod';
import { field, nullable, text } from '../events/define.ts';
import { defineCommandType } from './define.ts';
import { callId, conversationId, instant, line, link, objectId, phone } from './values.ts';

export const CALL_STATES = ['ringing', 'in_progress', 'completed', 'missed', 'voicemail'] as const;
export type CallState = (typeof CALL_STATES)[number];

const optional = <T extends z.ZodType>(schema: T) => schema.nullable().default(null);

/**
 * The entity is the call; the lane is its conversation where it has one, so that it waits its turn among the other writes to
 * it. A voice platform names the conversation in all commands of a call or in none: of one call in two lanes, two commands
 * could be at work at the same time.
 */
export const callStatusWrite = defineCommandType({
  capability: 'call.status.write',
  record: 'CallStatusWrite',
  doc: "Keeps one voice message per call on the customer's timeline. The state never moves backwards.",
  fields: [
    field('call_id', text, "The voice platform's id of the call; the external id of the message."),
    field('phone', nullable(text), "The customer's number, E.164. This or customer_id is needed."),
    field('customer_id', nullable(text), "Kustomer's id of the customer."),
    field(
      'conversation_id',
      nullable(text),
      'Conversation the call belongs to, in all commands of a call or in none; null makes a new conversation.',
    ),
    field('state', text, 'ringing, in_progress, completed, missed or voicemail.'),
    field('direction', text, 'in or out.'),
    field('from', nullable(text), 'Who called.'),
    field('to', nullable(text), 'Who was called.'),
    field('placed_at', nullable(text), 'When it began to ring, RFC 3339.'),
    field('answered_at', nullable(text), 'When it was answered, RFC 3339.'),
    field('ended_at', nullable(text), 'When it ended, RFC 3339.'),
    field('recording_url', nullable(text), 'Where the recording is, https.'),
  ],
  schema: z
    .strictObject({
      call_id: callId,
      phone: optional(phone),
      customer_id: optional(objectId),
      conversation_id: optional(conversationId),
      state: z.enum(CALL_STATES, `is not ${CALL_STATES.join(', ')}`),
      direction: z.enum(['in', 'out'], 'is not in or out'),
      from: optional(line),
      to: optional(line),
      placed_at: optional(instant),
      answered_at: optional(instant),
      ended_at: optional(instant),
      recording_url: optional(link),
    })
    .refine((args) => args.phone !== null || args.customer_id !== null, {
      path: ['phone'],
      message: 'is missing, and so is customer_id: one of them is needed',
    }),
  entityKey: ({ call_id }) => `call:${call_id}`,
  laneKey: ({ call_id, conversation_id }) => conversation_id ?? `call:${call_id}`,
});
