/**
 * The api role: the control API on the service's own listener. Its state is documents of the control topic, so any number
 * of processes serve it: what one writes it sees at once, and the others as soon as they have read it.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createAuthenticator } from '../../api/auth/authenticate.ts';
import { TENANT_KIND, TOKEN_KIND } from '../../api/auth/records.ts';
import { TokenBook } from '../../api/auth/token-book.ts';
import { IDEMPOTENCY_KIND, Idempotency } from '../../api/idempotency.ts';
import { apiRoutes } from '../../api/index.ts';
import { createApiServer } from '../../api/server.ts';
import { sweepTokens } from '../../api/tokens.ts';
import type { Log } from '../../kafka/port.ts';
import type { SchemaRegistryPort } from '../../kafka/registry.ts';
import { topicNames } from '../../kafka/topics.ts';
import type { ActCodec, Acting } from '../acting.ts';
import { settleAdminToken } from '../api/admin-token.ts';
import { type ConnectorsOptions, openConnectors } from '../api/connectors.ts';
import { openDataPart } from '../api/data.ts';
import { createApiObserver } from '../api/observer.ts';
import { REPORT_KIND } from '../api/poll-reports.ts';
import { BINDING_KIND, STATE_KIND } from '../api/records.ts';
import type { ConnectionStore } from '../control/store.ts';
import { openBackfillOrders } from '../poll/backfill-orders.ts';
import type { Clients } from '../poll/clients.ts';
import { openRegistry, registerSchemas, type SchemaIds } from '../schemas.ts';
import type { Settings } from '../settings.ts';
import type { Logger, Metrics } from '../telemetry.ts';
import { reconcileTopics, topicSettings } from '../topic-settings.ts';
import type { Role } from './role.ts';

export interface ApiRoleOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly connections: ConnectionStore;
  readonly clients: Clients;
  readonly acting: Acting;
  readonly codec: ActCodec;
  readonly registry: Pick<SchemaRegistryPort, 'schemaById'>;
  readonly ids: Pick<SchemaIds, 'command'>;
  /** Default: at the registry of the settings. */
  readonly registerTenant?: (tenantId: string) => Promise<void>;
  /** Where this process takes webhooks, for it to deliver one to itself; null where it takes none. */
  readonly ownUrl: () => string | null;
  /** How the polls of a connection stand; undefined where another process polls it. */
  readonly pollsOf: ConnectorsOptions['pollsOf'];
  /** When this process last took a webhook of it. */
  readonly lastAcceptedAtMs: ConnectorsOptions['lastAcceptedAtMs'];
  /** Tells a person, once, what can be told only now. */
  readonly announce: (text: string) => void;
}

export interface ApiRole extends Role {
  /** True where it takes the request: everything below /v1. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
}

const SWEEP_EVERY_MS = 60_000;
const PATH = /^\/v1(?:[/?]|$)/;

export async function startApiRole(options: ApiRoleOptions): Promise<ApiRole> {
  const { settings, log, logger, metrics, acting, clients } = options;
  const { documents, policies, grants, quota } = acting;
  const names = topicNames(settings.topicPrefix);
  const tenants = documents.table(TENANT_KIND);
  const tokens = documents.table(TOKEN_KIND);
  const idempotency = new Idempotency({ table: documents.table(IDEMPOTENCY_KIND), random: randomBytes });
  const book = new TokenBook(tokens);
  const { adminToken: given } = settings;
  const { announce } = options;
  const adminToken = await settleAdminToken({ given, tokens, random: randomBytes, nowMs: log.clock.nowMs(), announce });
  const orders = await openBackfillOrders({ log, topic: names.control, logger });
  const connectors = openConnectors({
    store: options.connections,
    bindings: documents.table(BINDING_KIND),
    states: documents.table(STATE_KIND),
    reports: documents.table(REPORT_KIND),
    grants,
    clients,
    orders,
    log,
    cursorTopic: names.cursors,
    publicUrl: settings.publicUrl,
    defaultBaseUrl: settings.kustomerBaseUrl,
    ownUrl: options.ownUrl,
    pollsOf: options.pollsOf,
    lastAcceptedAtMs: options.lastAcceptedAtMs,
    prepareTenant: (tenantId) => prepareTenant(options, tenantId),
  });
  const data = await openDataPart({ ...options, isLive: (caller, nowMs) => book.isLive(caller.keyId, nowMs) });
  const ports = {
    clock: log.clock,
    random: randomBytes,
    connectors,
    policies: {
      of: policies.of,
      set: policies.set,
      unreadable: policies.unreadable,
      apply: policies.apply,
      disable: policies.disable,
      delete: policies.delete,
      discard: policies.discard,
      used: quota.used,
    },
    grants,
    actions: data.actions,
  };
  const server = await createApiServer({
    routes: apiRoutes({ ...ports, tenants, tokens, book }, data.routes),
    authenticate: createAuthenticator({ tokens: book, tenants, adminToken }),
    idempotency,
    clock: log.clock,
    random: randomBytes,
    observer: createApiObserver({ logger, metrics }),
    settings: { ratePerMinute: settings.apiRatePerMinute, maxBodyBytes: settings.apiBodyLimitBytes },
  });
  const sweep = startSweep(options, async () => {
    const nowMs = log.clock.nowMs();
    await book.writeUses();
    await idempotency.renew(nowMs);
    await idempotency.sweep(nowMs);
    await sweepTokens(tokens, nowMs);
  });
  metrics.onScrape(() => {
    const { open, streams } = server.state();
    metrics.set('cnk_api_open_requests', open);
    metrics.set('cnk_api_streams', streams);
  });
  return {
    name: 'api',
    handle(request, response) {
      if (!PATH.test(request.url ?? '')) return false;
      server.handle(request, response);
      return true;
    },
    health: () => {
      const shown = data.health();
      return {
        ready: shown.ready && documents.health().ready && orders.health().following,
        detail: { ...server.state(), sweep: sweep.health(), data: shown.detail },
      };
    },
    close: async () => {
      await server.close();
      await data.close();
      await sweep.close();
      book.close();
      await orders.close();
    },
  };
}

/** What a tenant's first connection needs. Without the registry it can wait: a process that needs a schema says so. */
async function prepareTenant(options: ApiRoleOptions, tenantId: string): Promise<void> {
  const { settings, log, logger, registerTenant } = options;
  await reconcileTopics(log, topicSettings(settings), [tenantId]);
  const register = async (): Promise<unknown> =>
    registerTenant === undefined
      ? registerSchemas(openRegistry(settings), topicNames(settings.topicPrefix), [tenantId])
      : registerTenant(tenantId);
  await register().catch((err) =>
    logger.warn({ event: 'api.schemas_unregistered', err, tenantId }, "a tenant's schemas are not registered yet"),
  );
}

/** What is old goes, a little at a time. */
function startSweep({ log, logger }: Pick<ApiRoleOptions, 'log' | 'logger'>, work: () => Promise<void>) {
  const stop = new AbortController();
  const state = { lastAtMs: log.clock.nowMs(), failuresInARow: 0 };
  const running = (async () => {
    for (;;) {
      await log.clock.sleep(SWEEP_EVERY_MS, stop.signal);
      if (stop.signal.aborted) return;
      try {
        await work();
        Object.assign(state, { lastAtMs: log.clock.nowMs(), failuresInARow: 0 });
      } catch (err) {
        state.failuresInARow += 1;
        logger.warn({ event: 'api.sweep_failed', err, ...state }, 'what is old could not be removed');
      }
    }
  })();
  return {
    health: () => ({ ...state }),
    close: async () => {
      stop.abort();
      await running;
    },
  };
}
