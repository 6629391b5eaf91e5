/** The simulated Kustomer: its REST API, its outbound webhooks and a control surface, for any number of organisations. */

import { timingSafeEqual } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { CodedError } from '../base/errors.ts';
import { type ApiAnswer, ApiError, badParameter } from './api/route.ts';
import { ROUTES } from './api/routes.ts';
import { CONTROL_ROUTES, type ControlledOrg } from './control.ts';
import { Org, type OrgOptions } from './org.ts';
import { answerRequest, keyRefusal } from './requests/answer.ts';
import { type RequestFaultOptions, requestFaultsSchema } from './requests/faults.ts';
import { deliver } from './requests/wire.ts';
import { TrafficDriver } from './traffic-driver.ts';
import { type FaultOptions, faultsSchema } from './webhooks/faults.ts';
import { WebhookSender } from './webhooks/sender.ts';

export interface SimulatorOptions {
  readonly orgs: readonly OrgOptions[];
  /** Same seed, same ids, tokens, traffic and faults. */
  readonly seed?: string | number | undefined;
  readonly host?: string | undefined;
  /** 0 (default) takes a free one. */
  readonly port?: number | undefined;
  /** Divides the delays of the webhook retry schedule: 60 makes minutes of seconds. Default 1, as at the vendor. */
  readonly timeScale?: number | undefined;
  readonly faults?: FaultOptions | undefined;
  /** What goes wrong with requests, for every organisation; each counts for itself. */
  readonly requestFaults?: readonly RequestFaultOptions[] | undefined;
  /** Requests remembered per organisation. */
  readonly maxRequests?: number | undefined;
  /** Applied writes remembered per organisation. */
  readonly maxWrites?: number | undefined;
  /** The pod this simulator is. */
  readonly pod?: string | undefined;
  /** Deliveries waiting per webhook; events beyond are lost and counted. */
  readonly maxPending?: number | undefined;
  readonly answerTimeoutMs?: number | undefined;
  readonly nowMs?: (() => number) | undefined;
}

export interface Simulator {
  listen(): Promise<{ readonly url: string }>;
  /** Stops traffic, gives up deliveries under way, closes the server. */
  close(): Promise<void>;
  readonly orgs: readonly Org[];
  /** Does what is due by now. Happens by itself every so often; call it after moving a clock of your own. */
  tick(): void;
  /** Resolves when no delivery is pending, retries included. */
  idle(): Promise<void>;
}

/** Most endpoints of the vendor refuse more than this with 413. */
const MAX_BODY_BYTES = 100 * 1024;
const MAX_TRANSACTIONS = 10_000;
/** External ids may be 256 characters, and each may take three to write. */
const MAX_PARAMETER_LENGTH = 1024;
const POD = 'prod1';
/** How often the clock is looked at when nobody asks anything. */
const SETTLE_EVERY_MS = 100;

export function createSimulator(options: SimulatorOptions): Simulator {
  const nowMs = options.nowMs ?? Date.now;
  checkOrgs(options.orgs);
  const queue = {
    timeScale: options.timeScale ?? 1,
    maxPending: options.maxPending ?? 10_000,
    maxTransactions: MAX_TRANSACTIONS,
  };
  const setup = {
    seed: String(options.seed ?? 1),
    queue,
    nowMs: nowMs(),
    maxRequests: options.maxRequests ?? 10_000,
    maxWrites: options.maxWrites ?? 100_000,
    queued: () => sender.wake(),
  };
  const pod = options.pod ?? POD;
  const orgs = options.orgs.map((org) => new Org(org, setup));
  for (const org of orgs) {
    org.faults = faultsSchema.parse(options.faults ?? {});
    org.requestFaults.configure(requestFaultsSchema.parse(options.requestFaults ?? []));
  }
  const controlled = orgs.map((org) => ({ org, traffic: new TrafficDriver(org, { nowMs }) }));
  const sender: WebhookSender = new WebhookSender({
    registries: orgs.map((org) => org.webhooks),
    nowMs,
    answerTimeoutMs: options.answerTimeoutMs ?? 5000,
    connectionsPerOrigin: 16,
    maxConcurrent: 64,
  });
  const server = buildServer({ orgs: controlled, nowMs, pod, changed: () => sender.wake() });
  let settling: NodeJS.Timeout | null = null;
  const tick = (): void => {
    for (const org of orgs) org.settle(nowMs());
    sender.wake();
  };
  return {
    orgs,
    tick,
    listen: async () => {
      await server.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 });
      settling = setInterval(tick, SETTLE_EVERY_MS);
      const { address, port, family } = server.server.address() as AddressInfo;
      return { url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}` };
    },
    close: async () => {
      for (const { traffic } of controlled) traffic.stop();
      if (settling !== null) clearInterval(settling);
      await Promise.all([server.close(), sender.close()]);
    },
    idle: () => sender.idle(),
  };
}

interface Surroundings {
  readonly orgs: readonly ControlledOrg[];
  readonly nowMs: () => number;
  readonly pod: string;
  /** Disabling or deleting a webhook empties its queue; whoever waits for that must hear of it. */
  readonly changed: () => void;
}

function buildServer({ orgs, nowMs, pod, changed }: Surroundings): FastifyInstance {
  const server = Fastify({
    bodyLimit: MAX_BODY_BYTES,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAMETER_LENGTH },
  });
  // As text: what is no JSON counts, is logged and is refused like any other request.
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => done(null, text));
  server.addHook('onSend', async (_request, reply) => {
    reply.header('x-kustomer-pod', pod);
  });
  for (const route of ROUTES) {
    server.route({
      method: route.method,
      url: route.path,
      handler: (request, reply) => {
        const now = nowMs();
        const org = authenticated(orgs, request);
        const refused = keyRefusal(org, pod, now);
        if (refused !== null) return send(reply, refused.toAnswer());
        const { params, query, body, url } = request;
        const text = typeof body === 'string' ? body : '';
        const incoming = { route, params: strings(params), query: strings(query), text, url, nowMs: now, pod };
        const { answer, headers, fault, write } = answerRequest(org, incoming);
        if (route.method !== 'GET') changed();
        // As long as its caller may wait for it: what is answered whole is over with that, the rest with its connection.
        reply.raw.once('close', () => write?.end());
        const respond = (): FastifyReply | undefined => {
          if (fault === null || fault.kind === 'status') write?.end();
          const full = { ...answer, headers: { ...headers, 'x-kustomer-pod': pod }, body: answer.body };
          return deliver(request, reply, full, fault);
        };
        const serviceMs = org.serviceMs();
        return serviceMs === 0 ? respond() : after(serviceMs, respond);
      },
    });
  }
  for (const route of CONTROL_ROUTES) {
    server.route({
      method: route.method,
      url: route.path,
      handler: (request, reply) => {
        const asked = { orgs, body: parsed(request.body), query: strings(request.query), nowMs: nowMs() };
        const body = route.handle(asked);
        changed();
        return send(reply, { status: 200, body });
      },
    });
  }
  server.setNotFoundHandler((_request, reply) => send(reply, new ApiError(404, 'notfound', 'Not Found').toAnswer()));
  server.setErrorHandler((error, _request, reply) => send(reply, refusal(error)));
  return server;
}

/** Fastify answers with what a promise comes to. */
function after(delayMs: number, respond: () => FastifyReply | undefined): Promise<FastifyReply | undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(respond()), delayMs).unref();
  });
}

function parsed(body: unknown): unknown {
  if (typeof body !== 'string') return undefined;
  try {
    return JSON.parse(body);
  } catch {
    throw badParameter('Body is not valid JSON', 'body');
  }
}

/** Organisations are told apart by the key alone. */
function authenticated(orgs: readonly ControlledOrg[], request: FastifyRequest): Org {
  const [scheme, key] = (request.headers.authorization ?? '').split(' ');
  const found = orgs.find(({ org }) => scheme?.toLowerCase() === 'bearer' && sameText(org.apiKey, key ?? ''));
  if (found === undefined) throw new ApiError(401, 'unauthorized', 'Unauthorized');
  return found.org;
}

function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Fastify's own refusals (bad JSON, too large) carry a status; anything else is a bug of the simulator and shows as 500. */
function refusal(error: unknown): ApiAnswer {
  if (error instanceof ApiError) return error.toAnswer();
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  const status = typeof statusCode === 'number' ? statusCode : 500;
  const code = status === 413 ? 'toolarge' : status < 500 ? 'badparam' : 'internal';
  return new ApiError(status, code, String(message)).toAnswer();
}

function send(reply: FastifyReply, answer: ApiAnswer): FastifyReply {
  return reply.code(answer.status).send(answer.body);
}

function strings(value: unknown): Readonly<Record<string, string>> {
  return (value ?? {}) as Readonly<Record<string, string>>;
}

function checkOrgs(orgs: readonly OrgOptions[]): void {
  const distinct = (values: readonly string[]): boolean => new Set(values).size === values.length;
  const ids = orgs.flatMap((org) => (org.orgId === undefined ? [] : [org.orgId]));
  if (orgs.length === 0) throw new CodedError('config_invalid', 'simulator: at least one organisation is needed');
  if (!distinct(orgs.map((org) => org.name)) || !distinct(orgs.map((org) => org.apiKey)) || !distinct(ids)) {
    throw new CodedError('config_invalid', 'simulator: names, ids and API keys of organisations must differ');
  }
}
