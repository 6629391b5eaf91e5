import { z } from 'zod';
import { field, text } from '../events/define.ts';
import { defineCommandType } from './define.ts';
import { conversationId, prose } from './values.ts';

/** Kustomer takes no longer note. */
export const MAX_NOTE_LENGTH = 10_240;

export const noteWrite = defineCommandType({
  capability: 'conversation.note.write',
  record: 'NoteWrite',
  doc: 'Adds an internal note to a conversation, once.',
  fields: [
    field('conversation_id', text, 'Id of the conversation.'),
    field('body', text, 'Text of the note, 1 to 10,240 characters.'),
  ],
  schema: z.strictObject({ conversation_id: conversationId, body: prose(MAX_NOTE_LENGTH) }),
  entityKey: ({ conversation_id }) => `conversation:${conversation_id}`,
  laneKey: ({ conversation_id }) => conversation_id,
});
