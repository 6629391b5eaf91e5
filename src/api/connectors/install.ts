/** `POST /v1/connectors`: installs one, or changes the one of that name, and says what the key may do. */
import { z } from 'zod';
import { Secret } from '../../base/secret.ts';
import { ApiError } from '../errors.ts';
import { CONFIG_PARAMETERS, LISTING_ID } from '../listing.ts';
import { connectionName } from '../names.ts';
import type { Check, CorePorts } from '../ports.ts';
import { defineRoute, type Route } from '../route.ts';
import { checkConfig } from './config-input.ts';
import { ASKING_MS } from './find.ts';
import { checkRow, connectorRow, isOptional, shown, shownCheck } from './rows.ts';

const probed = connectorRow.extend({
  created: z.boolean().describe('False where a connection of this name was changed.'),
  key_stored: z.boolean().describe('False where Kustomer refuses the new key: then the present one stays.'),
  probe: z.strictObject({ status: z.enum(['ready', 'degraded', 'error']), checks: z.array(checkRow) }),
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

export function installRoute(ports: Pick<CorePorts, 'connectors' | 'grants'>): Route {
  const { connectors } = ports;
  return defineRoute({
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
  });
}

/** Without a key that works there is nothing; all else leaves something that works. */
function probeStatus(checks: readonly Check[]): 'ready' | 'degraded' | 'error' {
  if (checks.some(({ name, ok, code }) => name === 'authentication' && ok === false && code !== 'rate_limited')) {
    return 'error';
  }
  return checks.every((check) => check.ok === true || isOptional(check)) ? 'ready' : 'degraded';
}
