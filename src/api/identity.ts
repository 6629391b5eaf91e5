/** `GET /v1/whoami` */
import { z } from 'zod';
import { SCOPES } from './caller.ts';
import { rfc3339OrNull, time } from './query.ts';
import { defineRoute, type Route } from './route.ts';

const identity = z.strictObject({
  object: z.literal('identity'),
  tenant_id: z.string(),
  tenant_name: z.string(),
  reseller_id: z.string().nullable(),
  workspace_id: z.string().nullable(),
  key_id: z.string(),
  key_name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  expires_at: time.nullable(),
});

export function identityRoutes(): readonly Route[] {
  return [
    defineRoute({
      id: 'whoami',
      method: 'GET',
      url: '/v1/whoami',
      summary: 'Whose token this is, and what it may do.',
      tag: 'identity',
      scope: 'any',
      response: { 200: identity },
      handler: async ({ caller }) => ({
        body: {
          object: 'identity' as const,
          tenant_id: caller.tenantId,
          tenant_name: caller.tenantName,
          reseller_id: caller.resellerId,
          workspace_id: caller.workspaceId,
          key_id: caller.keyId,
          key_name: caller.keyName,
          scopes: SCOPES.filter((scope) => caller.scopes.has(scope)),
          expires_at: rfc3339OrNull(caller.expiresAtMs),
        },
      }),
    }),
  ];
}
