/**
 * Tokens: made, listed, revoked. Their text leaves once, in the answer that made them.
 *
 * N1  Nobody makes a token that may more than they may themselves, or for longer.
 * N2  A token of another tenant is not there.
 * N3  A revoked token stays in the list for REVOKED_SHOWN_MS, so that whoever looks finds why it stopped; of a tenant that makes
 *     and revokes without end, the latest MAX_DEAD_TOKENS.
 */
import { z } from 'zod';
import type { TokenRecord } from './auth/records.ts';
import type { TokenBook } from './auth/token-book.ts';
import { SCOPES } from './caller.ts';
import { notFound } from './errors.ts';
import { listOf, pageQuery, paginate, timeKey } from './pagination.ts';
import type { Table } from './ports.ts';
import { rfc3339, rfc3339OrNull, time } from './query.ts';
import { defineAdminRoute, defineRoute, type Route } from './route.ts';
import { type MakeRequest, type MakingPorts, makeToken, newTokenBody, ofTenant, statusOf } from './token-making.ts';

export interface TokenPorts extends MakingPorts {
  readonly book: TokenBook;
}

export const REVOKED_SHOWN_MS = 30 * 86_400_000;

const apiKey = z.strictObject({
  object: z.literal('api_key'),
  id: z.string(),
  tenant_id: z.string(),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  hint: z.string(),
  status: z.enum(['active', 'revoked', 'expired']),
  workspace_id: z.string().nullable(),
  created_at: time,
  expires_at: time.nullable(),
  last_used_at: time.nullable().describe('To the hour.'),
});

const madeKey = apiKey.extend({
  token: z.string().nullable().describe('Shown once. Null where a repeated Idempotency-Key brings this answer again.'),
  withheld: z.array(z.string()).optional().describe('Fields that are not kept and so not repeated.'),
});

const keyParams = z.object({ id: z.string().regex(/^key_[0-9a-z]{1,64}$/) });
const tenantParams = z.object({ id: z.string().max(100) });
const page = z.strictObject(pageQuery);

export function tokenRoutes(ports: TokenPorts): readonly Route[] {
  return [
    defineAdminRoute({
      id: 'createTenantToken',
      method: 'POST',
      url: '/v1/tenants/:id/tokens',
      summary: 'Make a token for a tenant.',
      tag: 'tenants',
      scope: 'admin',
      params: tenantParams,
      body: newTokenBody,
      response: { 201: madeKey },
      idempotent: { secretFields: ['token'] },
      handler: ({ caller, params, body, nowMs }) => made(ports, { caller, tenantId: params.id, body, nowMs }),
    }),
    defineAdminRoute({
      id: 'listTenantTokens',
      method: 'GET',
      url: '/v1/tenants/:id/tokens',
      summary: 'The tokens of a tenant, newest first.',
      tag: 'tenants',
      scope: 'admin',
      params: tenantParams,
      query: page,
      response: { 200: listOf(apiKey) },
      handler: async ({ params, query, nowMs }) => {
        if (ports.tenants.get(params.id) === undefined) throw notFound('tenant');
        return { body: listed(ports, params.id, query, nowMs) };
      },
    }),
    defineRoute({
      id: 'createToken',
      method: 'POST',
      url: '/v1/tokens',
      summary: 'Make a token of the own tenant, with no more scopes than the own ones.',
      tag: 'tokens',
      scope: 'keys:write',
      body: newTokenBody,
      response: { 201: madeKey },
      idempotent: { secretFields: ['token'] },
      handler: ({ caller, body, nowMs }) => made(ports, { caller, tenantId: caller.tenantId, body, nowMs }),
    }),
    defineRoute({
      id: 'listTokens',
      method: 'GET',
      url: '/v1/tokens',
      summary: 'The tokens of the own tenant, newest first.',
      tag: 'tokens',
      scope: 'keys:write',
      query: page,
      response: { 200: listOf(apiKey) },
      handler: async ({ caller, query, nowMs }) => ({ body: listed(ports, caller.tenantId, query, nowMs) }),
    }),
    defineAdminRoute({
      id: 'revokeToken',
      method: 'DELETE',
      url: '/v1/tokens/:id',
      summary: 'Revoke a token: at once here, within a second elsewhere.',
      tag: 'tokens',
      scope: 'admin or keys:write',
      params: keyParams,
      response: { 200: apiKey },
      handler: async ({ caller, params, nowMs }) => {
        const mine = (record: TokenRecord | undefined): record is TokenRecord & { tenant_id: string } =>
          record !== undefined &&
          record.tenant_id !== null &&
          (caller.kind === 'admin' || record.tenant_id === caller.tenantId);
        if (!mine(ports.tokens.get(params.id))) throw notFound('token');
        const revoked = await ports.tokens.update(params.id, (now) =>
          mine(now) && now.revoked_at_ms === null ? { ...now, revoked_at_ms: nowMs } : now,
        );
        if (!mine(revoked)) throw notFound('token');
        return { body: shown(ports, revoked, nowMs) };
      },
    }),
  ];
}

async function made(ports: TokenPorts, request: MakeRequest) {
  const { record, token } = await makeToken(ports, request);
  return { status: 201, body: { ...shown(ports, record, request.nowMs), token: token.reveal() } };
}

function listed(ports: TokenPorts, tenantId: string, query: z.output<typeof page>, nowMs: number) {
  const seen = ofTenant(ports, tenantId).filter(
    ({ revoked_at_ms }) => revoked_at_ms === null || nowMs - revoked_at_ms < REVOKED_SHOWN_MS,
  );
  const found = paginate(seen, {
    ...query,
    binding: { route: 'listTokens', tenantId, filters: {} },
    keyOf: (record) => timeKey(record.created_at_ms, record.key_id),
  });
  return { ...found, data: found.data.map((record) => shown(ports, record, nowMs)) };
}

function shown({ book }: TokenPorts, record: TokenRecord, nowMs: number) {
  return {
    object: 'api_key' as const,
    id: record.key_id,
    tenant_id: record.tenant_id ?? '',
    name: record.name,
    scopes: record.scopes,
    hint: record.hint,
    status: statusOf(record, nowMs),
    workspace_id: record.workspace_id,
    created_at: rfc3339(record.created_at_ms),
    expires_at: rfc3339OrNull(record.expires_at_ms),
    last_used_at: rfc3339OrNull(book.lastUsedAtMs(record)),
  };
}

/** Removes what N3 no longer shows; called now and then. */
export async function sweepTokens(tokens: Table<TokenRecord>, nowMs: number): Promise<void> {
  const over = (record: TokenRecord | undefined): boolean =>
    record !== undefined && nowMs - (record.revoked_at_ms ?? record.expires_at_ms ?? nowMs) >= REVOKED_SHOWN_MS;
  for (const [key, record] of tokens.list()) {
    if (over(record)) await tokens.update(key, (now) => (over(now) ? null : now));
  }
}
