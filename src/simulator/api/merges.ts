/** Merges of customers. Those of conversations have no operation: people do them, see `/_simulator/change`. */
import { z } from 'zod';
import { mergeCustomers } from '../model/removals.ts';
import { isoTime } from '../model/resource.ts';
import type { CustomerMerge, Org } from '../org.ts';
import { objectId } from './fields.ts';
import { pageOf } from './paging.ts';
import {
  type ApiAnswer,
  type ApiRequest,
  badParameter,
  caller,
  liveIn,
  notFound,
  parseBody,
  type Route,
} from './route.ts';

const body = z.strictObject({ source: objectId, target: objectId });

function show(org: Org, merge: CustomerMerge): unknown {
  const customer = (id: string): unknown => ({
    links: { self: `/v1/customers/${id}` },
    data: { type: 'customer', id },
  });
  const at = isoTime(merge.atMs);
  return {
    type: 'customer_merge',
    id: merge.id,
    attributes: { status: 'success', createdAt: at, updatedAt: at },
    relationships: {
      org: { data: { type: 'org', id: org.organisation.orgId } },
      source: customer(merge.sourceId),
      target: customer(merge.targetId),
      createdBy: { data: { type: 'user', id: org.machineUserId } },
    },
    links: { self: `/v1/customers/merges/${merge.id}` },
  };
}

function merge(request: ApiRequest): ApiAnswer {
  const { org, nowMs } = request;
  const { customers } = org.organisation;
  const parsed = parseBody(body, request.body);
  if (parsed.source === parsed.target) throw badParameter('source and target must differ', 'target');
  const source = liveIn(customers, parsed.source);
  const target = liveIn(customers, parsed.target);
  org.publish(mergeCustomers(org.organisation, nowMs, source, target, caller(org)), nowMs);
  const done = org.keepMerge({ sourceId: source.id, targetId: target.id, atMs: nowMs });
  return { status: 201, body: { data: show(org, done) } };
}

export const mergeRoutes: readonly Route[] = [
  { method: 'POST', path: '/v1/customers/merges', handle: merge },
  {
    method: 'GET',
    path: '/v1/customers/merges/:id',
    handle: ({ org, params }) => {
      const found = org.merges.find(({ id }) => id === params['id']);
      if (found === undefined) throw notFound();
      return { status: 200, body: { data: show(org, found) } };
    },
  },
  {
    method: 'GET',
    path: '/v1/customers/:id/merges',
    handle: (request) => {
      const { org, params } = request;
      const theirs = org.merges.filter(({ sourceId, targetId }) =>
        [sourceId, targetId].includes(params['id'] as string),
      );
      return pageOf(request, theirs, (done) => show(org, done));
    },
  },
];
