/**
 * The HTTP server that takes webhooks in: `POST /webhooks/kustomer/<connection>`.
 *
 * Fastify serves every route; requests below the webhook path are answered in front of its router, which saves about a
 * tenth of the CPU of a request (bench/receiver-http.ts).
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { type ErrorAnswer, errorBody, rawError } from './answer.ts';
import type { ReceiverCounters } from './counters.ts';
import type { ConnectionLookup, RawAppender, ReceiverLogger } from './ports.ts';
import { createWebhookHandler, type HandlerSettings, type HandlerState } from './webhook-handler.ts';
import { WEBHOOK_PATH } from './webhook-path.ts';

export interface ReceiverSettings extends Omit<HandlerSettings, 'topic'> {
  /** Longest time a sender may take for a whole request. */
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly maxConnections: number;
}

export const RECEIVER_DEFAULTS: ReceiverSettings = {
  maxBodyBytes: 1_048_576,
  appendTimeoutMs: 5_000,
  maxOpenRequests: 10_000,
  maxHeldBytes: 64 * 1_048_576,
  retryAfterS: 5,
  alarmIntervalMs: 60_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  maxConnections: 10_000,
};

/** How long a failed append makes the receiver unhealthy when nothing else is appended. */
const UNHEALTHY_MS = 15_000;

export interface ReceiverOptions {
  readonly topic: string;
  readonly connections: ConnectionLookup;
  readonly appender: RawAppender;
  readonly logger: ReceiverLogger;
  readonly settings?: Partial<ReceiverSettings>;
  readonly nowMs?: () => number;
  /** Asked first about requests that are no webhooks; true = it answers. */
  readonly before?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface ReceiverHealth extends HandlerState {
  /**
   * Listening, not stopping, and not failing to append. A failure counts until the next acknowledgement, but not for
   * longer than UNHEALTHY_MS: without traffic there would be no acknowledgement, and without health no traffic.
   */
  readonly healthy: boolean;
  readonly listening: boolean;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  readonly reusePort?: boolean;
}

export interface Receiver {
  /** For further routes (health, metrics), to be added before `listen`. */
  readonly app: FastifyInstance;
  readonly counters: ReceiverCounters;
  /** `reusePort`: several servers of this machine may listen there, and the kernel deals out connections. */
  listen(address: ListenAddress): Promise<AddressInfo>;
  /** Refuses new deliveries, lets open ones get their answer, and cuts what is left after `deadlineMs`. */
  close(deadlineMs?: number): Promise<void>;
  health(): ReceiverHealth;
}

export function createReceiver(options: ReceiverOptions): Receiver {
  const settings = { ...RECEIVER_DEFAULTS, ...options.settings };
  const nowMs = options.nowMs ?? Date.now;
  const handler = createWebhookHandler({
    ...settings,
    topic: options.topic,
    connections: options.connections,
    appender: options.appender,
    logger: options.logger,
    nowMs,
  });

  const app = fastify({
    logger: false,
    genReqId: () => randomUUID(),
    forceCloseConnections: 'idle',
    clientErrorHandler: refuseUnparsable,
    serverFactory: (route) =>
      createHttpServer(settings, handler.handle, (request, response) => {
        if (options.before?.(request, response) !== true) route(request, response);
      }),
  });
  app.setNotFoundHandler((request, reply) => {
    const answer: ErrorAnswer = { status: 404, code: 'route_unknown', message: 'nothing is served at this path' };
    return reply.code(404).type('application/json; charset=utf-8').send(errorBody(answer, request.id));
  });
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode !== undefined && error.statusCode < 500 ? error.statusCode : 500;
    if (status === 500)
      options.logger.error({ event: 'http.failed', err: error, requestId: request.id }, 'a route failed');
    const answer: ErrorAnswer =
      status === 500
        ? { status, code: 'internal', message: 'something went wrong here' }
        : { status, code: 'request_malformed', message: error.message };
    return reply.code(status).type('application/json; charset=utf-8').send(errorBody(answer, request.id));
  });

  return {
    app,
    counters: handler.counters,
    async listen(address) {
      await app.listen(address);
      return app.server.address() as AddressInfo;
    },
    async close(deadlineMs = 8_000) {
      handler.shutDown();
      const cut = setTimeout(() => app.server.closeAllConnections(), deadlineMs);
      await app.close();
      clearTimeout(cut);
    },
    health() {
      const state = handler.state();
      const listening = app.server.listening;
      const failing = state.failedSinceAck > 0 && nowMs() - (state.lastFailureAtMs ?? 0) < UNHEALTHY_MS;
      return { ...state, listening, healthy: listening && !state.shuttingDown && !failing };
    },
  };
}

function createHttpServer(
  settings: ReceiverSettings,
  webhook: (request: IncomingMessage, response: ServerResponse, connectionId: string) => void,
  route: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const server = createServer(
    {
      requestTimeout: settings.requestTimeoutMs,
      headersTimeout: settings.requestTimeoutMs,
      // How often Node looks for requests that are late; its default would let a short timeout pass unnoticed.
      connectionsCheckingInterval: Math.ceil(settings.requestTimeoutMs / 4),
      keepAliveTimeout: settings.keepAliveTimeoutMs,
    },
    (request, response) => {
      const url = request.url as string;
      if (!url.startsWith(WEBHOOK_PATH)) return route(request, response);
      const query = url.indexOf('?', WEBHOOK_PATH.length);
      webhook(request, response, url.slice(WEBHOOK_PATH.length, query === -1 ? undefined : query));
    },
  );
  server.maxConnections = settings.maxConnections;
  return server;
}

/** Bytes that are no HTTP request: answered in our own form, and the connection is closed. */
function refuseUnparsable(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (!socket.writable) return void socket.destroy();
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
  socket.end(rawError({ status, code: 'request_malformed', message: 'not a well-formed HTTP request' }, randomUUID()));
}
