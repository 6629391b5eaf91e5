/** Customers: list, get, create, change. */
import { z } from 'zod';
import type { Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import { custom, externalId, name, objectIds } from './fields.ts';
import { documentOf, pageOfResources } from './paging.ts';
import { type ApiAnswer, type ApiRequest, caller, checkRevision, notFound, parseBody, type Route } from './route.ts';

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
  const customer = org.organisation.customers.get(id ?? '');
  if (customer === undefined) throw notFound();
  return customer;
}

function update({ org, params, body, nowMs }: ApiRequest): ApiAnswer {
  const before = customerOf(org, params['id']);
  const { rev, ...edit } = parseBody(updateBody, body);
  checkRevision(before, rev);
  const renamed = edit.name === undefined ? {} : { displayName: edit.name };
  org.publish(org.organisation.edit('customer', nowMs, before.id, { ...edit, ...renamed }, caller(org)), nowMs);
  return documentOf(customerOf(org, before.id));
}

export const customerRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/customers',
    handle: (request) => pageOfResources(request, request.org.organisation.customers.values()),
  },
  {
    method: 'POST',
    path: '/v1/customers',
    handle: ({ org, body, nowMs }) => {
      const events = org.organisation.createCustomer(nowMs, parseBody(createBody, body), caller(org));
      org.publish(events, nowMs);
      return documentOf(customerOf(org, events[0]?.id), 201);
    },
  },
  { method: 'GET', path: '/v1/customers/:id', handle: ({ org, params }) => documentOf(customerOf(org, params['id'])) },
  { method: 'PATCH', path: '/v1/customers/:id', handle: update },
  { method: 'PUT', path: '/v1/customers/:id', handle: update },
];
