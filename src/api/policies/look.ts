/** What reads policies: all of them, one, and the versions of one. */
import { z } from 'zod';
import { notFound } from '../errors.ts';
import { listOf, pageQuery, paginate, timeKey } from '../pagination.ts';
import type { CorePorts } from '../ports.ts';
import { integer } from '../query.ts';
import { defineRoute, type Route } from '../route.ts';
import { foundPolicy, nameParams } from './find.ts';
import { unreadable } from './problems.ts';
import { policyRow, shown } from './rows.ts';

export function lookRoutes(ports: Pick<CorePorts, 'policies'>): readonly Route[] {
  const { policies } = ports;
  return [
    defineRoute({
      id: 'listPolicies',
      method: 'GET',
      url: '/v1/policies',
      summary: 'The policies of the tenant, the last changed first.',
      tag: 'policies',
      scope: 'policies:read',
      query: z.strictObject({ ...pageQuery, status: z.enum(['active', 'disabled']).optional() }),
      response: { 200: listOf(policyRow) },
      handler: async ({ caller, query }) => {
        const { status, ...page } = query;
        const all = [...policies.set(caller.tenantId).values()].filter(
          (one) => one.status !== 'deleted' && (status ?? one.status) === one.status,
        );
        const binding = { route: 'listPolicies', tenantId: caller.tenantId, filters: { status } };
        const listed = paginate(all, { ...page, binding, keyOf: (one) => timeKey(one.updatedAtMs, one.name) });
        return { body: { ...listed, data: listed.data.map((one) => shown(caller.tenantId, one)) } };
      },
    }),
    defineRoute({
      id: 'getPolicy',
      method: 'GET',
      url: '/v1/policies/:name',
      summary: 'One policy, as it is or as a version of it was.',
      tag: 'policies',
      scope: 'policies:read',
      params: nameParams,
      query: z.strictObject({ version: integer(1, 1_000_000_000).optional() }),
      response: { 200: policyRow },
      handler: async ({ caller, params, query }) => {
        // A receipt may cite a version of what has been deleted since.
        const one =
          query.version === undefined
            ? foundPolicy(ports, caller.tenantId, params.name)
            : policies.set(caller.tenantId).get(params.name);
        const version = one?.versions.find((kept) => kept.version === query.version);
        if (one === undefined || (query.version !== undefined && version === undefined)) throw notFound('policy');
        return { body: shown(caller.tenantId, one, version) };
      },
    }),
    defineRoute({
      id: 'listPolicyVersions',
      method: 'GET',
      url: '/v1/policies/:name/versions',
      summary: 'The versions of a policy that are kept, newest first.',
      tag: 'policies',
      scope: 'policies:read',
      params: nameParams,
      query: z.strictObject(pageQuery),
      response: { 200: listOf(policyRow) },
      handler: async ({ caller, params, query }) => {
        const { tenantId } = caller;
        const one = policies.set(tenantId).get(params.name);
        if (one === undefined) throw unreadable(ports, tenantId, params.name) ?? notFound('policy');
        const binding = { route: 'listPolicyVersions', tenantId, filters: { name: params.name } };
        const listed = paginate(one.versions, { ...query, binding, keyOf: ({ version }) => timeKey(version, '') });
        return { body: { ...listed, data: listed.data.map((version) => shown(tenantId, one, version)) } };
      },
    }),
  ];
}
