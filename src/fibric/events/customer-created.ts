import { defineEventType, field, text } from './define.ts';
import { CUSTOMER_FACTS, OBSERVATION, SUBJECT } from './fields.ts';

export const customerCreated = defineEventType({
  type: 'customer.created',
  kind: 'webhook',
  extended: true,
  record: 'CustomerCreated',
  doc: 'A new customer record.',
  fields: [...SUBJECT, field('customer_id', text, 'Id of the customer.'), ...OBSERVATION, ...CUSTOMER_FACTS],
});
