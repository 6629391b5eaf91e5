/** The monitor against a simulated Kustomer, with a clock that is moved by hand. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { CodedError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/base/secret.ts';
import { CONNECTION_SETTINGS, type ConnectionWithTokens } from '../../../../src/fibric/connection.ts';
import {
  type HealthChange,
  startWebhookMonitor,
  type WebhookMonitorOptions,
} from '../../../../src/ingest/webhook-health/monitor.ts';
import { createBudgetGate } from '../../../../src/kustomer/client/budget-gate.ts';
import { createKustomerClient, type KustomerClient } from '../../../../src/kustomer/client/client.ts';
import { createOutboundWebhook } from '../../../../src/kustomer/client/outbound-webhooks.ts';
import { EVENT_NAMES } from '../../../../src/kustomer/event-names.ts';
import { requestFaultsSchema } from '../../../../src/simulator/requests/faults.ts';
import { createSimulator, type Simulator } from '../../../../src/simulator/server.ts';
import { waitFor } from '../../../support/wait-for.ts';

const START = Date.UTC(2026, 5, 1);
const MINUTE = 60_000;
const API_KEY = 'key-canary-77';
const NO_WEBHOOKS = ['conversation', 'message', 'customer', 'search'].map((name) => `org.permission.${name}`);

/** Takes deliveries, or refuses them. */
async function endpoint(): Promise<{ readonly url: string; status: number; taken: number }> {
  const state = { url: '', status: 200, taken: 0 };
  const server: Server = createServer((request, response) => {
    request.resume().on('end', () => {
      if (state.status === 200) state.taken += 1;
      response.writeHead(state.status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/kustomer/cn_a`;
  return state;
}

async function house(options: Partial<WebhookMonitorOptions> = {}, roles = ['org.permission']) {
  const now = { ms: START };
  const simulator: Simulator = createSimulator({
    orgs: [{ name: 'acme', apiKey: API_KEY, conversations: 3, access: { roles } }],
    nowMs: () => now.ms,
  });
  onTestFinished(() => simulator.close());
  const { url } = await simulator.listen();
  const org = simulator.orgs[0] ?? expect.unreachable();
  const target = await endpoint();
  const gate = createBudgetGate();
  const client = createKustomerClient({ baseUrl: url, apiKey: new Secret(API_KEY), gate });
  onTestFinished(async () => {
    gate.close();
    await client.close();
  });
  const lines: { level: string; event: string; text: string }[] = [];
  const line = (level: string) => (fields: unknown, text?: string) =>
    void lines.push({ level, event: (fields as { event: string }).event, text: text ?? '' });
  const changes: HealthChange[] = [];
  const enabled: string[] = [];
  const connections = new Map<string, ConnectionWithTokens>();
  const monitor = startWebhookMonitor({
    connections: () => connections.values(),
    clientOf: () => client,
    // The loop looks only when asked: the tests say when.
    clock: { nowMs: () => now.ms, sleep: (_ms, signal) => aborted(signal) },
    logger: { info: line('info'), warn: line('warn'), error: line('error') } as WebhookMonitorOptions['logger'],
    changed: (change) => changes.push(change),
    enabledAgain: (outcome) => enabled.push(outcome),
    crashed: (error) => expect.unreachable(String(error)),
    health: { enableMinMs: MINUTE },
    ...options,
  });
  onTestFinished(() => monitor.close());
  const put = (more: Partial<ConnectionWithTokens> = {}) => {
    const connection: ConnectionWithTokens = {
      connectionId: 'cn_a',
      tenantId: 't_a',
      resellerId: null,
      workspaceId: null,
      name: 'prod',
      subdomain: 'acme',
      orgId: null,
      apiBaseUrl: url,
      hasApiKey: true,
      startedAtMs: 0,
      webhookId: null,
      previousWebhookId: null,
      settings: CONNECTION_SETTINGS,
      webhookTokens: [],
      apiKey: new Secret(API_KEY),
      ...more,
    };
    connections.set(connection.connectionId, connection);
    return connection;
  };
  /** A minute later, checked again: state and reason. */
  const check = async (id = 'cn_a') => {
    now.ms += MINUTE;
    await monitor.checkNow();
    const found = monitor.of(id);
    return found === undefined ? undefined : [found.state, found.reason];
  };
  /** Something happens in the organisation, and every delivery of it is tried until the queue is quiet or waits. */
  const act = async () => {
    now.ms += 1000;
    const before = transactions(org);
    org.perform(now.ms, (model) => model.createCustomer(now.ms, { name: 'Ada' }));
    await waitFor(() => transactions(org) > before || org.webhooks.list().every(({ queue }) => !queue.enabled), {
      message: 'a delivery was tried',
    });
  };
  return { now, simulator, org, url, client, target, lines, changes, enabled, connections, monitor, put, check, act };
}

const transactions = (org: Simulator['orgs'][number]) =>
  org.webhooks.list().reduce((sum, { queue }) => sum + queue.transactions.length, 0);

function aborted(signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) resolve();
    signal?.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function made(client: KustomerClient, url: string) {
  const created = await createOutboundWebhook(client, { name: 'ours', url, events: EVENT_NAMES }, { lane: 'probes' });
  if (created.kind !== 'ok' || created.body.token === null) return expect.unreachable(JSON.stringify(created));
  return { id: created.body.id, token: created.body.token };
}

/** Every try of the schedule fails, until Kustomer gives the webhook up. */
async function failUntilSwitchedOff({ now, simulator, org, target, act }: Awaited<ReturnType<typeof house>>) {
  target.status = 503;
  await act();
  const tried = () => transactions(org);
  while (org.webhooks.list().some(({ queue }) => queue.enabled)) {
    const before = tried();
    now.ms += 31 * MINUTE;
    simulator.tick();
    await waitFor(() => tried() > before, { message: 'the next try' });
  }
  target.status = 200;
}

test('switched off by Kustomer: degraded with the reason, enabled again by itself, connected once something arrives', async () => {
  const all = await house();
  const { client, target, put, check, act, org, monitor, changes, enabled, lines } = all;
  const { id, token } = await made(client, target.url);
  put({ webhookId: id, webhookTokens: [token] });
  expect(await check()).toEqual(['connected', null]);
  await failUntilSwitchedOff(all);
  expect(await check()).toEqual(['degraded', 'webhook_disabled']);
  expect(monitor.of('cn_a')).toMatchObject({
    meaning: 'Kustomer switched the webhook off because deliveries failed',
    webhooks: [{ id, enabled: false, isError: true, tokenKnown: true, deliveries: { lastFailureStatus: '503' } }],
  });
  expect(org.webhooks.get(id)?.queue.enabled).toBe(true);
  expect(enabled).toEqual(['enabled']);
  await act();
  expect(target.taken).toBe(1);
  expect(await check()).toEqual(['connected', null]);
  expect(changes.map(({ from, to }) => [from?.state, to?.state])).toEqual([
    [undefined, 'connected'],
    ['connected', 'degraded'],
    ['degraded', 'connected'],
  ]);
  expect(lines.map(({ level, event }) => `${level} ${event}`)).toEqual([
    'warn connection.state',
    'info webhook.enabled',
    'info connection.state',
  ]);
  expect(JSON.stringify([lines, changes, monitor.health()])).not.toMatch(new RegExp(`${API_KEY}|${token.reveal()}`));
});

test('without traffic it is connected again after calm checks', async () => {
  const all = await house();
  const { client, target, put, check } = all;
  const { id, token } = await made(client, target.url);
  put({ webhookId: id, webhookTokens: [token] });
  await check();
  await failUntilSwitchedOff(all);
  expect(await check()).toEqual(['degraded', 'webhook_disabled']);
  expect(await check()).toEqual(['degraded', 'webhook_disabled']);
  expect(await check()).toEqual(['connected', null]);
});

test('left alone when told to, and when a person switched it off', async () => {
  const all = await house({ autoEnable: false });
  const { client, target, put, check, org, enabled } = all;
  const { id, token } = await made(client, target.url);
  put({ webhookId: id, webhookTokens: [token] });
  await failUntilSwitchedOff(all);
  expect(await check()).toEqual(['degraded', 'webhook_disabled']);
  expect(org.webhooks.get(id)?.queue.enabled).toBe(false);
  org.webhooks.get(id)?.queue.enable();
  org.webhooks.get(id)?.queue.disable();
  expect(await check()).toEqual(['degraded', 'webhook_switched_off']);
  expect(enabled).toEqual([]);
});

test('failing deliveries degrade before Kustomer gives up', async () => {
  const { client, target, put, check, act } = await house();
  const { id, token } = await made(client, target.url);
  put({ webhookId: id, webhookTokens: [token] });
  await check();
  target.status = 401;
  for (let i = 0; i < 3; i += 1) await act();
  expect(await check()).toEqual(['connected', null]);
  expect(await check()).toEqual(['degraded', 'deliveries_failing']);
});

test('changes the poll finds and no webhook brings degrade it', async () => {
  const { client, target, put, check, now, monitor, act } = await house();
  const { id, token } = await made(client, target.url);
  put({ webhookId: id, webhookTokens: [token] });
  await check();
  for (let i = 1; i <= 3; i += 1) monitor.polled('cn_a', now.ms + i);
  for (let minute = 0; minute < 3; minute += 1) expect(await check()).toEqual(['connected', null]);
  expect(await check()).toEqual(['degraded', 'not_delivered']);
  await act();
  expect(await check()).toEqual(['connected', null]);
});

test('without the permission it stays connected, says that it cannot look, and asks no more than once a check', async () => {
  const { put, check, org, monitor, lines } = await house({}, NO_WEBHOOKS);
  put({ webhookTokens: [new Secret('a-token-by-hand')] });
  expect(await check()).toEqual(['connected', 'not_permitted']);
  expect(monitor.of('cn_a')).toMatchObject({
    checked: false,
    failure: expect.stringMatching(/403.*needs org\.permission\.outbound_webhook\.read/),
  });
  expect(org.requests.received).toBe(1);
  expect(lines).toEqual([]);
});

test('a 401 for a missing role is told from a refused key by asking who the key is', async () => {
  const { put, check, org } = await house();
  put({ webhookTokens: [new Secret('a-token-by-hand')] });
  const fault = { path: '/v1/outbound-webhooks', kind: 'status', status: 401 } as const;
  org.requestFaults.configure(requestFaultsSchema.parse([fault]));
  expect(await check()).toEqual(['connected', 'not_permitted']);
  org.requestFaults.configure([]);
  org.access = { ...org.access, expiresAtMs: START };
  expect(await check()).toEqual(['pending_auth', 'key_refused']);
  org.access = { ...org.access, expiresAtMs: null, pod: 'prod2' };
  expect(await check()).toEqual(['error', 'misconfigured']);
});

test('finds a webhook made by hand by its address or its token, and misses one that is gone', async () => {
  const { client, target, put, check, org } = await house();
  const elsewhere = await made(client, target.url.replace('/webhooks/kustomer/cn_a', '/gateway/x'));
  put({ webhookTokens: [elsewhere.token] });
  expect(await check()).toEqual(['connected', null]);
  put({ webhookTokens: [new Secret('another-token-1')] });
  expect(await check()).toEqual(['degraded', 'webhook_gone']);
  await made(client, target.url);
  expect(await check()).toEqual(['degraded', 'token_unknown']);
  for (const { id } of org.webhooks.list()) org.webhooks.delete(id);
  put({ webhookTokens: [] });
  expect(await check()).toEqual(['degraded', 'no_webhook']);
});

test('M2, M3: one bad connection does not keep others from being checked, and one that is gone is forgotten', async () => {
  const { put, check, connections, changes, client } = await house({
    clientOf: (connection) => {
      if (connection.connectionId === 'cn_b') throw new CodedError('config_invalid', 'no such host');
      return clients.get('cn_a') ?? expect.unreachable();
    },
  });
  const clients = new Map([['cn_a', client]]);
  put({ webhookTokens: [new Secret('a-token-by-hand')] });
  put({ connectionId: 'cn_b', webhookTokens: [new Secret('a-token-by-hand')] });
  put({ connectionId: 'cn_c', apiKey: null, hasApiKey: false, webhookTokens: [new Secret('a-token-by-hand')] });
  put({ connectionId: 'cn_d', apiKey: null, hasApiKey: false });
  expect(await check()).toEqual(['degraded', 'webhook_gone']);
  expect(await check('cn_b')).toEqual(['error', 'misconfigured']);
  expect(await check('cn_c')).toEqual(['connected', 'no_api_key']);
  expect(await check('cn_d')).toEqual(['pending_auth', 'no_credentials']);
  connections.delete('cn_b');
  expect(await check('cn_b')).toBeUndefined();
  expect(changes.at(-1)).toMatchObject({ connectionId: 'cn_b', to: null });
});

test('M4: what was found with another key or webhook is forgotten, and what is found then is told even where it is the same', async () => {
  const polls = { work: false };
  const { put, check, client, target, changes } = await house({ pollWorks: () => polls.work });
  put();
  expect(await check()).toEqual(['error', 'no_webhook']);
  expect(await check()).toEqual(['error', 'no_webhook']);
  expect(changes).toHaveLength(1);
  put({ apiKey: new Secret(`${API_KEY}-2`) });
  expect(await check()).toEqual(['error', 'no_webhook']);
  expect(changes).toHaveLength(2);
  const { id, token } = await made(client, target.url);
  // No proof yet that its webhooks arrive, and the poll has not been able to use the new key.
  const mended = put({ webhookId: id, webhookTokens: [token] });
  expect(await check()).toEqual(['connected', null]);
  expect(changes.at(-1)).toMatchObject({ from: { reason: 'no_webhook' }, to: { state: 'connected' } });
  // Not so for what has nothing to do with it: the poll fails for the second time.
  put({ ...mended, name: 'another' });
  expect(await check()).toEqual(['degraded', 'poll_failing']);
});

test('an organisation that does not answer is reported once that is sure, and a close does not wait for it', async () => {
  const { put, check, org, monitor } = await house();
  put({ webhookTokens: [new Secret('a-token-by-hand')] });
  const fault = { path: '/v1/outbound-webhooks', kind: 'status', status: 503 } as const;
  org.requestFaults.configure(requestFaultsSchema.parse([fault]));
  expect(await check()).toEqual(['connected', null]);
  expect(await check()).toEqual(['degraded', 'kustomer_unreachable']);
  org.requestFaults.configure(requestFaultsSchema.parse([{ kind: 'timeout' }]));
  const asked = org.requests.received;
  const hanging = monitor.checkNow();
  await waitFor(() => org.requests.received > asked, { message: 'the request is there' });
  await monitor.close();
  await hanging;
  expect(monitor.health().running).toBe(false);
});
