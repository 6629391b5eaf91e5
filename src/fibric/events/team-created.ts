import { defineEventType, field, text } from './define.ts';
import { OBSERVATION, SUBJECT, TEAM_FACTS } from './fields.ts';

export const teamCreated = defineEventType({
  type: 'team.created',
  kind: 'webhook',
  extended: true,
  record: 'TeamCreated',
  doc: 'A new team.',
  fields: [...SUBJECT, field('team_id', text, 'Id of the team.'), ...OBSERVATION, ...TEAM_FACTS],
});
