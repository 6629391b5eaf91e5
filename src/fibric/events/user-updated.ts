import { defineEventType, field, text } from './define.ts';
import { CHANGED, OBSERVATION, SUBJECT, USER_FACTS } from './fields.ts';

export const userUpdated = defineEventType({
  type: 'user.updated',
  kind: 'webhook',
  extended: true,
  record: 'UserUpdated',
  doc: 'A user changed.',
  fields: [...SUBJECT, field('user_id', text, 'Id of the user.'), ...OBSERVATION, ...CHANGED, ...USER_FACTS],
});
