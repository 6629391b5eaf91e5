/** Who the key stands for. */
import { snapshotOf } from '../model/event.ts';
import { isoTime, type Resource } from '../model/resource.ts';
import type { Route } from './route.ts';

export const identityRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/users/current',
    handle: ({ org }) => {
      const user = snapshotOf(org.organisation.users.get(org.machineUserId) as Resource);
      return {
        status: 200,
        body: { data: { ...user, attributes: { ...user.attributes, roles: org.access.roles } } },
      };
    },
  },
  {
    method: 'GET',
    path: '/v1/auth/tokens/current',
    handle: ({ org }) => ({
      status: 200,
      body: {
        data: {
          type: 'auth-token',
          id: org.tokenId,
          attributes: {
            name: 'simulator',
            roles: org.access.roles,
            createdAt: isoTime(org.createdAtMs),
            expiresAt: org.access.expiresAtMs === null ? null : isoTime(org.access.expiresAtMs),
          },
          relationships: {
            org: { data: { type: 'org', id: org.organisation.orgId } },
            user: { data: { type: 'user', id: org.machineUserId } },
          },
          links: { self: '/v1/auth/tokens/current' },
        },
      },
    }),
  },
];
