/** Customers: list, get, find by address, create, change, delete. */
import { z } from 'zod';
import { snapshotOf } from '../model/event.ts';
import { isDeleted } from '../model/organisation.ts';
import { markDeleted } from '../model/removals.ts';
import type { Attributes, Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import { custom, externalId, name, objectIds } from './fields.ts';
import { pageOf } from './paging.ts';
import {
  type ApiAnswer,
  type ApiRequest,
  caller,
  checkRevision,
  liveIn,
  notFound,
  parseBody,
  type Route,
} from './route.ts';

const kind = z.enum(['home', 'work', 'mobile', 'fax', 'other']);
const email = z.strictObject({
  type: kind.default('home'),
  email: z.string().max(256),
  verified: z.boolean().default(false),
});
const phone = z.strictObject({
  type: kind.default('mobile'),
  phone: z.string().max(64),
  verified: z.boolean().default(false),
});

const fields = {
  name: name.optional(),
  externalId: externalId.optional(),
  username: z.string().max(256).optional(),
  emails: z.array(email).max(10).optional(),
  phones: z.array(phone).max(10).optional(),
  locale: z.string().optional(),
  gender: z.enum(['m', 'f']).optional(),
  tags: objectIds(20).optional(),
  custom: custom.optional(),
};
const createBody = z.strictObject(fields);
const updateBody = z.strictObject({ ...fields, rev: z.int().optional() });

function customerOf(org: Org, id: string | undefined): Resource {
  return liveIn(org.organisation.customers, id);
}

/** What the key may not read comes masked, not absent. */
export function showCustomer(org: Org, customer: Resource): unknown {
  const snapshot = snapshotOf(customer);
  if (org.access.masked.length === 0) return snapshot;
  const masked = Object.fromEntries(
    org.access.masked.map((key) => {
      const items = customer.attributes[key] as readonly Attributes[];
      return [key, items.map((item) => ({ ...item, [key.slice(0, -1)]: MASK }))];
    }),
  );
  return { ...snapshot, attributes: { ...snapshot.attributes, ...masked } };
}

const MASK = '**********';

function documentOf(org: Org, customer: Resource, status = 200): ApiAnswer {
  return { status, body: { data: showCustomer(org, customer) } };
}

/** Before the router decodes it: in this path the vendor takes a naked plus for a space. */
function keyIn(request: ApiRequest, prefix: string): string {
  const path = request.url.split('?')[0] as string;
  const raw = path.slice(path.indexOf(prefix) + prefix.length).replace(/\/$/, '');
  return decodeURIComponent(raw.replaceAll('+', ' '));
}

function find(request: ApiRequest, parameter: string, has: (customer: Resource, key: string) => boolean): ApiAnswer {
  const { org } = request;
  const key = keyIn(request, `/${parameter}=`);
  for (const customer of org.organisation.customers.values()) {
    if (!isDeleted(customer) && has(customer, key)) return documentOf(org, customer);
  }
  throw notFound(parameter);
}

const among = (list: string, key: string) => (customer: Resource, wanted: string) =>
  (customer.attributes[list] as readonly Attributes[]).some((item) => item[key] === wanted);

function update({ org, params, body, nowMs }: ApiRequest): ApiAnswer {
  const before = customerOf(org, params['id']);
  const { rev, ...edit } = parseBody(updateBody, body);
  checkRevision(before, rev);
  const renamed = edit.name === undefined ? {} : { displayName: edit.name };
  org.publish(org.organisation.edit('customer', nowMs, before.id, { ...edit, ...renamed }, caller(org)), nowMs);
  return documentOf(org, customerOf(org, before.id));
}

export const customerRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/customers',
    handle: (request) => {
      const { org } = request;
      const live = [...org.organisation.customers.values()].filter((customer) => !isDeleted(customer));
      return pageOf(request, live, (customer) => showCustomer(org, customer));
    },
  },
  {
    method: 'POST',
    path: '/v1/customers',
    handle: ({ org, body, nowMs }) => {
      const events = org.organisation.createCustomer(nowMs, parseBody(createBody, body), caller(org));
      org.publish(events, nowMs);
      return documentOf(org, customerOf(org, events[0]?.id), 201);
    },
  },
  {
    method: 'GET',
    path: '/v1/customers/:id',
    handle: ({ org, params }) => documentOf(org, customerOf(org, params['id'])),
  },
  {
    method: 'GET',
    path: '/v1/customers/email=:email',
    handle: (request) => find(request, 'email', among('emails', 'email')),
  },
  {
    method: 'GET',
    path: '/v1/customers/phone=:phone',
    handle: (request) => find(request, 'phone', among('phones', 'phone')),
  },
  {
    method: 'GET',
    path: '/v1/customers/externalId=:externalId',
    handle: (request) => find(request, 'externalId', (customer, key) => customer.attributes['externalId'] === key),
  },
  {
    method: 'DELETE',
    path: '/v1/customers/:id',
    handle: ({ org, params, nowMs }) => {
      const customer = customerOf(org, params['id']);
      markDeleted(org.organisation, org.organisation.customers, nowMs, customer, caller(org));
      return { status: 204 };
    },
  },
  { method: 'PATCH', path: '/v1/customers/:id', handle: update },
  { method: 'PUT', path: '/v1/customers/:id', handle: update },
];
