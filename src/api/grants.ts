/** Capabilities that connections expose, and who may use them. Installing grants nothing. */
import { z } from 'zod';
import { byLine } from './caller.ts';
import { ApiError, notFound } from './errors.ts';
import { CAPABILITY_NAMES, hasSideEffect, LISTING_ID } from './listing.ts';
import { connectionRef, operatorName, ordinaryOperator } from './names.ts';
import { listOf, pageQuery, paginate } from './pagination.ts';
import type { CorePorts, Installed } from './ports.ts';
import { rfc3339, time } from './query.ts';
import { defineRoute, type Route } from './route.ts';

type Ports = Pick<CorePorts, 'connectors' | 'grants'>;

const capabilityName = z
  .string()
  .refine((name) => CAPABILITY_NAMES.includes(name), `is no capability; there are ${CAPABILITY_NAMES.join(', ')}`)
  .meta({ enum: CAPABILITY_NAMES });

const capability = z.strictObject({
  object: z.literal('capability'),
  capability: z.string(),
  connector: z.string(),
  connection: z.string(),
  connection_id: z.string(),
  role: z.string().nullable(),
  side_effect: z.boolean(),
  status: z.enum(['ready', 'degraded', 'unavailable']).describe('Whether the connection can do it at the moment.'),
  granted_to: z.array(z.string()).describe('Operators.'),
});

const grant = z.strictObject({
  object: z.literal('grant'),
  operator: z.string(),
  connection: z.string(),
  connection_id: z.string(),
  capabilities: z.array(z.string()),
  updated_at: time.nullable().describe('Null where nothing is granted any more.'),
  updated_by: z.string().nullable(),
});

const granting = {
  operator: ordinaryOperator,
  capability: capabilityName,
  connection: connectionRef.optional().describe('By id or name; absent where the tenant has one connection only.'),
};

/** Operators and connections together: every process holds them in memory. */
export const MAX_GRANTS = 5_000;

const STATUS = { connected: 'ready', degraded: 'degraded', error: 'unavailable', pending_auth: 'unavailable' } as const;

export function grantRoutes(ports: Ports): readonly Route[] {
  return [
    defineRoute({
      id: 'listCapabilities',
      method: 'GET',
      url: '/v1/capabilities',
      summary: 'What the connections of the tenant expose, and to whom it is granted.',
      tag: 'capabilities',
      scope: 'connectors:read',
      query: z.strictObject({ ...pageQuery, connection: connectionRef.optional() }),
      response: { 200: listOf(capability) },
      handler: async ({ caller, query }) => {
        const { connection, ...page } = query;
        const of =
          connection === undefined ? ports.connectors.list(caller.tenantId) : [find(ports, caller, connection)];
        const all = of.flatMap((installed) => exposed(ports, installed));
        const binding = { route: 'listCapabilities', tenantId: caller.tenantId, filters: { connection } };
        const keyOf = ({ connection: name, capability }: (typeof all)[number]) =>
          `${name}/${String(CAPABILITY_NAMES.indexOf(capability)).padStart(4, '0')}`;
        return { body: paginate(all, { ...page, binding, keyOf, order: 'ascending' }) };
      },
    }),
    defineRoute({
      id: 'listGrants',
      method: 'GET',
      url: '/v1/grants',
      summary: 'Who may use what.',
      tag: 'capabilities',
      scope: 'connectors:read',
      query: z.strictObject({ ...pageQuery, operator: operatorName.optional(), connection: connectionRef.optional() }),
      response: { 200: listOf(grant) },
      handler: async ({ caller, query }) => {
        const { operator, connection, ...page } = query;
        const only = connection === undefined ? undefined : find(ports, caller, connection).connection.connectionId;
        const all = granted(ports, caller.tenantId).filter(
          (one) => (operator ?? one.operator) === one.operator && (only ?? one.connection_id) === one.connection_id,
        );
        const binding = { route: 'listGrants', tenantId: caller.tenantId, filters: { operator, connection } };
        const keyOf = (one: (typeof all)[number]) => `${one.operator}/${one.connection_id}`;
        return { body: paginate(all, { ...page, binding, keyOf, order: 'ascending' }) };
      },
    }),
    defineRoute({
      id: 'grant',
      method: 'PUT',
      url: '/v1/grants',
      summary: 'Grant an operator a capability of a connection.',
      tag: 'capabilities',
      scope: 'policies:write',
      body: z.strictObject(granting),
      response: { 200: grant },
      handler: async ({ caller, body }) => {
        const target = body.connection === undefined ? onlyOne(ports, caller) : find(ports, caller, body.connection);
        const { connectionId, name } = target.connection;
        if (!ports.grants.of(target.connection).exposed.has(body.capability)) {
          throw new ApiError(
            'state_conflict',
            `the connection ${name} does not expose ${body.capability}: it has no API key. Add one first`,
          );
        }
        const { operator, capability } = body;
        const all = ports.grants.list(caller.tenantId);
        const isNew = !all.some((one) => one.operator === operator && one.connectionId === connectionId);
        if (isNew && all.length >= MAX_GRANTS) {
          throw new ApiError('state_conflict', `${MAX_GRANTS} operators have grants already; revoke some first`);
        }
        await ports.grants.grant({ tenantId: caller.tenantId, connectionId, operator, capability, by: byLine(caller) });
        return { body: granted(ports, caller.tenantId).find(sameAs(operator, connectionId)) ?? none(target, operator) };
      },
    }),
    defineRoute({
      id: 'revokeGrant',
      method: 'DELETE',
      url: '/v1/grants',
      summary: 'Take a capability from an operator. What was not granted stays so.',
      tag: 'capabilities',
      scope: 'policies:write',
      query: z.strictObject(granting),
      response: { 200: grant },
      handler: async ({ caller, query }) => {
        const target = query.connection === undefined ? onlyOne(ports, caller) : find(ports, caller, query.connection);
        const { connectionId } = target.connection;
        const { operator, capability } = query;
        await ports.grants.revoke({
          tenantId: caller.tenantId,
          connectionId,
          operator,
          capability,
          by: byLine(caller),
        });
        return { body: granted(ports, caller.tenantId).find(sameAs(operator, connectionId)) ?? none(target, operator) };
      },
    }),
  ];
}

function find({ connectors }: Ports, { tenantId }: { readonly tenantId: string }, ref: string): Installed {
  const found = connectors.find(tenantId, ref);
  if (found === undefined) throw notFound('connector');
  return found;
}

/** Nothing is guessed where there are several. */
export function onlyOne(
  { connectors }: Pick<CorePorts, 'connectors'>,
  { tenantId }: { readonly tenantId: string },
): Installed {
  const [first, ...more] = connectors.list(tenantId);
  if (first === undefined) throw notFound('connector');
  if (more.length > 0) throw new ApiError('invalid_parameter', 'connection is missing: the tenant has several');
  return first;
}

function exposed({ grants }: Ports, { connection, status, role }: Installed) {
  const { exposed, granted } = grants.of(connection);
  return CAPABILITY_NAMES.filter((name) => exposed.has(name)).map((name) => ({
    object: 'capability' as const,
    capability: name,
    connector: LISTING_ID,
    connection: connection.name,
    connection_id: connection.connectionId,
    role,
    side_effect: hasSideEffect(name),
    status: STATUS[status],
    granted_to: [...granted].flatMap(([operator, names]) => (names.has(name) ? [operator] : [])).sort(),
  }));
}

/** Grants of connections that are no more are not shown: they have no effect. */
function granted({ connectors, grants }: Ports, tenantId: string) {
  const names = new Map(
    connectors.list(tenantId).map(({ connection }) => [connection.connectionId, connection.name] as const),
  );
  return grants.list(tenantId).flatMap(({ connectionId, operator, capabilities, updatedAtMs, by }) => {
    const connection = names.get(connectionId);
    if (connection === undefined) return [];
    return [
      {
        object: 'grant' as const,
        operator,
        connection,
        connection_id: connectionId,
        capabilities: [...capabilities],
        updated_at: rfc3339(updatedAtMs),
        updated_by: by,
      },
    ];
  });
}

function sameAs(operator: string, connectionId: string) {
  return (one: { readonly operator: string; readonly connection_id: string }): boolean =>
    one.operator === operator && one.connection_id === connectionId;
}

function none({ connection }: Installed, operator: string): z.input<typeof grant> {
  return {
    object: 'grant',
    operator,
    connection: connection.name,
    connection_id: connection.connectionId,
    capabilities: [],
    updated_at: null,
    updated_by: null,
  };
}
