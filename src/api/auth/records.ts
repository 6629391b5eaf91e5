/**
 * Tenants and tokens as documents of the control topic. Fields may be added, with a default, and never renamed. What has a
 * field this version does not know is not understood: a restriction added later must not be dropped.
 */
import { z } from 'zod';
import { SCOPES, type Scope } from '../caller.ts';
import type { TableKind } from '../ports.ts';

const tenantSchema = z.strictObject({
  version: z.literal(1),
  tenant_id: z.string(),
  name: z.string(),
  reseller_id: z.string().nullable(),
  created_at_ms: z.number(),
});

export type TenantRecord = Readonly<z.output<typeof tenantSchema>>;

const tokenSchema = z.strictObject({
  version: z.literal(1),
  key_id: z.string(),
  /** Null for the platform's own. */
  tenant_id: z.string().nullable(),
  workspace_id: z.string().nullable(),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  hint: z.string(),
  created_at_ms: z.number(),
  created_by: z.string(),
  expires_at_ms: z.number().nullable(),
  revoked_at_ms: z.number().nullable(),
  last_used_at_ms: z.number().nullable(),
});

export type TokenRecord = Readonly<z.output<typeof tokenSchema>>;

/** Tokens with every scope were made before there was this one: they have it too, unless they say that they go without. */
const LATER: Scope = 'customers:read';
const FIRST_SCOPES = SCOPES.filter((scope) => scope !== LATER);
const storedToken = tokenSchema.extend({ without: z.tuple([z.literal(LATER)]).optional() });

function isAllBut(scopes: readonly Scope[]): boolean {
  return !scopes.includes(LATER) && FIRST_SCOPES.every((scope) => scopes.includes(scope));
}

/** Key: the tenant's id. */
export const TENANT_KIND: TableKind<TenantRecord> = {
  prefix: 'tenant',
  parse: (value) => tenantSchema.parse(value),
  encode: (record) => record,
};

/** Key: the token's id. */
export const TOKEN_KIND: TableKind<TokenRecord> = {
  prefix: 'token',
  parse: (value) => {
    const { without, ...record } = storedToken.parse(value);
    return without === undefined && isAllBut(record.scopes) ? { ...record, scopes: [...SCOPES] } : record;
  },
  encode: (record) => (isAllBut(record.scopes) ? { ...record, without: [LATER] } : record),
};
