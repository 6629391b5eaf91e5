/** All routes of the control API, and the server that serves them. */

import { connectorRoutes } from './connectors/index.ts';
import { connectorTestRoutes } from './connectors/tool-test.ts';
import { grantRoutes } from './grants.ts';
import { identityRoutes } from './identity.ts';
import { listingRoutes } from './listing.ts';
import { openApiRoutes } from './openapi.ts';
import { policyRoutes } from './policies/index.ts';
import type { CorePorts } from './ports.ts';
import type { Route } from './route.ts';
import { type TenantPorts, tenantRoutes } from './tenants.ts';
import { type TokenPorts, tokenRoutes } from './tokens.ts';

export type RoutePorts = CorePorts & TenantPorts & TokenPorts;

/** Bumped by what is added; the major one is in the path. */
export const API_VERSION = '1.0.0';

/** `further`: the routes of `data/`. */
export function apiRoutes(ports: RoutePorts, further: readonly Route[] = []): readonly Route[] {
  const routes = [
    ...identityRoutes(),
    ...tenantRoutes(ports),
    ...tokenRoutes(ports),
    ...listingRoutes(),
    ...connectorRoutes(ports),
    ...connectorTestRoutes(ports),
    ...grantRoutes(ports),
    ...policyRoutes(ports),
    ...further,
  ];
  return [...routes, ...openApiRoutes(routes, API_VERSION)];
}
