/** Messages: list, get, record. Recording a message sends nothing; an inbound one reopens its conversation. */
import { z } from 'zod';
import { relatedTo } from '../model/removals.ts';
import type { Attributes, Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import { conversationOf, writableConversation } from './conversations.ts';
import { custom, direction, externalId, objectId, time } from './fields.ts';
import { documentOf, pageOfResources } from './paging.ts';
import {
  type ApiAnswer,
  type ApiRequest,
  badParameter,
  byExternalId,
  caller,
  chosenId,
  countCreate,
  liveIn,
  parseBody,
  type Route,
} from './route.ts';

const CHANNELS = [
  'email',
  'sms',
  'chat',
  'facebook',
  'twitter-dm',
  'twitter-tweet',
  'voice',
  'instagram',
  'whatsapp',
] as const;

const status = z.enum(['sent', 'received', 'error']);

/** Kept as given, and there only when given. */
const recorded = {
  error: custom.optional(),
  errorAt: time.optional(),
  attachments: z.array(custom).optional(),
  related: objectId.optional(),
  queue: objectId.optional(),
  lang: z.string().optional(),
  importedAt: time.optional(),
};

const createBody = z.strictObject({
  channel: z.enum(CHANNELS),
  app: z.string().min(1),
  direction,
  externalId: externalId.optional(),
  preview: z.string().max(10_240).default(''),
  subject: z.string().max(256).optional(),
  status: status.optional(),
  sentAt: time.optional(),
  auto: z.boolean().optional(),
  meta: custom.optional(),
  custom: custom.optional(),
  customer: objectId.optional(),
  conversation: objectId.optional(),
  id: objectId.optional(),
  ...recorded,
});

const updateBody = z.strictObject({
  externalId: externalId.optional(),
  preview: z.string().max(10_240).optional(),
  subject: z.string().max(256).optional(),
  status: status.optional(),
  error: custom.optional(),
  errorAt: time.optional(),
  sentAt: time.optional(),
  size: z.int().min(0).optional(),
  meta: custom.optional(),
  custom: custom.optional(),
  lang: z.string().optional(),
  conversation: objectId.optional(),
  attachments: z.array(custom).optional(),
  related: objectId.optional(),
});

function messageOf(org: Org, id: string | undefined): Resource {
  return liveIn(org.organisation.messages, id);
}

/** `conversation` from the path wins over the body's; a customer without a conversation gets a new one. */
function create(request: ApiRequest): ApiAnswer {
  const { org, params, body, nowMs } = request;
  const { customer, conversation, id: givenId, ...parsed } = parseBody(createBody, body);
  const { error, errorAt, attachments, related, queue, lang, importedAt, ...seed } = parsed;
  const intoId = params['id'] ?? conversation;
  if (intoId === undefined && customer === undefined)
    throw badParameter('A customer or conversation is needed', 'customer');
  const into = intoId === undefined ? undefined : writableConversation(org, intoId);
  const customerId = into?.relationships['customer']?.data?.id ?? liveIn(org.organisation.customers, customer).id;
  const id = chosenId(request, org.organisation.messages, givenId);
  if (typeof id === 'object') return documentOf(id, 201);
  countCreate(request, customerId, importedAt);
  const opened =
    into === undefined
      ? org.organisation.createConversation(
          nowMs,
          { customerId, channel: seed.channel, direction: seed.direction },
          caller(org),
        )
      : [];
  const conversationId = into?.id ?? (opened.find((event) => event.type === 'conversation')?.id as string);
  const more = defined({ error, errorAt, attachments, related, queue, lang, importedAt });
  const made = { ...seed, more, ...(id === undefined ? {} : { id }) };
  const events = org.organisation.createMessage(nowMs, conversationId, made, caller(org));
  org.publish([...opened, ...events], nowMs);
  return documentOf(messageOf(org, events[0]?.id), 201);
}

function update({ org, params, body, nowMs }: ApiRequest): ApiAnswer {
  const before = messageOf(org, params['id']);
  const { conversation: _, ...edit } = parseBody(updateBody, body);
  const merged =
    edit.meta !== undefined && org.behaviour.messageMeta === 'merge'
      ? { ...edit, meta: { ...(before.attributes['meta'] as Attributes), ...edit.meta } }
      : edit;
  org.publish(org.organisation.edit('message', nowMs, before.id, defined(merged), caller(org)), nowMs);
  return documentOf(messageOf(org, before.id));
}

function defined(attributes: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

export const messageRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/messages',
    handle: (request) => pageOfResources(request, request.org.organisation.messages.values(), { sortable: true }),
  },
  { method: 'POST', path: '/v1/messages', handle: create },
  { method: 'GET', path: '/v1/messages/:id', handle: ({ org, params }) => documentOf(messageOf(org, params['id'])) },
  ...['externalId', 'externalid'].map(
    (key): Route => ({
      method: 'GET',
      path: `/v1/messages/${key}=:externalId`,
      handle: ({ org, params }) => documentOf(byExternalId(org.organisation.messages, params['externalId'])),
    }),
  ),
  {
    method: 'GET',
    path: '/v1/customers/:id/messages',
    handle: (request) => {
      const { id } = liveIn(request.org.organisation.customers, request.params['id']);
      return pageOfResources(request, relatedTo(request.org.organisation.messages, 'customer', id));
    },
  },
  { method: 'PATCH', path: '/v1/messages/:id', handle: update },
  { method: 'PUT', path: '/v1/messages/:id', handle: update },
  {
    method: 'GET',
    path: '/v1/conversations/:id/messages',
    handle: (request) => {
      const { id } = conversationOf(request.org, request.params['id']);
      const theirs = relatedTo(request.org.organisation.messages, 'conversation', id);
      return pageOfResources(request, theirs);
    },
  },
  { method: 'POST', path: '/v1/conversations/:id/messages', handle: create },
];
