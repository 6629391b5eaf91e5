/** What is asked about an installed connector's health: its contract, and its webhooks as Kustomer has them. */
import { z } from 'zod';
import { CONNECTOR_STATUSES, type ConnectorsPort } from '../ports.ts';
import { rfc3339OrNull, time } from '../query.ts';
import { defineRoute, type Route } from '../route.ts';
import { ASKING_MS, type Find, refParams } from './find.ts';
import { checkRow, isOptional, shownCheck } from './rows.ts';

export function healthRoutes(connectors: ConnectorsPort, found: Find): readonly Route[] {
  return [
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
          checks: z.array(checkRow),
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
  ];
}
