/** Whose a request is, its token says. What it says itself may agree, and is dropped; what disagrees is refused. */
import type { Caller } from './caller.ts';
import { ApiError } from './errors.ts';

const FIELDS = ['tenant_id', 'reseller_id', 'workspace_id'] as const;

/** Top level only: deeper fields are data. The platform's own requests are about tenants, and name them. */
export function refuseOtherTenancy(given: unknown, caller: Caller | null): unknown {
  if (caller?.kind !== 'tenant' || typeof given !== 'object' || given === null || Array.isArray(given)) return given;
  const named = FIELDS.filter((field) => Object.hasOwn(given, field));
  if (named.length === 0) return given;
  const own = { tenant_id: caller.tenantId, reseller_id: caller.resellerId, workspace_id: caller.workspaceId };
  for (const field of named) {
    if ((given as Record<string, unknown>)[field] === own[field]) continue;
    throw new ApiError('tenant_mismatch', `${field} is not that of the token; leave it out`);
  }
  return Object.fromEntries(
    Object.entries(given).filter(([field]) => !named.includes(field as (typeof FIELDS)[number])),
  );
}
