/**
 * On a real broker against the simulated Kustomer: a connection added with its key makes its own webhook, deliveries are
 * accepted all through a rotation, and when Kustomer switches the webhook off the service says so and mends it.
 */
import { expect, onTestFinished, test } from 'vitest';
import type { Org } from '../../src/simulator/org.ts';
import { createSimulator } from '../../src/simulator/server.ts';
import { freePort } from '../support/free-port.ts';
import { eventually, Installation, readiness, type Serving } from '../support/installation.ts';
import type { Exit } from '../support/process.ts';
import { waitFor } from '../support/wait-for.ts';

const TENANT = 't_hooks';
const ID = 'cn_hooks';
const KEY = 'key-acme-canary-93b2';
/** Kustomer's hour of retries in about a second. */
const TIME_SCALE = 4_000;

interface House {
  readonly site: Installation;
  readonly org: Org;
  readonly apiUrl: string;
  readonly port: number;
  /** Everything any process has written. */
  readonly said: string[];
  run(args: readonly string[], input?: string): Promise<{ readonly exit: Exit; readonly output: string }>;
}

async function house(): Promise<House> {
  const simulator = createSimulator({
    orgs: [{ name: 'acme', apiKey: KEY, conversations: 3 }],
    timeScale: TIME_SCALE,
  });
  onTestFinished(() => simulator.close());
  const { url } = await simulator.listen();
  const site = await Installation.open({ tenants: 1, env: { WEBHOOK_CHECK_MS: '1000' } });
  const said: string[] = [];
  return {
    site,
    org: simulator.orgs[0] as Org,
    apiUrl: url,
    port: await freePort(),
    said,
    run: async (args, input = '') => {
      const started = site.launch(['connection', ...args]);
      started.input(input);
      const exit = await started.waitForExit();
      said.push(started.output());
      return { exit, output: started.output() };
    },
  };
}

const DONE: Exit = { code: 0, signal: null };

/** One more customer, and its delivery at every webhook. */
function act(org: Org): void {
  org.perform(Date.now(), (model) => model.createCustomer(Date.now(), { name: 'Ada' }));
}

/** Status of the newest delivery of each webhook, oldest webhook first. */
function newest(org: Org): readonly (number | undefined)[] {
  return org.webhooks.list().map(({ queue }) => queue.transactions.at(-1)?.status);
}

interface Detail {
  readonly poll?: { readonly detail?: { readonly webhooks?: { readonly connections?: { connectionId: string }[] } } };
}

async function health(poll: Serving): Promise<unknown> {
  const { roles } = await readiness(poll.url);
  return (roles as Detail).poll?.detail?.webhooks?.connections?.find(({ connectionId }) => connectionId === ID);
}

async function becomes(poll: Serving, state: string): Promise<void> {
  const check = async () => {
    expect(await health(poll)).toMatchObject({ connectionId: ID, state });
    const metrics = await (await fetch(`${poll.url}/metrics`)).text();
    expect(metrics).toContain(`cnk_connection_state{connection="${ID}",state="${state}"} 1`);
  };
  await eventually(check, { message: `the connection ${state}`, deadlineMs: 30_000, everyMs: 100 });
}

test('a webhook of our own: made, exchanged without a refused delivery, switched off by Kustomer, mended', async () => {
  const { site, org, apiUrl, port, said, run } = await house();
  const ingest = () => site.serve({ roles: 'ingest', env: { PORT: String(port) } });
  let receiving = await ingest();
  const poll = await site.serve({ roles: 'poll', untilReady: false });

  const add = await run(
    [
      ...['add', '--tenant', TENANT, '--id', ID, '--name', 'prod', '--subdomain', 'acme', '--api-base-url', apiUrl],
      ...['--api-key', '--poll-interval', '5s', '--create-webhook', '--public-url', `http://127.0.0.1:${port}`],
    ],
    `${KEY}\n`,
  );
  expect(add).toMatchObject({ exit: DONE, output: expect.stringContaining(org.machineUserId) });
  expect(site.store.get(ID)).toMatchObject({
    orgId: org.organisation.orgId,
    hasApiKey: true,
    settings: { machineUserId: org.machineUserId, pollIntervalMs: 5_000 },
  });
  const [first] = org.webhooks.list();
  await becomes(poll, 'connected');
  act(org);
  await waitFor(() => newest(org)[0] === 200, { message: 'the first delivery' });

  expect(await run(['webhook', 'rotate', ID])).toMatchObject({ exit: DONE });
  const [, second] = org.webhooks.list();
  act(org);
  await waitFor(() => newest(org).length === 2 && newest(org).every((status) => status === 200), {
    message: 'both accepted',
  });
  expect(await run(['webhook', 'drop-old', ID])).toMatchObject({ exit: DONE });
  expect(org.webhooks.list().map(({ id }) => id)).toEqual([second?.id]);
  act(org);
  await waitFor(() => second?.queue.transactions.length === 2, { message: 'the new one delivers alone' });
  for (const { queue } of [first, second].flatMap((webhook) => webhook ?? [])) {
    expect(queue.transactions.map(({ status }) => status).filter((status) => status !== 200)).toEqual([]);
  }
  expect(site.store.get(ID)?.webhookTokens.map((token) => token.reveal())).toEqual([second?.token]);

  await receiving.stop();
  act(org);
  await becomes(poll, 'degraded');
  const enabled = async () => {
    expect(second?.queue.enabled).toBe(true);
    expect(poll.lines('webhook.enabled')).toMatchObject([{ connectionId: ID, webhookId: second?.id }]);
  };
  await eventually(enabled, { message: 'the webhook is switched on again', deadlineMs: 30_000 });
  said.push(receiving.process.output());
  receiving = await ingest();
  act(org);
  await waitFor(() => newest(org).at(-1) === 200, { message: 'deliveries arrive again' });
  await becomes(poll, 'connected');
  const states = poll.lines('connection.state').map(({ was, state }) => `${was} ${state}`);
  expect(states.at(-1)).toBe('degraded connected');
  expect(states).toContain('connected degraded');

  const { records } = await site.read([site.names.control, site.names.raw]);
  said.push(poll.process.output(), receiving.process.output(), (await run(['list'])).output);
  said.push(JSON.stringify(await readiness(poll.url)), await (await fetch(`${poll.url}/metrics`)).text());
  said.push(...records.map(({ key, value }) => `${key} ${value}`));
  for (const secret of [KEY, first?.token ?? '', second?.token ?? '']) {
    expect(secret).not.toBe('');
    expect(said.join('\n')).not.toContain(secret);
  }
});

test('a bad key is refused and stores nothing; another process takes the place of a key within a moment', async () => {
  const { site, apiUrl, run } = await house();
  const add = [
    'add',
    '--tenant',
    TENANT,
    '--id',
    ID,
    '--name',
    'prod',
    '--subdomain',
    'acme',
    '--api-base-url',
    apiUrl,
  ];
  const refused = await run([...add, '--api-key'], 'a-webhook-token\na-wrong-key-canary\n');
  expect(refused.exit).toEqual({ code: 1, signal: null });
  expect(refused.output).toMatch(/error \(kustomer_permission\): Kustomer refuses the API key/);
  expect(refused.output).not.toContain('canary');
  expect(site.store.get(ID)).toBeUndefined();
  const crowded = await run([...add, '--api-key'], `a-webhook-token\n${KEY}\none-too-many\n`);
  expect(crowded.exit).toEqual({ code: 2, signal: null });
  expect(site.store.get(ID)).toBeUndefined();

  expect(await run([...add, '--api-key', '--backfill-since', '2026-01-31'], `a-webhook-token\n${KEY}\n`)).toMatchObject(
    {
      exit: DONE,
      output: expect.stringMatching(/^yes +search +org\.permission\.search\.create$/m),
    },
  );
  await waitFor(() => site.store.get(ID)?.apiKey?.reveal() === KEY, { message: 'the key is followed' });
  expect(site.store.get(ID)?.settings.backfillSinceMs).toBe(Date.UTC(2026, 0, 31));
  expect(await run([...add, '--no-api-key'])).toMatchObject({ exit: DONE });
  await waitFor(() => site.store.get(ID)?.apiKey === null, { message: 'the key is forgotten' });
});
