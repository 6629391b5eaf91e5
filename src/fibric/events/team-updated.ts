import { defineEventType, field, text } from './define.ts';
import { CHANGED, OBSERVATION, SUBJECT, TEAM_FACTS } from './fields.ts';

export const teamUpdated = defineEventType({
  type: 'team.updated',
  kind: 'webhook',
  extended: true,
  record: 'TeamUpdated',
  doc: 'A team changed.',
  fields: [...SUBJECT, field('team_id', text, 'Id of the team.'), ...OBSERVATION, ...CHANGED, ...TEAM_FACTS],
});
