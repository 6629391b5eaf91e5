import { defineEventType, field, text } from './define.ts';
import { CHANGED, CUSTOMER_FACTS, OBSERVATION, SUBJECT } from './fields.ts';

export const customerUpdated = defineEventType({
  type: 'customer.updated',
  kind: 'poll',
  extended: false,
  record: 'CustomerUpdated',
  doc: 'A customer record changed; activity stamps count.',
  fields: [
    ...SUBJECT,
    field('customer_id', text, 'Id of the customer.'),
    ...OBSERVATION,
    ...CHANGED,
    ...CUSTOMER_FACTS,
  ],
});
