/** Installed connectors: installing, reading, removing, and what can be asked about their health. */
import { z } from 'zod';
import { listOf, pageQuery, paginate, timeKey } from '../pagination.ts';
import { CONNECTOR_STATUSES, type CorePorts, type Installed } from '../ports.ts';
import { defineRoute, type Route } from '../route.ts';
import { backfillRoutes } from './backfills.ts';
import { foundBy, refParams } from './find.ts';
import { healthRoutes } from './health.ts';
import { installRoute } from './install.ts';
import { connectorRow, shown } from './rows.ts';

export function connectorRoutes(ports: Pick<CorePorts, 'connectors' | 'grants'>): readonly Route[] {
  const { connectors } = ports;
  const found = foundBy(ports);
  return [
    installRoute(ports),
    defineRoute({
      id: 'listConnectors',
      method: 'GET',
      url: '/v1/connectors',
      summary: 'The installed connectors, newest first.',
      tag: 'connectors',
      scope: 'connectors:read',
      query: z.strictObject({ ...pageQuery, status: z.enum(CONNECTOR_STATUSES).optional() }),
      response: { 200: listOf(connectorRow) },
      handler: async ({ caller, query }) => {
        const { status, ...page } = query;
        const all = connectors.list(caller.tenantId).filter((one) => (status ?? one.status) === one.status);
        const binding = { route: 'listConnectors', tenantId: caller.tenantId, filters: { status } };
        const keyOf = ({ connection }: Installed) => timeKey(connection.startedAtMs, connection.connectionId);
        const listed = paginate(all, { ...page, binding, keyOf });
        return { body: { ...listed, data: listed.data.map((one) => shown(ports, one)) } };
      },
    }),
    defineRoute({
      id: 'getConnector',
      method: 'GET',
      url: '/v1/connectors/:ref',
      summary: 'One of them, by id or name.',
      tag: 'connectors',
      scope: 'connectors:read',
      params: refParams,
      response: { 200: connectorRow },
      handler: async ({ caller, params }) => ({ body: shown(ports, found(caller.tenantId, params.ref)) }),
    }),
    defineRoute({
      id: 'removeConnector',
      method: 'DELETE',
      url: '/v1/connectors/:ref',
      summary: 'Uninstall it: its key, tokens and grants are forgotten. What was published stays.',
      tag: 'connectors',
      scope: 'connectors:write',
      params: refParams,
      response: { 200: connectorRow },
      handler: async ({ caller, params }) => {
        const installed = found(caller.tenantId, params.ref);
        const body = shown(ports, installed);
        await connectors.remove(caller.tenantId, installed.connection.connectionId);
        return { body };
      },
    }),
    ...healthRoutes(connectors, found),
    ...backfillRoutes(connectors, found),
  ];
}
