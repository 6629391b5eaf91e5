/**
 * The API as an HTTP handler: its own Fastify, mounted by the composition root in front of whatever else the service's
 * listener serves, so that every answer below /v1 speaks one language, failures of the framework included.
 *
 * H1  Every failure has the error envelope and a request id; a fault of ours says nothing of its cause.
 * H2  In order: route → token → scope → rate → body → tenancy → form → idempotency → handler. Nothing is read of a request
 *     whose token does not allow it.
 * H3  Every answer has a deadline. What a handler does after it is its own affair: its signal has been aborted.
 * H4  Never more than `maxOpen` requests, `maxOpenPerTenant` and `maxStreamsPerTenant` streams of a tenant at a time.
 * H5  Who has no valid token is answered so often and no more; what others send without one keeps out no valid token.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { answerRoute, STREAM_END_MS } from './answer-route.ts';
import { authorize, type createAuthenticator } from './auth/authenticate.ts';
import { type RefusalRates, Refusals } from './auth/refusals.ts';
import type { Caller } from './caller.ts';
import { ApiError, errorEnvelope } from './errors.ts';
import { fromFramework } from './framework-errors.ts';
import { toApiError } from './house-errors.ts';
import type { Idempotency } from './idempotency.ts';
import { readJson } from './json-body.ts';
import type { ApiObserver } from './ports.ts';
import { RateLimiter } from './rate-limit.ts';
import { Room, type RoomSettings } from './room.ts';
import type { Route } from './route.ts';

export interface ApiServerSettings extends RoomSettings {
  readonly maxBodyBytes: number;
  /** Requests of one tenant in a minute, for each class of routes. */
  readonly ratePerMinute: number;
  /** How often callers without a valid token are told so. */
  readonly refusals: RefusalRates;
}

export const API_DEFAULTS: ApiServerSettings = {
  maxBodyBytes: 256 * 1024,
  ratePerMinute: 6_000,
  maxOpen: 1_000,
  maxOpenPerTenant: 250,
  maxStreamsPerTenant: 50,
  refusals: { perAddress: 120, overall: 6_000 },
};

export interface ApiServerOptions {
  readonly routes: readonly Route[];
  readonly authenticate: ReturnType<typeof createAuthenticator>;
  readonly idempotency: Idempotency;
  readonly clock: Clock;
  readonly random: (bytes: number) => Buffer;
  readonly observer: ApiObserver;
  readonly settings?: Partial<ApiServerSettings>;
  /** Tests hold answers against what the routes declare; a service does not, for its answers are worth more than that. */
  readonly checkAnswers?: boolean;
}

export interface ApiServer {
  /** For tests; a service uses `handle`. */
  readonly app: FastifyInstance;
  handle(request: IncomingMessage, response: ServerResponse): void;
  state(): { readonly open: number; readonly streams: number };
  /** Refuses new requests, ends streams, aborts what is under way. */
  close(): Promise<void>;
}

/** What is known of a request before its handler runs. */
export interface RequestContext {
  readonly startedAtMs: number;
  caller: Caller | null;
}

export const JSON_TYPE = 'application/json; charset=utf-8';
const REQUEST_ID = /^req_[A-Za-z0-9_-]{8,64}$/;
const MAX_PARAM_LENGTH = 512;

declare module 'fastify' {
  interface FastifyRequest {
    api: RequestContext;
  }
}

export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { routes, clock, random, observer } = options;
  const settings = { ...API_DEFAULTS, ...options.settings };
  const stop = new AbortController();
  const limiter = new RateLimiter(settings.ratePerMinute);
  const refusals = new Refusals(settings.refusals);
  const room = new Room(settings);

  const app = fastify({
    logger: false,
    bodyLimit: settings.maxBodyBytes,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    // While it closes Fastify would answer in its own words; `admit` refuses in ours (H1).
    return503OnClosing: false,
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : `req_${random(12).toString('hex')}`;
    },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH, caseSensitive: true, ignoreTrailingSlash: false },
  });
  app.decorateRequest('api');

  function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const error = fromFramework(thrown) ?? toApiError(thrown);
    if (error.status >= 500) {
      observer.failed(error.cause ?? thrown, { route: routeOf(request), requestId: request.id });
    }
    for (const [name, value] of Object.entries(error.headers)) reply.header(name, value);
    if (error.retryAfterS !== null) reply.header('retry-after', String(error.retryAfterS));
    // A body that was not read must not be taken for the next request.
    if (error.status === 413 || stop.signal.aborted) reply.header('connection', 'close');
    reply.header('x-request-id', request.id).header('cache-control', 'no-store');
    return reply
      .code(error.status)
      .type(JSON_TYPE)
      .send(JSON.stringify(errorEnvelope(error, request.id)));
  }

  app.setErrorHandler(answerError);
  const paths = routes.map(({ method, url }) => ({ method, pattern: patternOf(url) }));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const methods = paths.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
    if (methods.length === 0)
      return answerError(new ApiError('not_found', 'nothing is served at this path'), request, reply);
    const allow = [...new Set(methods)].join(', ');
    const error = new ApiError('method_not_allowed', `this path takes ${allow}`, { headers: { allow } });
    return answerError(error, request, reply);
  });

  readJson(app);
  app.addHook('onRequest', async (request, reply) => {
    request.api = { startedAtMs: clock.nowMs(), caller: null };
    reply.header('x-request-id', request.id);
    reply.header('cache-control', 'no-store');
    reply.header('x-content-type-options', 'nosniff');
  });
  app.addHook('onResponse', async (request, reply) => {
    const { startedAtMs, caller } = request.api ?? { startedAtMs: clock.nowMs(), caller: null };
    observer.answered({
      route: routeOf(request),
      method: request.method,
      status: reply.statusCode,
      durationMs: clock.nowMs() - startedAtMs,
      requestId: request.id,
      tenantId: caller?.kind === 'tenant' ? caller.tenantId : null,
      keyId: caller?.kind === 'tenant' ? caller.keyId : null,
    });
  });

  /** H5 */
  function known(request: FastifyRequest, nowMs: number): Caller {
    try {
      return options.authenticate(request.headers.authorization, nowMs);
    } catch (refusal) {
      throw refusals.answer(refusal, request.ip, nowMs);
    }
  }

  /** H2 up to the rate. */
  function admit(route: Route, request: FastifyRequest, reply: FastifyReply): void {
    if (stop.signal.aborted) throw new ApiError('unavailable', 'the service is stopping', { retryAfterS: 1 });
    const nowMs = request.api.startedAtMs;
    if (route.scope === 'public') return;
    const caller = known(request, nowMs);
    request.api.caller = caller;
    const rate = limiter.take(`${tenantKey(caller)}/${rateClassOf(route)}`, nowMs);
    reply.header('x-ratelimit-limit', String(rate.limit));
    reply.header('x-ratelimit-remaining', String(rate.remaining));
    reply.header('x-ratelimit-reset', String(Math.ceil((nowMs + rate.resetMs) / 1000)));
    authorize(caller, route.scope);
    if (!rate.allowed) {
      const retryAfterS = Math.max(1, Math.ceil(rate.retryAfterMs / 1000));
      throw new ApiError('rate_limited', `more than ${rate.limit} requests in a minute`, { retryAfterS });
    }
  }

  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.url,
      config: { id: route.id },
      onRequest: async (request, reply) => admit(route, request, reply),
      handler: async (request, reply) => {
        // Strangers share one place, and not that of the platform.
        const { caller } = request.api;
        const leave = room.enter(caller === null ? '_public' : tenantKey(caller), route.streams !== undefined);
        reply.raw.once('close', leave);
        return answerRoute(route, { ...options, stop: stop.signal }, request, reply);
      },
    });
  }
  await app.ready();

  /** Closing cuts every connection, and each stream has a last word. */
  async function streamsOver(withinMs: number): Promise<void> {
    const untilMs = Date.now() + withinMs;
    while (room.streams > 0 && Date.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  return {
    app,
    handle: (request, response) => app.routing(request, response),
    state: () => ({ open: room.open, streams: room.streams }),
    close: async () => {
      stop.abort();
      await streamsOver(STREAM_END_MS);
      await app.close();
    },
  };
}

export function tenantKey(caller: Caller | null): string {
  return caller?.kind === 'tenant' ? caller.tenantId : '_platform';
}

function rateClassOf({ rateClass, method, streams }: Route): string {
  return rateClass ?? (streams === undefined ? (method === 'GET' ? 'read' : 'write') : 'stream');
}

function routeOf(request: FastifyRequest): string {
  return (request.routeOptions?.config as { id?: string } | undefined)?.id ?? 'none';
}

function patternOf(url: string): RegExp {
  const parts = url.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : part.replaceAll('.', '\\.')));
  return new RegExp(`^${parts.join('/')}$`);
}
