/** Messages: list, get, record. Recording a message sends nothing; an inbound one reopens its conversation. */
import { z } from 'zod';
import type { Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import { conversationOf } from './conversations.ts';
import { custom, direction, externalId, objectId, time } from './fields.ts';
import { documentOf, pageOfResources } from './paging.ts';
import { type ApiAnswer, type ApiRequest, badParameter, caller, notFound, parseBody, type Route } from './route.ts';

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
});

function messageOf(org: Org, id: string | undefined): Resource {
  const message = org.organisation.messages.get(id ?? '');
  if (message === undefined) throw notFound();
  return message;
}

/** `conversation` from the path wins over the body's; a customer without a conversation gets a new one. */
function create({ org, params, body, nowMs }: ApiRequest): ApiAnswer {
  const { customer, conversation, ...seed } = parseBody(createBody, body);
  const intoId = params['id'] ?? conversation;
  if (intoId === undefined && customer === undefined)
    throw badParameter('A customer or conversation is needed', 'customer');
  if (intoId === undefined && org.organisation.customers.get(customer as string) === undefined)
    throw notFound('customer');
  const opened =
    intoId === undefined
      ? org.organisation.createConversation(
          nowMs,
          { customerId: customer as string, channel: seed.channel, direction: seed.direction },
          caller(org),
        )
      : [];
  const conversationId = intoId ?? (opened.find((event) => event.type === 'conversation')?.id as string);
  conversationOf(org, conversationId);
  const events = org.organisation.createMessage(nowMs, conversationId, seed, caller(org));
  org.publish([...opened, ...events], nowMs);
  return documentOf(messageOf(org, events[0]?.id), 201);
}

function update({ org, params, body, nowMs }: ApiRequest): ApiAnswer {
  const { id } = messageOf(org, params['id']);
  const edit = parseBody(updateBody, body);
  org.publish(org.organisation.edit('message', nowMs, id, edit, caller(org)), nowMs);
  return documentOf(messageOf(org, id));
}

export const messageRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/messages',
    handle: (request) => pageOfResources(request, request.org.organisation.messages.values()),
  },
  { method: 'POST', path: '/v1/messages', handle: create },
  { method: 'GET', path: '/v1/messages/:id', handle: ({ org, params }) => documentOf(messageOf(org, params['id'])) },
  { method: 'PATCH', path: '/v1/messages/:id', handle: update },
  { method: 'PUT', path: '/v1/messages/:id', handle: update },
  {
    method: 'GET',
    path: '/v1/conversations/:id/messages',
    handle: (request) => {
      const { id } = conversationOf(request.org, request.params['id']);
      const theirs = [...request.org.organisation.messages.values()].filter(
        (message) => message.relationships['conversation']?.data?.id === id,
      );
      return pageOfResources(request, theirs);
    },
  },
  { method: 'POST', path: '/v1/conversations/:id/messages', handle: create },
];
