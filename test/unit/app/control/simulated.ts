/** A simulated organisation, and a store on a log in memory that knows a connection to it. */
import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { createKeyring } from '../../../../src/app/control/seal.ts';
import { type ConnectionStore, openConnectionStore } from '../../../../src/app/control/store.ts';
import { createLogger } from '../../../../src/app/telemetry.ts';
import { Secret } from '../../../../src/base/secret.ts';
import { CONNECTION_SETTINGS, type Connection, type ConnectionWithTokens } from '../../../../src/fibric/connection.ts';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { createBudgetGate } from '../../../../src/kustomer/client/budget-gate.ts';
import { createKustomerClient, type KustomerClient } from '../../../../src/kustomer/client/client.ts';
import type { OrgOptions } from '../../../../src/simulator/org.ts';
import { createSimulator, type Simulator, type SimulatorOptions } from '../../../../src/simulator/server.ts';

export const API_KEY = 'key-acme-canary-41c7';
export const ORG_ID = '57bb00000000000000000001';
export const ID = 'cn_a';

export interface Site {
  readonly simulator: Simulator;
  readonly org: Simulator['orgs'][number];
  readonly url: string;
  readonly client: KustomerClient;
  readonly log: MemoryLog;
  readonly masterKey: Buffer;
  readonly store: ConnectionStore;
  connection(): ConnectionWithTokens;
}

export async function simulatedOrg(org: Partial<OrgOptions> = {}, options: Partial<SimulatorOptions> = {}) {
  const orgs = [{ name: 'acme', orgId: ORG_ID, apiKey: API_KEY, conversations: 2, ...org }];
  const simulator = createSimulator({ orgs, seed: 4, ...options });
  onTestFinished(() => simulator.close());
  const { url } = await simulator.listen();
  return { simulator, url, org: simulator.orgs[0] as Simulator['orgs'][number] };
}

export function clientOf(baseUrl: string, apiKey = API_KEY): KustomerClient {
  const gate = createBudgetGate();
  const client = createKustomerClient({ baseUrl, apiKey: new Secret(apiKey), gate });
  onTestFinished(async () => {
    gate.close();
    await client.close();
  });
  return client;
}

export function connectionTo(url: string, more: Partial<Connection> = {}): Connection {
  return {
    connectionId: ID,
    tenantId: 't_a',
    resellerId: null,
    workspaceId: null,
    name: 'prod',
    subdomain: 'acme',
    orgId: ORG_ID,
    apiBaseUrl: url,
    hasApiKey: true,
    startedAtMs: 0,
    webhookId: null,
    previousWebhookId: null,
    settings: CONNECTION_SETTINGS,
    ...more,
  };
}

export async function site(org: Partial<OrgOptions> = {}, options: Partial<SimulatorOptions> = {}): Promise<Site> {
  const { simulator, url, org: simulated } = await simulatedOrg(org, options);
  const log = createMemoryLog();
  await log.admin.createTopics([{ name: 'fibric.control', partitions: 1, config: { 'cleanup.policy': 'compact' } }]);
  const masterKey = randomBytes(32);
  const store = await openConnectionStore({
    log: log.connect(),
    topics: { control: 'fibric.control' },
    keyring: createKeyring([masterKey]),
    logger: createLogger('silent'),
  });
  onTestFinished(async () => {
    await store.close();
    await log.close();
  });
  await store.add({ connection: connectionTo(url), apiKey: new Secret(API_KEY) });
  const connection = () => {
    const found = store.get(ID);
    if (found === undefined) throw new Error('the connection is gone');
    return found;
  };
  return { simulator, org: simulated, url, client: clientOf(url), log, masterKey, store, connection };
}
