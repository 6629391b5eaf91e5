/** Making a token: what it may have of its maker (N1 of tokens.ts), and for how many there is room (N3). */
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import type { TenantRecord, TokenRecord } from './auth/records.ts';
import { hashToken, newId, newToken, tokenHint } from './auth/token-text.ts';
import { type AdminCaller, byLine, SCOPE_PRESETS, SCOPES, type Scope, type TenantCaller } from './caller.ts';
import { ApiError, notFound } from './errors.ts';
import type { Table } from './ports.ts';
import { instantMs, rfc3339 } from './query.ts';

export const MAX_LIVE_TOKENS = 500;
export const MAX_DEAD_TOKENS = 1_000;

const scopes = z
  .array(z.enum([...SCOPES, ...(Object.keys(SCOPE_PRESETS) as (keyof typeof SCOPE_PRESETS)[])]))
  .min(1, 'names no scope')
  .max(20, 'names more scopes than there are')
  .describe('Scopes, or presets: read_only, operate, admin.');

const tokenName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._:@/-]{0,99}$/, 'is 1 to 100 of A-Z a-z 0-9 space . _ : @ / -');

export const newTokenBody = z.strictObject({
  name: tokenName,
  scopes,
  workspace_id: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$/, 'is no id of a workspace')
    .nullable()
    .optional(),
  expires_at: instantMs().nullable().optional().describe('RFC 3339; absent = it does not expire.'),
});

export interface MakingPorts {
  readonly tokens: Table<TokenRecord>;
  readonly tenants: Pick<Table<TenantRecord>, 'get'>;
  readonly random: (bytes: number) => Buffer;
}

export interface MakeRequest {
  readonly caller: AdminCaller | TenantCaller;
  readonly tenantId: string;
  readonly body: z.output<typeof newTokenBody>;
  readonly nowMs: number;
}

/** The record of the new token, and its text, which is nowhere else. */
export async function makeToken(ports: MakingPorts, { caller, tenantId, body, nowMs }: MakeRequest) {
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
  return { record, token };
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
async function forgetOldest(ports: MakingPorts, tenantId: string, nowMs: number): Promise<void> {
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

export function ofTenant({ tokens }: Pick<MakingPorts, 'tokens'>, tenantId: string): readonly TokenRecord[] {
  return tokens.list().flatMap(([, record]) => (record.tenant_id === tenantId ? [record] : []));
}

export function statusOf(
  { revoked_at_ms, expires_at_ms }: TokenRecord,
  nowMs: number,
): 'active' | 'revoked' | 'expired' {
  if (revoked_at_ms !== null) return 'revoked';
  return expires_at_ms !== null && nowMs >= expires_at_ms ? 'expired' : 'active';
}
