/** Custom objects: their classes ("klasses") and the objects, by class and by customer. There is no PATCH. */
import { z } from 'zod';
import { createKobject, editKobject, kobjectType } from '../model/kobjects.ts';
import { isDeleted } from '../model/organisation.ts';
import { markDeleted } from '../model/removals.ts';
import { isoTime, type Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import { custom, objectId, time } from './fields.ts';
import { documentOf, pageOf, pageOfResources } from './paging.ts';
import {
  type ApiAnswer,
  type ApiRequest,
  caller,
  checkRevision,
  countCreate,
  liveIn,
  notFound,
  parseBody,
  type Route,
} from './route.ts';

const fields = {
  externalId: z.string().min(1).max(256).optional(),
  description: z.string().max(10_240).optional(),
  images: z.array(z.string()).max(20).optional(),
  icon: z.string().max(64).optional(),
  data: custom.optional(),
  custom: custom.optional(),
  tags: z.array(z.string().min(1).max(64)).max(20).optional(),
  createdAt: time.optional(),
  importedAt: time.optional(),
};
const title = z.string().min(1).max(256);
const createBody = z.strictObject({ ...fields, title, customer: objectId.optional(), company: objectId.optional() });
const updateBody = z.strictObject({ ...fields, title: title.optional(), rev: z.number().optional() });

function klassOf(org: Org, name: string | undefined): string {
  if (name === undefined || !org.klasses.has(name)) throw notFound('name');
  return name;
}

function objectsOf(org: Org, klass: string): readonly Resource[] {
  return [...org.organisation.kobjects.values()].filter(
    (kobject) => kobject.type === kobjectType(klass) && !isDeleted(kobject),
  );
}

function kobjectOf({ org, params }: ApiRequest): Resource {
  const klass = klassOf(org, params['name']);
  const kobject = liveIn(org.organisation.kobjects, params['id']);
  if (kobject.type !== kobjectType(klass)) throw notFound();
  return kobject;
}

function show(org: Org, name: string): unknown {
  const at = isoTime(org.createdAtMs);
  const id = org.klasses.get(name) as string;
  return {
    type: 'klass',
    id,
    attributes: { name, displayName: name, icon: name, color: '', status: 'enabled', updatedAt: at, createdAt: at },
    relationships: {
      org: { data: { type: 'org', id: org.organisation.orgId } },
      kobjects: { links: { self: `/v1/klasses/${name}s` } },
    },
    links: { self: `/v1/klasses/${id}` },
  };
}

function create(request: ApiRequest): ApiAnswer {
  const { org, params, body, nowMs } = request;
  const klass = klassOf(org, params['name']);
  const { title: given, customer, company: _, externalId, createdAt: __, ...attributes } = parseBody(createBody, body);
  const customerId = params['id'] ?? customer;
  if (customerId !== undefined) {
    liveIn(org.organisation.customers, customerId);
    countCreate(request, customerId, attributes.importedAt);
  }
  const seed = { title: given, customerId, externalId, attributes: defined(attributes) };
  const { kobject, events } = createKobject(org.organisation, nowMs, klass, seed, caller(org));
  org.publish(events, nowMs);
  return documentOf(kobject, 201);
}

function update(request: ApiRequest): ApiAnswer {
  const { org, body, nowMs } = request;
  const before = kobjectOf(request);
  const { rev, createdAt: _, ...edit } = parseBody(updateBody, body);
  checkRevision(before, rev);
  return documentOf(editKobject(org.organisation, nowMs, before, defined(edit), caller(org)));
}

function defined(attributes: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/** The vendor has two operations at one address: an id names a class, a name asks for its objects. */
function listOrShow(request: ApiRequest): ApiAnswer {
  const { org, params } = request;
  const named = [...org.klasses].find(([, id]) => id === params['name']);
  if (named !== undefined) return { status: 200, body: { data: show(org, named[0]) } };
  return pageOfResources(request, objectsOf(org, klassOf(org, params['name'])));
}

export const klassRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/klasses',
    handle: (request) => pageOf(request, [...request.org.klasses.keys()], (name) => show(request.org, name)),
  },
  { method: 'GET', path: '/v1/klasses/:name', handle: listOrShow },
  { method: 'POST', path: '/v1/klasses/:name', handle: create },
  {
    method: 'GET',
    path: '/v1/klasses/:name/externalId=:externalId',
    handle: ({ org, params }) => {
      const klass = klassOf(org, params['name']);
      const found = objectsOf(org, klass).find(({ attributes }) => attributes['externalId'] === params['externalId']);
      if (found === undefined) throw notFound('externalId');
      return documentOf(found);
    },
  },
  { method: 'GET', path: '/v1/klasses/:name/:id', handle: (request) => documentOf(kobjectOf(request)) },
  { method: 'PUT', path: '/v1/klasses/:name/:id', handle: update },
  {
    method: 'DELETE',
    path: '/v1/klasses/:name/:id',
    handle: (request) => {
      const { org, nowMs } = request;
      markDeleted(org.organisation, org.organisation.kobjects, nowMs, kobjectOf(request), caller(org));
      return { status: 204 };
    },
  },
  {
    method: 'GET',
    path: '/v1/customers/:id/klasses/:name',
    handle: (request) => {
      const { org, params } = request;
      const { id } = liveIn(org.organisation.customers, params['id']);
      const theirs = objectsOf(org, klassOf(org, params['name'])).filter(
        (kobject) => kobject.relationships['customer']?.data?.id === id,
      );
      return pageOfResources(request, theirs);
    },
  },
  { method: 'POST', path: '/v1/customers/:id/klasses/:name', handle: create },
];
