import { defineEventType, field, text } from './define.ts';
import { OBSERVATION, SUBJECT, TAG_FACTS } from './fields.ts';

export const tagCreated = defineEventType({
  type: 'tag.created',
  kind: 'webhook',
  extended: true,
  record: 'TagCreated',
  doc: 'A new tag.',
  fields: [...SUBJECT, field('tag_id', text, 'Id of the tag.'), ...OBSERVATION, ...TAG_FACTS],
});
