/** Reading of history: how far it has come, and to begin another. */
import { z } from 'zod';
import { listOf, pageQuery, paginate } from '../pagination.ts';
import type { ConnectorsPort } from '../ports.ts';
import { defineRoute, type Route } from '../route.ts';
import { type Find, refParams } from './find.ts';

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

export function backfillRoutes(connectors: ConnectorsPort, found: Find): readonly Route[] {
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
