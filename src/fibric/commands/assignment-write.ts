import { z } from 'zod';
import { field, nullable, text, texts } from '../events/define.ts';
import { defineCommandType } from './define.ts';
import { conversationId, distinct, objectId } from './values.ts';

/** Kustomer takes no more users, and no more teams, on a conversation. */
export const MAX_ASSIGNEES = 10;

export const ASSIGNMENT_MODES = ['set', 'add', 'remove'] as const;

const assignees = distinct(objectId, MAX_ASSIGNEES).nullable().default(null);

export const assignmentWrite = defineCommandType({
  capability: 'conversation.assignment.write',
  record: 'AssignmentWrite',
  doc: 'Changes who a conversation is assigned to.',
  fields: [
    field('conversation_id', text, 'Id of the conversation.'),
    field('users', nullable(texts), 'User ids, at most 10; null leaves the users alone.'),
    field('teams', nullable(texts), 'Team ids, at most 10; null leaves the teams alone.'),
    field('mode', text, 'set (an empty list unassigns everybody), add or remove.'),
  ],
  schema: z
    .strictObject({
      conversation_id: conversationId,
      users: assignees,
      teams: assignees,
      mode: z.enum(ASSIGNMENT_MODES, 'is not set, add or remove'),
    })
    .refine(({ users, teams }) => users !== null || teams !== null, {
      path: ['users'],
      message: 'is missing, and so is teams: one of them is needed',
    })
    .refine(({ mode, users, teams }) => mode === 'set' || (users ?? []).length + (teams ?? []).length > 0, {
      path: ['users'],
      message: 'is empty, and so is teams: there is nobody to add or remove',
    }),
  entityKey: ({ conversation_id }) => `conversation:${conversation_id}`,
  laneKey: ({ conversation_id }) => conversation_id,
});
