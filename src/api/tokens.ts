/**
 * Tokens: made, listed, revoked. Their text leaves once, in the answer that made them.
 *
 * N1  Nobody makes a token that may more than they may themselves, or for longer.
 * N2  A token of another tenant is not there.
 * N3  A revoked token stays in the list for REVOKED_SHOWN_MS, so that whoever looks finds why it stopped; of a tenant that makes
 *     and revokes without end, the latest MAX_DEAD_TOKENS.
 */
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import type { TenantRecord, TokenRecord } from './auth/records.ts';
import type { TokenBook } from './auth/token-book.ts';
import { hashToken, newId, newToken, tokenHint } from './auth/token-text.ts';
import { type AdminCaller, byLine, SCOPE_PRESETS, SCOPES, type Scope, type TenantCaller } from './caller.ts';
import { ApiError, notFound } from './errors.ts';
import { listOf, pageQuery, paginate, timeKey } from './pagination.ts';
import type { Table } from './ports.ts';
import { instantMs, rfc3339, rfc3339OrNull, time } from './query.ts';
import { defineAdminRoute, defineRoute, type Route } from './route.ts';

export interface TokenPorts {
  readonly tokens: Table<TokenRecord>;
  readonly tenants: Pick<Table<TenantRecord>, 'get'>;
  readonly book: TokenBook;
  readonly random: (bytes: number) => Buffer;
}

export const MAX_LIVE_TOKENS = 500;
export const MAX_DEAD_TOKENS = 1_000;
export const REVOKED_SHOWN_MS = 30 * 86_400_000;

const scopes = z
  .array(z.enum([...SCOPES, ...(Object.keys(SCOPE_PRESETS) as (keyof typeof SCOPE_PRESETS)[])]))
  .min(1, 'names no scope')
  .max(20, 'names more scopes than there are')
  .describe('Scopes, or presets: read_only, operate, admin.');

export const tokenName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._:@/-]{0,99}$/, 'is 1 to 100 of A-Z a-z 0-9 space . _ : @ / -');

const newTokenBody = z.strictObject({
  name: tokenName,
  scopes,
  workspace_id: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$/, 'is no id of a workspace')
    .nullable()
    .optional(),
  expires_at: instantMs().nullable().optional().describe('RFC 3339; absent = it does not expire.'),
});

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
      handler: ({ caller, params, body, nowMs }) => make(ports, { caller, tenantId: params.id, body, nowMs }),
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
      handler: ({ caller, body, nowMs }) => make(ports, { caller, tenantId: caller.tenantId, body, nowMs }),
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

interface MakeRequest {
  readonly caller: AdminCaller | TenantCaller;
  readonly tenantId: string;
  readonly body: z.output<typeof newTokenBody>;
  readonly nowMs: number;
}

async function make(ports: TokenPorts, { caller, tenantId, body, nowMs }: MakeRequest) {
  if (ports.tenants.get(tenantId) === undefined) throw notFound('tenant');
  const wanted = expanded(body.scopes);
  if (caller.kind === 'tenant') refuseMore(caller, wanted);
  const expiresAtMs = endOf(caller, body.expires_at ?? null);
  if (expiresAtMs !== null && expiresAtMs <= nowMs) {
    throw new ApiError('invalid_parameter', 'expires_at lies in the past');
  }
  const live = ofTenant(ports, tenantId).filter((record) => statusOf(record, nowMs) === 'active');
  if (live.length >= MAX_LIVE_TOKENS) {
    throw new ApiError('state_conflict', `the tenant has ${MAX_LIVE_TOKENS} live tokens; revoke some first`);
  }
  await forgetOldest(ports, tenantId, nowMs);
  const token: Secret = newToken(ports.random);
  const record: TokenRecord = {
    version: 1,
    key_id: newId('key', ports.random),
    tenant_id: tenantId,
    workspace_id: body.workspace_id ?? (caller.kind === 'tenant' ? caller.workspaceId : null),
    name: body.name,
    scopes: [...wanted],
    hash: hashToken(token),
    hint: tokenHint(token),
    created_at_ms: nowMs,
    created_by: byLine(caller),
    expires_at_ms: expiresAtMs,
    revoked_at_ms: null,
    last_used_at_ms: null,
  };
  await ports.tokens.update(record.key_id, (now) => {
    if (now !== undefined) throw new CodedError('connection_conflict', 'the id of the new token is taken; try again');
    return record;
  });
  return { status: 201, body: { ...shown(ports, record, nowMs), token: token.reveal() } };
}

/** N1. A token pinned to a workspace makes only such tokens. */
function refuseMore(caller: TenantCaller, wanted: readonly Scope[]): void {
  const beyond = wanted.filter((scope) => !caller.scopes.has(scope));
  if (beyond.length === 0) return;
  throw new ApiError('insufficient_scope', `the own token lacks ${beyond.join(', ')}, so it cannot give it to another`);
}

/** N1: who ends does not go on in another name. */
function endOf(caller: AdminCaller | TenantCaller, wantedMs: number | null): number | null {
  const ownMs = caller.kind === 'tenant' ? caller.expiresAtMs : null;
  if (ownMs === null) return wantedMs;
  if (wantedMs !== null && wantedMs > ownMs) {
    throw new ApiError(
      'insufficient_scope',
      `the own token ends at ${rfc3339(ownMs)}, and no token it makes ends later`,
    );
  }
  return wantedMs ?? ownMs;
}

/** N3: makes room for the next that ends. */
async function forgetOldest(ports: TokenPorts, tenantId: string, nowMs: number): Promise<void> {
  const endedAtMs = (record: TokenRecord): number => record.revoked_at_ms ?? record.expires_at_ms ?? nowMs;
  const dead = ofTenant(ports, tenantId)
    .filter((record) => statusOf(record, nowMs) !== 'active')
    .sort((a, b) => endedAtMs(a) - endedAtMs(b));
  for (const { key_id } of dead.slice(0, Math.max(0, dead.length - MAX_DEAD_TOKENS))) {
    await ports.tokens.update(key_id, (now) => (now !== undefined && statusOf(now, nowMs) !== 'active' ? null : now));
  }
}

function expanded(names: readonly string[]): readonly Scope[] {
  const all = new Set(
    names.flatMap((name) =>
      Object.hasOwn(SCOPE_PRESETS, name) ? SCOPE_PRESETS[name as keyof typeof SCOPE_PRESETS] : [name as Scope],
    ),
  );
  return SCOPES.filter((scope) => all.has(scope));
}

function ofTenant({ tokens }: TokenPorts, tenantId: string): readonly TokenRecord[] {
  return tokens.list().flatMap(([, record]) => (record.tenant_id === tenantId ? [record] : []));
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

function statusOf({ revoked_at_ms, expires_at_ms }: TokenRecord, nowMs: number): 'active' | 'revoked' | 'expired' {
  if (revoked_at_ms !== null) return 'revoked';
  return expires_at_ms !== null && nowMs >= expires_at_ms ? 'expired' : 'active';
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
