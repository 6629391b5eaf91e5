/** Installed connectors: installing, reading, removing, and what can be asked about their health. */
import { z } from 'zod';
import { Secret } from '../base/secret.ts';
import { formatDuration } from '../fibric/poll-settings.ts';
import { checkConfig } from './config-input.ts';
import { ApiError, notFound } from './errors.ts';
import { CAPABILITY_NAMES, CONFIG_PARAMETERS, hasSideEffect, LISTING_ID, TOOLS } from './listing.ts';
import { connectionName, connectionRef } from './names.ts';
import { listOf, pageQuery, paginate, timeKey } from './pagination.ts';
import { type Check, CONNECTOR_STATUSES, type CorePorts, type Installed } from './ports.ts';
import { rfc3339, rfc3339OrNull, time } from './query.ts';
import { defineRoute, type Route } from './route.ts';

type Ports = Pick<CorePorts, 'connectors' | 'grants'>;

export const refParams = z.object({ ref: connectionRef });

const checkSchema = z.strictObject({
  name: z.string(),
  ok: z.boolean().nullable().describe('Null where it could not be found out.'),
  status: z.enum(['ok', 'failed', 'unknown']),
  code: z.string().describe('unauthorized, missing_permission, rate_limited, …; `ok` where nothing is wrong.'),
  message: z.string(),
  next_step: z.string().nullable(),
});

const connector = z.strictObject({
  object: z.literal('connector'),
  id: z.string(),
  listing: z.string(),
  name: z.string(),
  role: z.string().nullable(),
  kind: z.literal('saas'),
  transport: z.literal('mcp'),
  capabilities: z.array(z.string()),
  tools: z.array(z.strictObject({ name: z.string(), capability: z.string(), side_effect: z.boolean() })),
  auth: z.strictObject({ type: z.literal('api_key'), hint: z.string().nullable() }),
  config: z.record(z.string(), z.union([z.string(), z.boolean()]).nullable()),
  status: z.enum(CONNECTOR_STATUSES),
  status_detail: z.string().nullable(),
  webhook_url: z.string().nullable(),
  installed_at: time,
  last_sense_at: time.nullable(),
});

const probed = connector.extend({
  created: z.boolean().describe('False where a connection of this name was changed.'),
  key_stored: z.boolean().describe('False where Kustomer refuses the new key: then the present one stays.'),
  probe: z.strictObject({ status: z.enum(['ready', 'degraded', 'error']), checks: z.array(checkSchema) }),
});

const installBody = z.strictObject({
  listing: z.literal(LISTING_ID).default(LISTING_ID),
  name: connectionName.optional().describe('Default: the id of the listing.'),
  role: z.literal('support').optional().describe('The role it is bound to.'),
  config: z
    .record(z.string(), z.unknown())
    .default({})
    .meta({
      description: 'Never a credential.',
      properties: Object.fromEntries(
        CONFIG_PARAMETERS.map(({ name, type, description }) => [name, { type: [type, 'null'], description }]),
      ),
      additionalProperties: false,
    }),
  api_key: z
    .string()
    .regex(/^[\x21-\x7e]{8,8192}$/, 'is 8 to 8192 printable characters without spaces')
    .optional()
    .describe('Absent = the present one stays. It is sealed and never shown again.'),
  webhook_token: z
    .string()
    .regex(/^[\x21-\x7e]{8,512}$/, 'is 8 to 512 printable characters without spaces')
    .optional()
    .describe('Token of a webhook that was made by hand; deliveries signed with it are taken from then on.'),
});

/** Each is held in memory by every process, and polled. */
export const MAX_CONNECTORS = 200;

/** Kustomer may be asked several things, one after another. */
const ASKING_MS = 60_000;

export function connectorRoutes(ports: Ports): readonly Route[] {
  const { connectors } = ports;
  const found = (tenantId: string, ref: string): Installed => {
    const one = connectors.find(tenantId, ref);
    if (one === undefined) throw notFound('connector');
    return one;
  };
  return [
    defineRoute({
      id: 'installConnector',
      method: 'POST',
      url: '/v1/connectors',
      summary: 'Install a connector, or change the one of this name: its key, role and configuration. Probes the key.',
      tag: 'connectors',
      scope: 'connectors:write',
      body: installBody,
      response: { 200: probed, 201: probed },
      idempotent: {},
      timeoutMs: ASKING_MS,
      handler: async ({ caller, body, signal }) => {
        const config = checkConfig(body.config);
        const { tenantId, resellerId, workspaceId } = caller;
        const name = body.name ?? LISTING_ID;
        const all = connectors.list(tenantId);
        if (all.length >= MAX_CONNECTORS && !all.some(({ connection }) => connection.name === name)) {
          throw new ApiError('state_conflict', `the tenant has ${MAX_CONNECTORS} connectors; remove some first`);
        }
        const { installed, created, keyStored, checks } = await connectors.install({
          tenantId,
          resellerId,
          workspaceId,
          name,
          role: body.role,
          config,
          apiKey: body.api_key === undefined ? undefined : new Secret(body.api_key),
          webhookToken: body.webhook_token === undefined ? undefined : new Secret(body.webhook_token),
          signal,
        });
        const probe = { status: probeStatus(checks), checks: checks.map(shownCheck) };
        return {
          status: created ? 201 : 200,
          body: { ...shown(ports, installed), created, key_stored: keyStored, probe },
        };
      },
    }),
    defineRoute({
      id: 'listConnectors',
      method: 'GET',
      url: '/v1/connectors',
      summary: 'The installed connectors, newest first.',
      tag: 'connectors',
      scope: 'connectors:read',
      query: z.strictObject({ ...pageQuery, status: z.enum(CONNECTOR_STATUSES).optional() }),
      response: { 200: listOf(connector) },
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
      response: { 200: connector },
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
      response: { 200: connector },
      handler: async ({ caller, params }) => {
        const installed = found(caller.tenantId, params.ref);
        const body = shown(ports, installed);
        await connectors.remove(caller.tenantId, installed.connection.connectionId);
        return { body };
      },
    }),
    defineRoute({
      id: 'checkConnector',
      method: 'POST',
      url: '/v1/connectors/:ref/contract',
      summary: 'Check what the connector depends on: webhooks, signature, polls, permissions, budget.',
      tag: 'connectors',
      scope: 'connectors:read',
      params: refParams,
      body: z.strictObject({}),
      response: {
        200: z.strictObject({
          object: z.literal('contract_report'),
          connector: z.string(),
          ok: z.boolean(),
          checks: z.array(checkSchema),
        }),
      },
      timeoutMs: ASKING_MS,
      handler: async ({ caller, params, signal }) => {
        const { connection } = found(caller.tenantId, params.ref);
        const checks = await connectors.contract(caller.tenantId, connection.connectionId, signal);
        const ok = checks.every((check) => check.ok !== false || isOptional(check));
        return {
          body: {
            object: 'contract_report' as const,
            connector: connection.connectionId,
            ok,
            checks: checks.map(shownCheck),
          },
        };
      },
    }),
    defineRoute({
      id: 'getWebhook',
      method: 'GET',
      url: '/v1/connectors/:ref/webhook',
      summary: 'How the webhooks of the connection are, as Kustomer tells it now.',
      tag: 'connectors',
      scope: 'connectors:read',
      params: refParams,
      response: {
        200: z.strictObject({
          object: z.literal('webhook_health'),
          connector: z.string(),
          url: z.string().nullable(),
          tokens: z.number().int(),
          status: z.enum(CONNECTOR_STATUSES),
          reason: z.string().nullable(),
          message: z.string(),
          webhooks: z.array(
            z.strictObject({
              id: z.string(),
              current: z.boolean(),
              enabled: z.boolean().nullable(),
              last_delivered_at: time.nullable(),
              failures_since: z.number().int().nullable(),
              missing_events: z.array(z.string()),
            }),
          ),
        }),
      },
      timeoutMs: ASKING_MS,
      handler: async ({ caller, params, signal }) => {
        const { connection } = found(caller.tenantId, params.ref);
        const report = await connectors.webhook(caller.tenantId, connection.connectionId, signal);
        return {
          body: {
            object: 'webhook_health' as const,
            connector: connection.connectionId,
            url: report.url,
            tokens: report.tokens,
            status: report.state,
            reason: report.reason,
            message: report.message,
            webhooks: report.webhooks.map((one) => ({
              id: one.id,
              current: one.current,
              enabled: one.enabled,
              last_delivered_at: rfc3339OrNull(one.lastDeliveredAtMs),
              failures_since: one.failuresSince,
              missing_events: [...one.missingEvents],
            })),
          },
        };
      },
    }),
    ...backfillRoutes(ports, found),
  ];
}

const backfill = z.strictObject({
  object: z.literal('backfill'),
  connector: z.string(),
  stream: z.string(),
  status: z.enum(['waiting', 'off', 'running', 'paused', 'done', 'unreadable']),
  since: z.string().nullable(),
  covered_from: z.string().nullable().describe('Everything from here on is read.'),
  read_up_to: z.string().nullable(),
  rows_done: z.number(),
  rows_left: z.number().nullable(),
  updated_at: z.string().nullable(),
});

function backfillRoutes({ connectors }: Ports, found: (tenantId: string, ref: string) => Installed): readonly Route[] {
  const shownAll = async (tenantId: string, connectionId: string) =>
    (await connectors.backfills(tenantId, connectionId)).map((one) => ({
      object: 'backfill' as const,
      connector: connectionId,
      stream: one.stream,
      status: one.status,
      since: one.since,
      covered_from: one.coveredFrom,
      read_up_to: one.readUpTo,
      rows_done: one.rowsDone,
      rows_left: one.rowsLeft,
      updated_at: one.updatedAt,
    }));
  return [
    defineRoute({
      id: 'listBackfills',
      method: 'GET',
      url: '/v1/connectors/:ref/backfills',
      summary: 'How far the reading of history has come, for each stream.',
      tag: 'connectors',
      scope: 'connectors:read',
      params: refParams,
      query: z.strictObject(pageQuery),
      response: { 200: listOf(backfill) },
      handler: async ({ caller, params, query }) => {
        const { connectionId } = found(caller.tenantId, params.ref).connection;
        const all = await shownAll(caller.tenantId, connectionId);
        const binding = { route: 'listBackfills', tenantId: caller.tenantId, filters: { connectionId } };
        return { body: paginate(all, { ...query, binding, keyOf: ({ stream }) => stream, order: 'ascending' }) };
      },
    }),
    defineRoute({
      id: 'startBackfill',
      method: 'POST',
      url: '/v1/connectors/:ref/backfills',
      summary: 'Read history from a date on; what was read before is recognised and not published again.',
      tag: 'connectors',
      scope: 'connectors:write',
      params: refParams,
      body: z.strictObject({ since: z.string().max(40).describe('ISO 8601 date or instant.') }),
      response: { 202: listOf(backfill) },
      idempotent: {},
      handler: async ({ caller, params, body }) => {
        const { connectionId } = found(caller.tenantId, params.ref).connection;
        await connectors.startBackfill(caller.tenantId, connectionId, body.since);
        const data = await shownAll(caller.tenantId, connectionId);
        return { status: 202, body: { object: 'list' as const, data, has_more: false, next_cursor: null } };
      },
    }),
  ];
}

function shown({ grants }: Ports, installed: Installed): z.input<typeof connector> {
  const { connection, authHint, role, status, statusDetail, webhookUrl, lastSenseAtMs } = installed;
  const { exposed } = grants.of(connection);
  const { settings } = connection;
  return {
    object: 'connector',
    id: connection.connectionId,
    listing: LISTING_ID,
    name: connection.name,
    role,
    kind: 'saas',
    transport: 'mcp',
    capabilities: CAPABILITY_NAMES.filter((name) => exposed.has(name)),
    tools: TOOLS.filter(({ capability }) => exposed.has(capability)).map(({ name, capability }) => ({
      name,
      capability,
      side_effect: hasSideEffect(capability),
    })),
    auth: { type: 'api_key', hint: authHint },
    config: {
      subdomain: connection.subdomain,
      poll_interval: formatDuration(settings.pollIntervalMs),
      backfill_since: rfc3339OrNull(settings.backfillSinceMs),
      extended_events: settings.extendedEvents,
      order_klass: settings.orderKlass,
      machine_user: settings.machineUserId,
      api_base_url: connection.apiBaseUrl,
    },
    status,
    status_detail: statusDetail,
    webhook_url: webhookUrl,
    installed_at: rfc3339(connection.startedAtMs),
    last_sense_at: rfc3339OrNull(lastSenseAtMs),
  };
}

function shownCheck({ name, ok, code, message, nextStep }: Check): z.input<typeof checkSchema> {
  const status = ok === null ? 'unknown' : ok ? 'ok' : 'failed';
  return { name, ok, status, code, message, next_step: nextStep };
}

/** Without it less works, and what works is whole. */
function isOptional({ code }: Check): boolean {
  return code.startsWith('optional_');
}

/** Without a key that works there is nothing; all else leaves something that works. */
function probeStatus(checks: readonly Check[]): 'ready' | 'degraded' | 'error' {
  if (checks.some(({ name, ok, code }) => name === 'authentication' && ok === false && code !== 'rate_limited')) {
    return 'error';
  }
  return checks.every((check) => check.ok === true || isOptional(check)) ? 'ready' : 'degraded';
}
