import { defineEventType, field, text } from './define.ts';
import { OBSERVATION, SUBJECT, USER_FACTS } from './fields.ts';

export const userCreated = defineEventType({
  type: 'user.created',
  kind: 'webhook',
  extended: true,
  record: 'UserCreated',
  doc: 'A new user.',
  fields: [...SUBJECT, field('user_id', text, 'Id of the user.'), ...OBSERVATION, ...USER_FACTS],
});
