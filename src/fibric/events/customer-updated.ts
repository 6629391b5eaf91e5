import { defineEventType, field, flag, list, nullable, text } from './define.ts';
import { CHANGED, CUSTOMER_FACTS, contactHistory, OBSERVATION, order, SUBJECT } from './fields.ts';

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
    field('contact_history', nullable(contactHistory), 'What the customer has had to do with the organisation so far.'),
    field(
      'orders',
      nullable(list(order)),
      'Newest first, at most 20; null where orders_state says that there are none to show.',
    ),
    field(
      'orders_state',
      nullable(text),
      'complete; truncated (there are more); forbidden (the API key may not read them); unavailable (Kustomer did not give them); skipped (no request budget in time). Null = not asked for.',
    ),
    field('deleted', nullable(flag), 'True once the customer is deleted, as the source of a merge is.'),
  ],
});
