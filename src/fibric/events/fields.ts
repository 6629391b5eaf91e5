/** Fields that several event types share. Ids first, snake_case, real values or null. */
import { double, field, flag, long, nullable, record, scalars, text, texts } from './define.ts';

/** Which resource it is about: the first fields of every payload. */
export const SUBJECT = [
  field('resource_type', text, 'conversation, message, customer, user, team or tag.'),
  field('resource_id', text, "Kustomer's id of the resource that changed."),
  field(
    'entity',
    text,
    'Entity key, also the record key: conversation:<id> (for messages the conversation where known), customer:<id>, …',
  ),
] as const;

const actor = record('Actor', 'Who made the change, as far as Kustomer says.', [
  field('id', nullable(text), 'Id of the user or customer; null for system changes and where it is not known.'),
  field('type', nullable(text), 'user, customer, …'),
  field('client', nullable(text), 'The client Kustomer names: api-gw, routing-api, workflow, ….'),
] as const);

/** When and how it was observed, and by whom it was made: after the ids of every payload. */
export const OBSERVATION = [
  field('revision', nullable(long), 'Revision of the resource this change led to; +1 per change, per resource.'),
  field('occurred_at', nullable(text), 'When the change happened at Kustomer, RFC 3339.'),
  field('observed_via', text, 'webhook, poll, backfill or replay.'),
  field('late', flag, 'True when a later revision of the resource was processed before this one.'),
  field('actor', nullable(actor), 'Who made the change.'),
  field(
    'echo',
    nullable(flag),
    "True when the actor is this connection's own machine user, false when it is someone else, null when unknown.",
  ),
] as const;

export const CONVERSATION_IDS = [
  field('conversation_id', text, 'Id of the conversation.'),
  field('customer_id', nullable(text), 'Customer the conversation belongs to now; merges move it.'),
] as const;

/** Facts of a conversation as the snapshot that came with the change shows them; it may be newer than the change. */
export const CONVERSATION_FACTS = [
  field('external_id', nullable(text), "The organisation's own id; null where empty."),
  field('name', nullable(text), 'Title, often with the order number.'),
  field('channels', nullable(texts), 'email, chat, voice, … in use; open-ended.'),
  field('direction', nullable(text), 'in or out: who began it.'),
  field('priority', nullable(long), '1 to 5.'),
  field('assigned_users', nullable(texts), 'User ids; empty = nobody.'),
  field('assigned_teams', nullable(texts), 'Team ids.'),
  field('tags', nullable(texts), 'Tag ids.'),
  field('queue_id', nullable(text), 'Routing queue.'),
  field('brand_id', nullable(text), 'Brand.'),
  field('reopen_count', nullable(long), 'How often it was reopened; null until Kustomer has counted one.'),
  field('message_count', nullable(long), 'Messages so far.'),
  field('created_at', nullable(text), 'RFC 3339.'),
  field('updated_at', nullable(text), 'RFC 3339; moves with every change, also by the system.'),
  field('last_activity_at', nullable(text), 'RFC 3339.'),
  field('last_message_at', nullable(text), 'RFC 3339.'),
  field('custom', nullable(scalars), "Scalar custom attributes by Kustomer's name (orderNumberStr, …); null = none."),
] as const;

/** The answer to a satisfaction survey as the conversation shows it. */
export const satisfaction = record('Satisfaction', 'Answer to a satisfaction survey.', [
  field('response_id', nullable(text), 'Id of the survey response.'),
  field('form_id', nullable(text), 'Id of the survey.'),
  field('status', text, 'rated or commented.'),
  field('score', nullable(double), '0 or 1.'),
  field('rating', nullable(double), '0 to 10.'),
  field('channel', nullable(text), 'Channel the survey went out on.'),
  field('sent_by', nullable(text), 'User the survey was sent for.'),
  field('sent_by_teams', nullable(texts), 'Teams of that user.'),
  field('sent_at', nullable(text), 'RFC 3339.'),
  field('created_at', nullable(text), 'RFC 3339.'),
  field('updated_at', nullable(text), 'RFC 3339; part of the identity of the answer.'),
] as const);

export const MESSAGE_IDS = [
  field('message_id', text, 'Id of the message.'),
  field('conversation_id', nullable(text), 'Conversation it belongs to, where known.'),
  field('customer_id', nullable(text), 'Customer it was exchanged with.'),
] as const;

export const MESSAGE_FACTS = [
  field('external_id', nullable(text), "The channel's own id of the message."),
  field('channel', nullable(text), 'email, sms, chat, voice, …; open-ended.'),
  field('app', nullable(text), 'The app that recorded it.'),
  field('direction', nullable(text), 'in or out.'),
  field('direction_type', nullable(text), 'initial-in, followup-out, response-out, ….'),
  field('status', nullable(text), 'Delivery state: sent, received or error.'),
  field('subject', nullable(text), 'Subject line.'),
  field('preview', nullable(text), 'Text of the message as Kustomer previews it, at most 10,240 characters.'),
  field('auto', nullable(flag), 'True for messages no person wrote.'),
  field('assigned_users', nullable(texts), 'User ids.'),
  field('assigned_teams', nullable(texts), 'Team ids.'),
  field('sent_at', nullable(text), 'RFC 3339.'),
  field('created_at', nullable(text), 'RFC 3339.'),
  field('updated_at', nullable(text), 'RFC 3339.'),
  field('custom', nullable(scalars), 'Scalar custom attributes; null = none.'),
] as const;

export const CUSTOMER_FACTS = [
  field('external_id', nullable(text), "The organisation's own id of the customer."),
  field('name', nullable(text), 'Name as shown.'),
  field('emails', nullable(texts), 'Addresses, in the order Kustomer lists them.'),
  field('phones', nullable(texts), 'Numbers, in the order Kustomer lists them.'),
  field('company_id', nullable(text), 'Company.'),
  field('tags', nullable(texts), 'Tag ids.'),
  field('verified', nullable(flag), 'Identity verified.'),
  field('created_at', nullable(text), 'RFC 3339.'),
  field('updated_at', nullable(text), 'RFC 3339.'),
  field('last_activity_at', nullable(text), 'RFC 3339.'),
  field('last_conversation_id', nullable(text), 'Latest conversation.'),
  field('custom', nullable(scalars), 'Scalar custom attributes; null = none.'),
] as const;

/** What a customer record itself says of earlier contact. */
export const contactHistory = record(
  'ContactHistory',
  'Earlier contact with a customer, as the customer record counts it.',
  [
    field('conversations_open', nullable(long), 'Open conversations.'),
    field('conversations_snoozed', nullable(long), 'Snoozed conversations.'),
    field('conversations_done', nullable(long), 'Conversations that are done.'),
    field('conversations_all', nullable(long), 'All conversations.'),
    field('last_conversation_id', nullable(text), 'Latest conversation.'),
    field('last_activity_at', nullable(text), 'RFC 3339; by whomever.'),
    field('last_customer_activity_at', nullable(text), 'RFC 3339; by the customer.'),
    field('first_satisfaction', nullable(double), 'Score of the first answer to a satisfaction survey.'),
    field('last_satisfaction', nullable(double), 'Score of the latest answer.'),
  ] as const,
);

/** An order: a custom object, so all but its ids, title and times depends on how the organisation named its attributes. */
export const order = record('Order', "A customer's order, a custom object of the connection's order klass.", [
  field('order_id', text, "Kustomer's id of the custom object."),
  field('external_id', nullable(text), "The shop's own id."),
  field('title', nullable(text), 'Title.'),
  field('number', nullable(text), 'Custom attribute number, orderNumber or orderName, whatever its type suffix.'),
  field('status', nullable(text), 'Custom attribute status or orderStatus.'),
  field(
    'total',
    nullable(double),
    'Custom attribute total, totalPrice, orderTotal or amount; in the unit of the shop.',
  ),
  field('currency', nullable(text), 'Custom attribute currency or currencyCode.'),
  field('created_at', nullable(text), 'RFC 3339.'),
  field('updated_at', nullable(text), 'RFC 3339.'),
  field(
    'custom',
    nullable(scalars),
    "Scalar custom attributes by Kustomer's name, those above among them; null = none.",
  ),
] as const);

/** Users, teams and tags: what an id in another event stands for. */
export const DIRECTORY_FACTS = [
  field('name', nullable(text), 'Name.'),
  field('created_at', nullable(text), 'RFC 3339.'),
  field('updated_at', nullable(text), 'RFC 3339.'),
  field('deleted', nullable(flag), 'True once deleted.'),
] as const;

export const USER_FACTS = [
  ...DIRECTORY_FACTS,
  field('display_name', nullable(text), 'Name customers see.'),
  field('email', nullable(text), 'Address.'),
  field('user_type', nullable(text), 'user, machine or limited.'),
  field('teams', nullable(texts), 'Team ids.'),
] as const;

export const TEAM_FACTS = [...DIRECTORY_FACTS, field('members', nullable(texts), 'User ids.')] as const;

export const TAG_FACTS = [...DIRECTORY_FACTS, field('color', nullable(text), 'Colour.')] as const;

/** What an update touched. Null when Kustomer did not say (a polled record, or changes missing). */
export const CHANGED = [
  field('changed_attributes', nullable(texts), "Kustomer's names of the attributes that changed."),
  field('changed_relationships', nullable(texts), "Kustomer's names of the relationships that changed."),
] as const;
