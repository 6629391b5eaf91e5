/** From the Authorization header to who calls, and whether they may. */
import type { Secret } from '../../base/secret.ts';
import type { AdminCaller, Caller, Scope, TenantCaller } from '../caller.ts';
import { ApiError } from '../errors.ts';
import type { Table } from '../ports.ts';
import type { Route } from '../route.ts';
import type { TenantRecord } from './records.ts';
import type { TokenBook } from './token-book.ts';
import { bearerToken, hashToken } from './token-text.ts';

/** The document of the admin token that a first start made. Not `key_…`: no route names it. */
export const ADMIN_KEY = 'platform';

export interface AuthOptions {
  readonly tokens: TokenBook;
  readonly tenants: Pick<Table<TenantRecord>, 'get'>;
  /** From the settings; then the one a first start made does not count. */
  readonly adminToken: Secret | null;
}

const WHY = {
  invalid: 'no such token exists',
  revoked: 'the token was revoked; make a new one',
  expired: 'the token has expired; make a new one',
} as const;

const ADMIN: AdminCaller = { kind: 'admin' };

export function createAuthenticator({ tokens, tenants, adminToken }: AuthOptions) {
  const adminHash = adminToken === null ? null : hashToken(adminToken);

  /** Throws `key_…` for whom we do not know. */
  return function authenticate(header: string | undefined, nowMs: number): Caller {
    const token = bearerToken(header);
    if (token === null) throw refused('key_missing', 'send the token as `Authorization: Bearer sk_live_…`');
    if (adminHash !== null && hashToken(token) === adminHash) return ADMIN;
    const found = tokens.look(token, nowMs);
    if (found.kind !== 'valid') throw refused(`key_${found.kind}`, WHY[found.kind]);
    const { record } = found;
    if (record.tenant_id === null) {
      if (record.key_id === ADMIN_KEY && adminHash === null) return ADMIN;
      throw refused('key_invalid', WHY.invalid);
    }
    const tenant = tenants.get(record.tenant_id);
    // A tenant that is not there, or cannot be read, has no callers.
    if (tenant === undefined) throw refused('key_invalid', WHY.invalid);
    return {
      kind: 'tenant',
      tenantId: tenant.tenant_id,
      tenantName: tenant.name,
      resellerId: tenant.reseller_id,
      workspaceId: record.workspace_id,
      keyId: record.key_id,
      keyName: record.name,
      scopes: new Set(record.scopes),
      expiresAtMs: record.expires_at_ms,
    } satisfies TenantCaller;
  };
}

/** Throws `insufficient_scope` unless the route may be used by this caller. */
export function authorize(caller: Caller, scope: Exclude<Route['scope'], 'public'>): void {
  const admin = scope === 'admin' || scope.startsWith('admin or ');
  if (caller.kind === 'admin') {
    if (admin) return;
    throw new ApiError(
      'insufficient_scope',
      'the admin token is for tenants and their tokens only; use a token of the tenant',
    );
  }
  const needed = scope.replace(/^admin or /, '') as Scope | 'any' | 'admin';
  if (needed === 'any') return;
  if (needed !== 'admin' && caller.scopes.has(needed)) return;
  throw new ApiError(
    'insufficient_scope',
    needed === 'admin' ? "only the platform's admin token may do this" : `the token lacks the scope ${needed}`,
  );
}

function refused(code: 'key_missing' | 'key_invalid' | 'key_revoked' | 'key_expired', message: string): ApiError {
  return new ApiError(code, message, { headers: { 'www-authenticate': 'Bearer' } });
}
