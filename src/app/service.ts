/**
 * The service: starts the roles asked for behind one HTTP server, reports their health, and stops them in order.
 *
 * Shutdown: not ready → no new webhooks, no new calls → open ones get their answer → the producer drains, transactions settle
 * and groups are left → clients close. Bounded by SHUTDOWN_MS; what is late is reported and left to the broker's timeouts,
 * which lose nothing.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type FastifyInstance, fastify } from 'fastify';
import { refuseUnparsable } from '../api/unparsable.ts';
import { CodedError } from '../base/errors.ts';
import type { Envelope } from '../fibric/envelope.ts';
import type { ReceiverCounters } from '../ingest/counters.ts';
import type { Log } from '../kafka/port.ts';
import { topicNames } from '../kafka/topics.ts';
import { type ActCodec, openActing } from './acting.ts';
import { REPORT_KIND, startPollReporter } from './api/poll-reports.ts';
import { STATE_KIND } from './api/records.ts';
import { openStateWriter, type StateWriter } from './api/states.ts';
import { type Documents, openDocuments } from './control/documents.ts';
import type { ConnectionStore } from './control/store.ts';
import type { ApiRole, ApiRoleOptions } from './roles/api.ts';
import { startIngestRole } from './roles/ingest.ts';
import { type PollingRole, startPolling } from './roles/polling.ts';
import { startProcessRole } from './roles/process.ts';
import type { RoleName } from './roles/role.ts';
import { startSinkRole } from './roles/sink.ts';
import type { Settings } from './settings.ts';
import type { Logger, Metrics } from './telemetry.ts';
import { openVendor } from './vendor.ts';

export interface ServiceOptions {
  readonly settings: Settings;
  readonly roles: readonly RoleName[];
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly connections: ConnectionStore;
  readonly encode: (envelope: Envelope) => Buffer;
  /** For roles that act. */
  readonly act?: ActCodec;
  /** For the role `api`. */
  readonly api?: Pick<ApiRoleOptions, 'registry' | 'ids' | 'announce' | 'registerTenant'>;
  /** A programming error, or a client gone for good: the process must end non-zero. */
  readonly crashed: (error: unknown) => void;
  /** Where to listen, if not where the settings say; `shared`: other threads of this process listen there too. */
  readonly at?: { readonly host: string; readonly port: number; readonly shared: boolean };
  /** What `/readyz` and `/metrics` say when this is one of several threads. */
  readonly whole?: WholeProcess;
}

export interface WholeProcess {
  health(): Promise<{ readonly ready: boolean; readonly threads: readonly unknown[] }>;
  metrics(): Promise<string>;
}

export interface Service {
  readonly address: AddressInfo;
  health(): ServiceHealth;
  close(): Promise<void>;
}

export interface ServiceHealth {
  readonly ready: boolean;
  readonly roles: Readonly<Record<string, unknown>>;
}

/** A role, or what several of them share: started before them, closed after them. */
interface Part {
  readonly name: string;
  readonly shared?: true;
  health(): { readonly ready: boolean; readonly detail: unknown };
  close(): Promise<void>;
}

/** Longest time a client may take for a whole request. */
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 65_000;
/** Roles that call Kustomer. */
const CALLERS: readonly RoleName[] = ['poll', 'sink', 'api'];
/** Roles that act. */
const ACTORS: readonly RoleName[] = ['sink', 'api'];

export async function startService(options: ServiceOptions): Promise<Service> {
  const { settings, logger, metrics, connections } = options;
  const parts: Part[] = [];
  let stopping = false;
  const health = (): ServiceHealth => {
    const told = parts.map((part) => [part.name, part.health()] as const);
    const control = connections.health();
    return {
      ready: !stopping && control.ready && told.every(([, { ready }]) => ready),
      roles: Object.fromEntries([['control', control], ...told]),
    };
  };
  // Parts that have started must not outlive a failed start: they would retry in the background for ever.
  const abandon = async (error: unknown): Promise<never> => {
    const closing = closeInOrder(parts, async () => undefined);
    await withinDeadline(closing, settings.shutdownMs).catch((err) =>
      logger.warn({ event: 'service.abandoned', err }, 'some parts did not close cleanly'),
    );
    throw error;
  };
  const started = await start(options, parts).catch(abandon);
  const whole = options.whole ?? { health: async () => health(), metrics: () => metrics.text() };
  addHealthRoutes(started.app, whole, metrics.contentType);
  metrics.onScrape(() => {
    const { connections: usable, unreadable } = connections.health();
    metrics.set('cnk_connections', usable);
    metrics.set('cnk_connections_unreadable', unreadable);
  });
  const address = await started.listen().catch((error) => abandon(addressRefused(error, settings)));
  logger.info(
    { event: 'service.listening', host: address.address, port: address.port, roles: options.roles },
    'listening',
  );
  return {
    address,
    health,
    close: async () => {
      stopping = true;
      const closing = closeInOrder(parts, started.close);
      await withinDeadline(closing, settings.shutdownMs);
    },
  };
}

interface Server {
  readonly app: FastifyInstance;
  listen(): Promise<AddressInfo>;
  /** Only for a server no role owns. */
  close(): Promise<void>;
}

async function start(options: ServiceOptions, parts: Part[]): Promise<Server> {
  const { settings } = options;
  const { host, port, shared } = options.at ?? { ...settings, shared: false };
  const at = { host, port, ...(shared && { reusePort: true }) };
  const has = (role: RoleName) => options.roles.includes(role);
  if (has('process')) {
    // It takes nothing in, so it must not depend on tokens it may not be able to open.
    const described = { get: (connectionId: string) => options.connections.describe(connectionId) };
    parts.push(await startProcessRole({ ...options, connections: described }));
  }
  let counters: ReceiverCounters | undefined;
  let api: ApiRole | undefined;
  let ownUrl: string | null = null;
  // With other threads beside it, this one's receiver sees a part of the deliveries only.
  const received = () => (options.whole === undefined ? counters : undefined);
  if (CALLERS.some(has)) {
    const vendor = await openVendor(options);
    parts.push({ name: 'vendor', shared: true, health: vendor.health, close: vendor.close });
    const acting = ACTORS.some(has) ? await openActing(options) : undefined;
    if (acting !== undefined) parts.push({ name: 'acting', shared: true, health: acting.health, close: acting.close });
    let polling: PollingRole | undefined;
    if (has('poll')) {
      const { documents, writer } = await tellStates(options, acting?.documents, parts);
      const { changed: stateChanged } = writer;
      const started = await startPolling({ ...options, clients: vendor.clients, received, stateChanged });
      polling = started;
      parts.push(started);
      const reporter = startPollReporter({
        ...{ table: documents.table(REPORT_KIND), id: randomUUID(), polls: () => started.polls() },
        acceptedAtMs: (connectionId) => counters?.lastAcceptedAtMs.get(connectionId) ?? null,
        ...{ logger: options.logger, clock: options.log.clock },
      });
      // Others go on without what it tells, and say so.
      parts.push({
        name: 'reports',
        health: () => ({ ready: true, detail: reporter.health() }),
        close: reporter.close,
      });
    }
    if (acting !== undefined) {
      const { act: codec } = options;
      if (codec === undefined) throw new TypeError('Roles that act need a codec');
      if (has('sink')) parts.push(await startSinkRole({ ...options, clients: vendor.clients, acting, codec }));
      if (has('api')) {
        if (options.api === undefined) throw new TypeError('The role api needs schemas');
        // The largest part of the program, which other roles need not keep in memory.
        const { startApiRole } = await import('./roles/api.ts');
        api = await startApiRole({
          ...{ ...options, ...options.api },
          ...{ clients: vendor.clients, acting, codec },
          ownUrl: () => (has('ingest') ? ownUrl : null),
          pollsOf: (scope) => polling?.pollsOf(scope),
          lastAcceptedAtMs: (connectionId) => counters?.lastAcceptedAtMs.get(connectionId) ?? null,
        });
        parts.push(api);
      }
    }
  }
  const before = (request: IncomingMessage, response: ServerResponse) => api?.handle(request, response) === true;
  const listening = (address: AddressInfo): AddressInfo => {
    ownUrl = `http://${address.family === 'IPv6' ? `[${loopbackOf(address)}]` : loopbackOf(address)}:${address.port}`;
    return address;
  };
  if (has('ingest')) {
    const ingest = await startIngestRole({ ...options, before });
    parts.push(ingest);
    const { receiver } = ingest;
    counters = receiver.counters;
    const listen = async () => listening(await receiver.listen(at));
    return { app: receiver.app, listen, close: async () => undefined };
  }
  const app = fastify({
    logger: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: (error, socket) =>
      refuseUnparsable(error, socket, () => `req_${randomUUID().replaceAll('-', '')}`),
    serverFactory: (route) =>
      createServer({ requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
        if (!before(request, response)) route(request, response);
      }),
  });
  const listen = async () => {
    await app.listen(at);
    return listening(app.server.address() as AddressInfo);
  };
  return { app, listen, close: () => app.close() };
}
/** What is found of connections here, for all processes to know. */
async function tellStates(
  { settings, log, logger }: ServiceOptions,
  shared: Documents | undefined,
  parts: Part[],
): Promise<{ readonly documents: Documents; readonly writer: StateWriter }> {
  const documents = shared ?? (await openDocuments({ log, topic: topicNames(settings.topicPrefix).control, logger }));
  const writer = openStateWriter({ table: documents.table(STATE_KIND), logger, clock: log.clock });
  parts.push({
    name: 'states',
    shared: true,
    health: () => ({ ready: documents.health().ready, detail: { pending: writer.pending() } }),
    close: async () => {
      await writer.close();
      if (shared === undefined) await documents.close();
    },
  });
  return { documents, writer };
}

/** Where this process reaches itself. */
function loopbackOf({ address }: AddressInfo): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  return address === '::' ? '::1' : address;
}

/** An address that cannot be had is a matter of settings, not a fault of the program. */
export function addressRefused(error: NodeJS.ErrnoException, { host, port }: Settings): unknown {
  const codes = ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND'];
  if (error.code === undefined || !codes.includes(error.code)) return error;
  return new CodedError('config_invalid', `HOST, PORT: cannot listen on ${host}:${port} (${error.code})`, {
    host,
    port,
  });
}

/** `/healthz` answers while the process lives, `/readyz` only while its work gets done. */
function addHealthRoutes(
  app: FastifyInstance,
  whole: { health(): Promise<{ readonly ready: boolean }>; metrics(): Promise<string> },
  contentType: string,
): void {
  app.get('/healthz', async () => ({ status: 'alive' }));
  app.get('/readyz', async (_request, reply) => {
    const now = await whole.health();
    return reply.code(now.ready ? 200 : 503).send({ status: now.ready ? 'ready' : 'not ready', ...now });
  });
  app.get('/metrics', async (_request, reply) => reply.type(contentType).send(await whole.metrics()));
}

/** Roles side by side: each has in flight what may take a while, and together they have one deadline. */
async function closeInOrder(parts: readonly Part[], closeServer: () => Promise<void>): Promise<void> {
  const errors: unknown[] = [];
  const close = (one: () => Promise<void>) => one().catch((error) => errors.push(error));
  const roles = parts.filter(({ shared }) => shared !== true);
  await Promise.all(roles.map((role) => close(() => role.close())));
  for (const part of parts.filter(({ shared }) => shared === true).reverse()) await close(() => part.close());
  await close(closeServer);
  if (errors.length > 0) throw new AggregateError(errors, 'Some parts did not close cleanly');
}

async function withinDeadline(work: Promise<void>, deadlineMs: number): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new CodedError('shutting_down', `Shutdown took longer than ${deadlineMs} ms`)),
    deadlineMs,
  );
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
