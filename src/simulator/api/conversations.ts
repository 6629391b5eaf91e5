/** Conversations: list, get, create, change. PUT behaves as PATCH, as it does at the vendor without `replace`. */
import { z } from 'zod';
import type { Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import { custom, direction, externalId, name, objectId, objectIds, time } from './fields.ts';
import { documentOf, pageOfResources } from './paging.ts';
import { type ApiRequest, badParameter, caller, checkRevision, notFound, parseBody, type Route } from './route.ts';

const createBody = z.strictObject({
  customer: objectId,
  externalId: externalId.optional(),
  name: name.optional(),
  status: z.enum(['open', 'done']).optional(),
  priority: z.int().min(1).max(5).optional(),
  direction: direction.optional(),
  tags: objectIds(20).optional(),
  assignedUsers: objectIds(10).optional(),
  assignedTeams: objectIds(10).optional(),
  defaultLang: z.string().optional(),
  custom: custom.optional(),
});

const updateBody = z.strictObject({
  externalId: externalId.optional(),
  name: name.optional(),
  direction: direction.optional(),
  priority: z.int().min(1).max(5).optional(),
  satisfaction: z.number().min(-1).max(1).optional(),
  satisfactionLevel: custom.optional(),
  status: z.enum(['open', 'snoozed', 'done']).optional(),
  snooze: z.strictObject({ time, status: z.enum(['scheduled', 'canceled', 'elapsed']).optional() }).optional(),
  tags: objectIds(20).optional(),
  assignedUsers: objectIds(10).optional(),
  assignedTeams: objectIds(10).optional(),
  defaultLang: z.string().optional(),
  custom: custom.optional(),
  /** Optimistic lock: the revision the caller last saw. */
  rev: z.int().optional(),
});

const moveBody = z.strictObject({ customer: objectId });

export function conversationOf(org: Org, id: string | undefined): Resource {
  const conversation = org.organisation.conversations.get(id ?? '');
  if (conversation === undefined) throw notFound();
  return conversation;
}

function update({ org, params, body, nowMs }: ApiRequest): ReturnType<Route['handle']> {
  const before = conversationOf(org, params['id']);
  // Moving to another customer is a body of its own.
  if (moveBody.safeParse(body).success) {
    const { customer } = parseBody(moveBody, body);
    if (org.organisation.customers.get(customer) === undefined) throw notFound('customer');
    org.publish(org.organisation.moveConversation(nowMs, before.id, customer, caller(org)), nowMs);
    return documentOf(conversationOf(org, before.id));
  }
  const { rev, ...edit } = parseBody(updateBody, body);
  checkRevision(before, rev);
  if (edit.status === 'snoozed' && edit.snooze === undefined) {
    throw badParameter('A snooze needs a time', 'snooze');
  }
  org.publish(org.organisation.editConversation(nowMs, before.id, edit, caller(org)), nowMs);
  return documentOf(conversationOf(org, before.id));
}

export const conversationRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/conversations',
    handle: (request) => pageOfResources(request, request.org.organisation.conversations.values()),
  },
  {
    method: 'POST',
    path: '/v1/conversations',
    handle: ({ org, body, nowMs }) => {
      const { customer, ...seed } = parseBody(createBody, body);
      if (org.organisation.customers.get(customer) === undefined) throw notFound('customer');
      const events = org.organisation.createConversation(nowMs, { ...seed, customerId: customer }, caller(org));
      org.publish(events, nowMs);
      const created = events.find((event) => event.type === 'conversation');
      return documentOf(conversationOf(org, created?.id), 201);
    },
  },
  {
    method: 'GET',
    path: '/v1/conversations/:id',
    handle: ({ org, params }) => documentOf(conversationOf(org, params['id'])),
  },
  { method: 'PATCH', path: '/v1/conversations/:id', handle: update },
  { method: 'PUT', path: '/v1/conversations/:id', handle: update },
  {
    method: 'GET',
    path: '/v1/customers/:id/conversations',
    handle: (request) => {
      const { org, params } = request;
      if (org.organisation.customers.get(params['id'] as string) === undefined) throw notFound();
      const theirs = [...org.organisation.conversations.values()].filter(
        (conversation) => conversation.relationships['customer']?.data?.id === params['id'],
      );
      return pageOfResources(request, theirs);
    },
  },
];
