/** `GET /v1/events/stream` and `GET /v1/receipts/stream`. */
import { z } from 'zod';
import type { TenantCaller } from '../caller.ts';
import { ApiError } from '../errors.ts';
import { flag } from '../query.ts';
import { defineRoute, type Route, type RouteRequest } from '../route.ts';
import { type EventShelf, eventFilter, eventFilterQuery } from './events.ts';
import type { DataPorts } from './ports.ts';
import { type ReceiptShelf, receiptFilter, receiptFilterQuery } from './receipts.ts';
import type { Shelf } from './shelf.ts';
import { sinceMs, sinceQuery } from './since.ts';
import { eventStream, type StreamStart } from './stream.ts';

const STREAM = 'text/event-stream';

const startQuery = {
  since: sinceQuery,
  cursor: z
    .string()
    .max(2048)
    .optional()
    .describe('Go on behind it: the `id` of a frame, or the `cursor` of an entry.'),
  follow: flag().default(true).describe('`false`: what there is, and no more.'),
};

type Asked = Pick<RouteRequest<TenantCaller, never, never, never>, 'caller' | 'nowMs' | 'headers'>;
interface StartQuery {
  readonly since?: string | undefined;
  readonly cursor?: string | undefined;
}

export interface StreamRouteOptions extends Pick<DataPorts, 'log' | 'isLive' | 'connections'> {
  readonly events: EventShelf;
  readonly receipts: ReceiptShelf;
}

export function streamRoutes({ events, receipts, log, isLive, connections }: StreamRouteOptions): readonly Route[] {
  const { clock } = log;
  const live = (caller: TenantCaller) => () => isLive(caller, clock.nowMs());
  return [
    defineRoute({
      id: 'streamEvents',
      method: 'GET',
      url: '/v1/events/stream',
      summary: 'Events as they come, as server-sent events.',
      tag: 'events',
      scope: 'events:read',
      query: z.strictObject({ ...eventFilterQuery, ...startQuery }),
      response: { 200: z.string() },
      streams: STREAM,
      handler: async ({ caller, query: { follow, since, cursor, ...filters }, signal, nowMs, headers }) => ({
        contentType: STREAM,
        stream: eventStream(events, {
          tenantId: caller.tenantId,
          event: 'envelope',
          filter: eventFilter(filters),
          start: startOf(events, { since, cursor }, { caller, nowMs, headers }),
          follow,
          signal,
          isLive: live(caller),
          clock,
        }),
      }),
    }),
    defineRoute({
      id: 'streamReceipts',
      method: 'GET',
      url: '/v1/receipts/stream',
      summary: 'Receipts as they are written, as server-sent events.',
      tag: 'receipts',
      scope: 'receipts:read',
      query: z.strictObject({ ...receiptFilterQuery, ...startQuery }),
      response: { 200: z.string() },
      streams: STREAM,
      handler: async ({ caller, query: { follow, since, cursor, ...filters }, signal, nowMs, headers }) => ({
        contentType: STREAM,
        stream: eventStream(receipts, {
          tenantId: caller.tenantId,
          event: 'receipt',
          filter: receiptFilter(filters, (ref) => connections.find(caller.tenantId, ref)),
          start: startOf(receipts, { since, cursor }, { caller, nowMs, headers }),
          follow,
          signal,
          isLive: live(caller),
          clock,
        }),
      }),
    }),
  ];
}

/** Who comes back with Last-Event-ID asks with the address of the first time: what that says of the beginning is over. */
function startOf<T, R>(shelf: Shelf<T, R>, { since, cursor }: StartQuery, asked: Asked): StreamStart {
  const { caller, nowMs, headers } = asked;
  const last = headers['last-event-id'];
  const isBack = typeof last === 'string' && last !== '';
  if (!isBack && cursor !== undefined && since !== undefined) {
    throw new ApiError('invalid_parameter', 'give `since` or `cursor`, not both');
  }
  const from = isBack ? last : cursor;
  if (from !== undefined) return { kind: 'cursor', positions: shelf.readStreamCursor(caller.tenantId, from) };
  const beginMs = sinceMs(since, nowMs);
  return beginMs === undefined ? { kind: 'now' } : { kind: 'since', sinceMs: beginMs };
}
