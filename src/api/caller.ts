/** Who calls: made from the bearer token alone, never from what a request says. */

export const SCOPES = [
  'events:read',
  'connectors:read',
  'connectors:write',
  'actions:read',
  'actions:write',
  'receipts:read',
  'policies:read',
  'policies:write',
  'plans:approve',
  'keys:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/** Names for sets of scopes, accepted wherever scopes are. `admin` is everything of one tenant, and nothing beyond. */
export const SCOPE_PRESETS = {
  read_only: ['events:read', 'connectors:read', 'actions:read', 'receipts:read', 'policies:read'],
  operate: [
    'events:read',
    'connectors:read',
    'actions:read',
    'actions:write',
    'receipts:read',
    'policies:read',
    'plans:approve',
  ],
  admin: SCOPES,
} as const satisfies Record<string, readonly Scope[]>;
export type ScopePreset = keyof typeof SCOPE_PRESETS;

export interface TenantCaller {
  readonly kind: 'tenant';
  readonly tenantId: string;
  readonly tenantName: string;
  readonly resellerId: string | null;
  readonly workspaceId: string | null;
  /** `key_…` */
  readonly keyId: string;
  readonly keyName: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly expiresAtMs: number | null;
}

/** The platform's own token: makes tenants and their tokens, and sees nothing of what is theirs. */
export interface AdminCaller {
  readonly kind: 'admin';
}

export type Caller = TenantCaller | AdminCaller;

/** Who did it, for what is kept: `key_… (name)`. */
export function byLine(caller: Caller): string {
  return caller.kind === 'admin' ? 'platform admin' : `${caller.keyId} (${caller.keyName})`;
}
