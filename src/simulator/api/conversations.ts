/** Conversations: list, get, create, change, delete. PUT behaves as PATCH, as it does at the vendor without `replace`. */
import { z } from 'zod';
import { snapshotOf } from '../model/event.ts';
import { isDeleted } from '../model/organisation.ts';
import { markDeleted, relatedTo } from '../model/removals.ts';
import type { Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import { custom, direction, externalId, name, objectId, objectIds, time } from './fields.ts';
import { documentOf, pageOfResources } from './paging.ts';
import {
  type ApiAnswer,
  type ApiRequest,
  badParameter,
  byExternalId,
  caller,
  checkRevision,
  chosenId,
  countCreate,
  liveIn,
  notFound,
  parseBody,
  type Route,
} from './route.ts';

const createFields = {
  id: objectId.optional(),
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
  replyChannel: z.string().optional(),
  queue: objectId.optional(),
  importedAt: time.optional(),
};
const createBody = z.strictObject({ ...createFields, customer: objectId });
const createForBody = z.strictObject({ ...createFields, customer: objectId.optional() });

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
  subStatus: z.string().optional(),
  replyChannel: z.string().optional(),
  queue: objectId.optional(),
  locked: z.boolean().optional(),
  ended: z.boolean().optional(),
  endedAt: time.optional(),
  endedReason: z.string().max(128).optional(),
  endedBy: objectId.optional(),
  endedByType: z.enum(['user', 'customer']).optional(),
  deleted: z.boolean().optional(),
  /** Optimistic lock: the revision the caller last saw. */
  rev: z.int().optional(),
});

const moveBody = z.strictObject({ customer: objectId });

export function conversationOf(org: Org, id: string | undefined): Resource {
  return liveIn(org.organisation.conversations, id);
}

/** One that can be written to: a conversation merged into another may be gone for writers. */
export function writableConversation(org: Org, id: string | undefined): Resource {
  const conversation = conversationOf(org, id);
  if (conversation.attributes['mergedTarget'] !== undefined && org.behaviour.mergedWrites === 'notfound') {
    throw notFound();
  }
  return conversation;
}

function create(request: ApiRequest): ApiAnswer {
  const { org, params, body, nowMs } = request;
  const parsed: z.infer<typeof createForBody> = parseBody(
    params['id'] === undefined ? createBody : createForBody,
    body,
  );
  const { customer: named, id: givenId, importedAt, replyChannel, queue, ...seed } = parsed;
  const customer = liveCustomer(org, params['id'] ?? named);
  const id = chosenId(request, org.organisation.conversations, givenId);
  if (typeof id === 'object') return documentOf(id, 201);
  countCreate(request, customer.id, importedAt);
  const more = Object.fromEntries(
    Object.entries({ importedAt, replyChannel, queue }).filter(([, value]) => value !== undefined),
  );
  const made = { ...seed, more, customerId: customer.id, ...(id === undefined ? {} : { id }) };
  const events = org.organisation.createConversation(nowMs, made, caller(org));
  org.publish(events, nowMs);
  const created = events.find((event) => event.type === 'conversation');
  return documentOf(conversationOf(org, created?.id), 201);
}

function liveCustomer(org: Org, id: string | undefined): Resource {
  const customer = org.organisation.customers.get(id ?? '');
  if (customer === undefined || isDeleted(customer)) throw notFound('customer');
  return customer;
}

function update({ org, params, body, nowMs }: ApiRequest): ApiAnswer {
  const before = writableConversation(org, params['id']);
  // Moving to another customer is a body of its own.
  if (moveBody.safeParse(body).success) {
    const { customer } = parseBody(moveBody, body);
    org.publish(
      org.organisation.moveConversation(nowMs, before.id, liveCustomer(org, customer).id, caller(org)),
      nowMs,
    );
    return documentOf(conversationOf(org, before.id));
  }
  const { rev, deleted, ...edit } = parseBody(updateBody, body);
  checkRevision(before, rev);
  if (edit.status === 'snoozed' && edit.snooze === undefined) {
    throw badParameter('A snooze needs a time', 'snooze');
  }
  org.publish(org.organisation.editConversation(nowMs, before.id, edit, caller(org)), nowMs);
  const after = conversationOf(org, before.id);
  if (deleted !== true) return documentOf(after);
  markDeleted(org.organisation, org.organisation.conversations, nowMs, after, caller(org));
  return documentOf(org.organisation.conversations.get(before.id) as Resource);
}

/** One id, or several between commas: the unknown ones of several are left out. */
function get({ org, params }: ApiRequest): ApiAnswer {
  const ids = (params['id'] ?? '').split(',');
  if (ids.length === 1) return documentOf(conversationOf(org, ids[0]));
  const { conversations } = org.organisation;
  const found = ids.flatMap((id) => conversations.get(id) ?? []).filter((conversation) => !isDeleted(conversation));
  return { status: 200, body: { data: found.map(snapshotOf) } };
}

const live = (resources: Iterable<Resource>): readonly Resource[] =>
  [...resources].filter((resource) => !isDeleted(resource));

export const conversationRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/conversations',
    handle: (request) =>
      pageOfResources(request, live(request.org.organisation.conversations.values()), { sortable: true }),
  },
  { method: 'POST', path: '/v1/conversations', handle: create },
  { method: 'GET', path: '/v1/conversations/:id', handle: get },
  {
    method: 'GET',
    path: '/v1/conversations/externalId=:externalId',
    handle: ({ org, params }) => documentOf(byExternalId(org.organisation.conversations, params['externalId'])),
  },
  { method: 'PATCH', path: '/v1/conversations/:id', handle: update },
  { method: 'PUT', path: '/v1/conversations/:id', handle: update },
  {
    method: 'DELETE',
    path: '/v1/conversations/:id',
    handle: ({ org, params, nowMs }) => {
      const conversation = conversationOf(org, params['id']);
      markDeleted(org.organisation, org.organisation.conversations, nowMs, conversation, caller(org));
      return { status: 204 };
    },
  },
  {
    method: 'GET',
    path: '/v1/customers/:id/conversations',
    handle: (request) => {
      const { org, params } = request;
      const { id } = liveIn(org.organisation.customers, params['id']);
      return pageOfResources(request, live(relatedTo(org.organisation.conversations, 'customer', id)));
    },
  },
  { method: 'POST', path: '/v1/customers/:id/conversations', handle: create },
];
