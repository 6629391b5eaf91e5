/** Tenants, for the platform's admin token: the wall everything else stands behind. */
import { z } from 'zod';
import { TENANT_ID } from '../kafka/topics.ts';
import type { TenantRecord } from './auth/records.ts';
import { newId } from './auth/token-text.ts';
import { ApiError, notFound } from './errors.ts';
import { listOf, pageQuery, paginate, timeKey } from './pagination.ts';
import type { Table } from './ports.ts';
import { rfc3339, time } from './query.ts';
import { defineAdminRoute, type Route } from './route.ts';

export interface TenantPorts {
  readonly tenants: Table<TenantRecord>;
  readonly random: (bytes: number) => Buffer;
}

const id = z.string().regex(TENANT_ID, 'is a letter or digit, then up to 99 of a-z A-Z 0-9 _ -');

const tenant = z.strictObject({
  object: z.literal('tenant'),
  id: z.string(),
  name: z.string(),
  reseller_id: z.string().nullable(),
  created_at: time,
});

const newTenant = z.strictObject({
  id: id.optional().describe('Absent = one is made. It becomes part of topic names and never changes.'),
  name: z
    .string()
    .regex(/^\P{C}{1,100}$/u, 'is 1 to 100 printable characters')
    .regex(/\S/, 'is blank'),
  reseller_id: id.nullable().optional().describe('Null for a tenant of the platform itself.'),
});

export function tenantRoutes({ tenants, random }: TenantPorts): readonly Route[] {
  return [
    defineAdminRoute({
      id: 'createTenant',
      method: 'POST',
      url: '/v1/tenants',
      summary: 'Make a tenant.',
      tag: 'tenants',
      scope: 'admin',
      body: newTenant,
      response: { 201: tenant },
      idempotent: {},
      handler: async ({ body, nowMs }) => {
        const made: TenantRecord = {
          version: 1,
          tenant_id: body.id ?? newId('t', random),
          name: body.name,
          reseller_id: body.reseller_id ?? null,
          created_at_ms: nowMs,
        };
        const stands = await tenants.update(made.tenant_id, (now) => now ?? made);
        if (stands !== made && JSON.stringify(stands) !== JSON.stringify(made)) {
          throw new ApiError('state_conflict', 'there is a tenant of this id already');
        }
        return { status: 201, body: shown(made) };
      },
    }),
    defineAdminRoute({
      id: 'listTenants',
      method: 'GET',
      url: '/v1/tenants',
      summary: 'All tenants, newest first.',
      tag: 'tenants',
      scope: 'admin',
      query: z.strictObject(pageQuery),
      response: { 200: listOf(tenant) },
      handler: async ({ query }) => {
        const found = paginate(
          tenants.list().map(([, record]) => record),
          {
            ...query,
            binding: { route: 'listTenants', tenantId: '_platform', filters: {} },
            keyOf: (record) => timeKey(record.created_at_ms, record.tenant_id),
          },
        );
        return { body: { ...found, data: found.data.map(shown) } };
      },
    }),
    defineAdminRoute({
      id: 'getTenant',
      method: 'GET',
      url: '/v1/tenants/:id',
      summary: 'One tenant.',
      tag: 'tenants',
      scope: 'admin',
      params: z.object({ id }),
      response: { 200: tenant },
      handler: async ({ params }) => {
        const found = tenants.get(params.id);
        if (found === undefined) throw notFound('tenant');
        return { body: shown(found) };
      },
    }),
  ];
}

function shown({ tenant_id, name, reseller_id, created_at_ms }: TenantRecord) {
  return { object: 'tenant' as const, id: tenant_id, name, reseller_id, created_at: rfc3339(created_at_ms) };
}
