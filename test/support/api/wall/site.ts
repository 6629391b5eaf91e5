/**
 * The role `api` as it runs in a service, over a log in memory: real stores, real documents, real topics, the simulated
 * Kustomer behind it. Only the socket is missing.
 */
import { randomBytes } from 'node:crypto';
import { fastify } from 'fastify';
import { createActCodec, openActing } from '../../../../src/app/acting.ts';
import { openControl } from '../../../../src/app/control/open.ts';
import { startApiRole } from '../../../../src/app/roles/api.ts';
import { openRegistry, registerSchemas, type SchemaIds } from '../../../../src/app/schemas.ts';
import { loadSettings } from '../../../../src/app/settings.ts';
import { createLogger, createMetrics } from '../../../../src/app/telemetry.ts';
import { reconcileTopics, topicSettings } from '../../../../src/app/topic-settings.ts';
import { openClients } from '../../../../src/app/vendor.ts';
import { realClock } from '../../../../src/base/clock.ts';
import { createMemoryLog } from '../../../../src/kafka/memory/index.ts';
import type { Log } from '../../../../src/kafka/port.ts';
import { type TopicNames, topicNames } from '../../../../src/kafka/topics.ts';
import { createBudgetGate } from '../../../../src/kustomer/client/budget-gate.ts';
import type { Org } from '../../../../src/simulator/org.ts';
import { createSimulator } from '../../../../src/simulator/server.ts';
import { startRegistryStub } from '../../registry-stub.ts';

export const WALL_ADMIN = 'admin-token-of-the-wall-0123456789';
/** Keys of the two organisations of the simulated Kustomer. */
export const ORG_KEYS = { t_near: 'key-near-0123456789', t_far: 'key-canary-of-far-0123456789' } as const;
export type WallTenant = keyof typeof ORG_KEYS;

export interface WallAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface WallRequest {
  readonly method: string;
  readonly url: string;
  readonly token: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Where the calls go, and what is behind it. */
export interface WallSite {
  send(request: WallRequest): Promise<WallAnswer>;
  readonly log: Log;
  readonly names: TopicNames;
  readonly ids: SchemaIds;
  /** Ids of conversations of the tenant's organisation. */
  conversations(tenant: WallTenant): readonly string[];
  close(): Promise<void>;
}

/** The Kustomer of both worlds: it makes ids and times of its own, which must not tell them apart. */
export interface WallKustomer extends Pick<WallSite, 'conversations'> {
  readonly url: string;
  readonly orgs: readonly Org[];
  close(): Promise<void>;
}

export async function openWallKustomer(): Promise<WallKustomer> {
  const tenants = ['t_near', 't_far'] as const;
  const simulator = createSimulator({
    seed: 7,
    orgs: tenants.map((tenant) => ({ name: tenant.slice(2), apiKey: ORG_KEYS[tenant], conversations: 3 })),
  });
  const { url } = await simulator.listen();
  return {
    url,
    orgs: simulator.orgs,
    conversations: (tenant) => {
      const org = simulator.orgs[tenants.indexOf(tenant)];
      return [...(org?.organisation.conversations.values() ?? [])].map(({ id }) => id);
    },
    close: () => simulator.close(),
  };
}

export async function openWallSite(
  { url: kustomer, conversations }: WallKustomer,
  env: Readonly<Record<string, string>> = {},
  /** Of another process on the same broker; both need the same `CN_MASTER_KEY`. */
  given?: Log,
): Promise<WallSite> {
  const registry = await startRegistryStub();
  // Each look at the clock is a moment of its own: what is ordered by time has one order, the same in every run.
  let tickMs = Date.parse('2026-03-01T12:00:00Z');
  const nowMs = (): number => {
    tickMs += 1;
    return tickMs;
  };
  const log =
    given ?? createMemoryLog({ clock: { ...realClock, nowMs, sleep: (ms, signal) => realClock.sleep(ms, signal) } });
  const settings = loadSettings({
    CN_MASTER_KEY: randomBytes(32).toString('hex'),
    CN_ADMIN_TOKEN: WALL_ADMIN,
    SCHEMA_REGISTRY_URL: registry.url,
    KUSTOMER_BASE_URL: kustomer,
    API_RATE_PER_MINUTE: '10000000',
    PORT: '0',
    RAW_PARTITIONS: '1',
    PROCESS_SHARDS: '1',
    EVENT_PARTITIONS: '2',
    ...env,
  });
  const [logger, metrics] = [createLogger('silent'), createMetrics({ ofProcess: false })];
  const names = topicNames(settings.topicPrefix);
  await reconcileTopics(log, topicSettings(settings), []);
  const ids = await registerSchemas(openRegistry(settings), names, []);
  const connections = await openControl({ log, settings, logger });
  const vendor = openClients(connections, () => createBudgetGate());
  const acting = await openActing({ settings, log, logger, metrics });
  const port = openRegistry(settings);
  const masterKeys = [randomBytes(32)];
  const role = await startApiRole({
    ...{ settings, log, logger, metrics, connections, acting, ids },
    clients: vendor.clients,
    registry: port,
    codec: createActCodec({ registry: port, ids, masterKeys }),
    ownUrl: () => null,
    pollsOf: () => undefined,
    lastAcceptedAtMs: () => null,
    announce: () => undefined,
  });
  const front = fastify({ forceCloseConnections: true });
  front.removeAllContentTypeParsers();
  front.addContentTypeParser('*', (_request, _payload, done) => done(null));
  front.all('*', (request, reply) => {
    reply.hijack();
    role.handle(request.raw, reply.raw);
  });
  await front.ready();
  return {
    ...{ log, names, ids },
    conversations,
    async send({ method, url, token, body, headers }) {
      const response = await front.inject({
        method: method as 'GET',
        url,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { payload: JSON.stringify(body) }),
      });
      const told = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
      return { status: response.statusCode, headers: Object.fromEntries(told), text: response.body };
    },
    async close() {
      await role.close();
      await front.close();
      await acting.close();
      await vendor.close();
      await connections.close();
      await log.close();
      await registry.close();
    },
  };
}
