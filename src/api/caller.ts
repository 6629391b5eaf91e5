/** Who calls: made from the bearer token alone, never from what a request says. */

export const SCOPES = [
  'events:read',
  'connectors:read',
  'connectors:write',
  'customers:read',
  'actions:read',
  'actions:write',
  'receipts:read',
  'policies:read',
  'policies:write',
  'plans:approve',
  'keys:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/** What each lets its token do. `docs/reference/api.md` is made of it. */
export const SCOPE_MEANINGS: Readonly<Record<Scope, string>> = {
  'events:read': 'Events, as lists and streams: also what people wrote in messages.',
  'connectors:read': 'Listings, connectors and how they are, capabilities and grants.',
  'connectors:write':
    'Install, change and remove connectors, read history, grant and revoke; act and read under no name of an operator.',
  'customers:read':
    "Look at conversations and customers in Kustomer, with the tenant's key: with `connectors:write` all of them, else as an operator with the capability.",
  'actions:read': 'What waits for approval, and what is parked.',
  'actions:write': 'Send write commands, and try tools.',
  'receipts:read': 'Receipts, as lists and streams.',
  'policies:read': 'Policies and their versions; try them.',
  'policies:write': 'Apply, disable and delete policies.',
  'plans:approve': 'Approve, reject, and say what became of parked commands.',
  'keys:write': 'Make, list and revoke tokens of the tenant, with no more scopes than the own ones.',
};

/** Names for sets of scopes, accepted wherever scopes are. `admin` is everything of one tenant, and nothing beyond; `read_only` asks nobody outside. */
export const SCOPE_PRESETS = {
  read_only: ['events:read', 'connectors:read', 'actions:read', 'receipts:read', 'policies:read'],
  operate: [
    'events:read',
    'connectors:read',
    'customers:read',
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
