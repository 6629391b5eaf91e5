import { defineEventType, field, text } from './define.ts';
import { CHANGED, OBSERVATION, SUBJECT, TAG_FACTS } from './fields.ts';

export const tagUpdated = defineEventType({
  type: 'tag.updated',
  kind: 'webhook',
  extended: true,
  record: 'TagUpdated',
  doc: 'A tag changed.',
  fields: [...SUBJECT, field('tag_id', text, 'Id of the tag.'), ...OBSERVATION, ...CHANGED, ...TAG_FACTS],
});
