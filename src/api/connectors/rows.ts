/** Connectors and checks as the API shows them. */
import { z } from 'zod';
import { formatDuration } from '../../fibric/poll-settings.ts';
import { CAPABILITY_NAMES, hasSideEffect, LISTING_ID, TOOLS } from '../listing.ts';
import { type Check, CONNECTOR_STATUSES, type CorePorts, type Installed } from '../ports.ts';
import { rfc3339, rfc3339OrNull, time } from '../query.ts';

export const checkRow = z.strictObject({
  name: z.string(),
  ok: z.boolean().nullable().describe('Null where it could not be found out.'),
  status: z.enum(['ok', 'failed', 'unknown']),
  code: z.string().describe('unauthorized, missing_permission, rate_limited, …; `ok` where nothing is wrong.'),
  message: z.string(),
  next_step: z.string().nullable(),
});

export const connectorRow = z.strictObject({
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

export function shown({ grants }: Pick<CorePorts, 'grants'>, installed: Installed): z.input<typeof connectorRow> {
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

export function shownCheck({ name, ok, code, message, nextStep }: Check): z.input<typeof checkRow> {
  const status = ok === null ? 'unknown' : ok ? 'ok' : 'failed';
  return { name, ok, status, code, message, next_step: nextStep };
}

/** Without it less works, and what works is whole. */
export function isOptional({ code }: Check): boolean {
  return code.startsWith('optional_');
}
