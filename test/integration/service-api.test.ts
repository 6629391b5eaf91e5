/** The control API as a role of the service, on a real broker: processes that agree, and connectors that are installed for real. */
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { API_ERRORS } from '../../src/api/errors.ts';
import { accessSchema } from '../../src/simulator/access.ts';
import { limitsSchema } from '../../src/simulator/limits/limits.ts';
import type { Org } from '../../src/simulator/org.ts';
import { createSimulator } from '../../src/simulator/server.ts';
import { apiClient, type HttpAnswer, newTenant } from '../support/api/http.ts';
import { requestsOf } from '../support/api/requests.ts';
import { freePort } from '../support/free-port.ts';
import { eventually, Installation } from '../support/installation.ts';

const ADMIN = 'admin-token-of-the-test-0123456789';
const KEY = 'key-acme-canary-51d7';
const POLICY = 'policy: support-writes\nrules:\n  - allow: conversation.note.write\ndefault: deny\n';

test('two processes agree, and each reads what it wrote at once', async () => {
  const site = await Installation.open({ tenants: 1, env: { CN_ADMIN_TOKEN: ADMIN } });
  const [one, other] = await Promise.all([site.serve({ roles: 'api' }), site.serve({ roles: 'api' })]);
  const [here, there] = [apiClient(one.url, ADMIN), apiClient(other.url, ADMIN)];
  /** How long it takes until the other process says so too, in ms. */
  const reaches = async (check: () => Promise<void>): Promise<number> => {
    const startedAtMs = performance.now();
    await eventually(check, { message: 'the other process to follow', everyMs: 5 });
    return performance.now() - startedAtMs;
  };
  const lags: number[] = [];
  const token = await newTenant(here, 't_api');
  const mine = apiClient(one.url, token);
  const theirs = apiClient(other.url, token);
  expect((await mine('GET', '/v1/whoami')).status).toBe(200);
  lags.push(await reaches(async () => expect((await theirs('GET', '/v1/whoami')).status).toBe(200)));
  for (let n = 1; n <= 5; n += 1) {
    const [writer, reader] = n % 2 === 0 ? [mine, theirs] : [theirs, mine];
    const made = await writer('POST', '/v1/tokens', { name: `n${n}`, scopes: ['read_only'] });
    const whoami = (at: string) => apiClient(at, made.body.token)('GET', '/v1/whoami');
    const [near, far] = n % 2 === 0 ? [one.url, other.url] : [other.url, one.url];
    expect((await whoami(near)).status).toBe(200);
    lags.push(await reaches(async () => expect((await whoami(far)).status).toBe(200)));
    // Revoked there, refused here.
    expect((await reader('DELETE', `/v1/tokens/${made.body.id}`)).status).toBe(200);
    expect((await whoami(far)).body.error.code).toBe('key_revoked');
    lags.push(await reaches(async () => expect((await whoami(near)).body.error.code).toBe('key_revoked')));
  }
  expect((await mine('POST', '/v1/policies', { document: POLICY })).status).toBe(201);
  expect((await mine('GET', '/v1/policies/support-writes')).body.version).toBe(1);
  lags.push(await reaches(async () => expect((await theirs('GET', '/v1/policies/support-writes')).status).toBe(200)));
  // The same key at both in the same moment: one of them does it.
  const twice = await Promise.all(
    [mine, theirs].map((call) =>
      call('POST', '/v1/tokens', { name: 'once', scopes: ['read_only'] }, { 'idempotency-key': 'k' }),
    ),
  );
  expect(twice.filter(({ status }) => status === 201)).toHaveLength(1);
  const named = (await there('GET', '/v1/tenants/t_api/tokens?limit=100')).body.data;
  expect(named.filter(({ name }: { name: string }) => name === 'once')).toHaveLength(1);
  process.stdout.write(
    `control: ${lags.length} changes were seen by the other process after at most ${Math.ceil(Math.max(...lags))} ms\n`,
  );
  await Promise.all([one.stop(), other.stop()]);
});

test('two processes that are asked to install one connection in one moment make one, and one webhook', async () => {
  const simulator = createSimulator({ orgs: [{ name: 'acme', apiKey: KEY, conversations: 1 }], timeScale: 1000 });
  onTestFinished(() => simulator.close());
  const [org] = simulator.orgs as readonly [Org];
  const { url: kustomer } = await simulator.listen();
  const env = { CN_ADMIN_TOKEN: ADMIN, KUSTOMER_BASE_URL: kustomer, PUBLIC_URL: 'https://hooks.example' };
  const site = await Installation.open({ tenants: 1, env });
  const [one, other] = await Promise.all([site.serve({ roles: 'api' }), site.serve({ roles: 'api' })]);
  const token = await newTenant(apiClient(one.url, ADMIN), 't_acme');
  const calls = [apiClient(one.url, token), apiClient(other.url, token)];
  await eventually(async () => expect((await calls[1]?.('GET', '/v1/whoami'))?.status).toBe(200), {
    message: 'the other process to know the token',
    deadlineMs: 5_000,
  });
  for (const round of [1, 2, 3]) {
    const body = { name: `prod-${round}`, config: { subdomain: 'acme' }, api_key: KEY };
    const answers = await Promise.all([...calls, ...calls].map((call) => call('POST', '/v1/connectors', body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
    expect(new Set(answers.map(({ body: { id } }) => id)).size).toBe(1);
    expect(org.webhooks.list()).toHaveLength(round);
  }
  await Promise.all([one.stop(), other.stop()]);
});

test('of several first starts exactly one tells the admin token, and it is in no topic', async () => {
  const site = await Installation.open({ tenants: 1 });
  const all = await Promise.all([site.serve({ roles: 'api' }), site.serve({ roles: 'api' })]);
  const told = all.flatMap(({ process }) => [...process.output().matchAll(/admin token, shown this once: (\S+)/g)]);
  expect(told).toHaveLength(1);
  const [, token = ''] = told[0] as RegExpMatchArray;
  for (const { url } of all) {
    const check = async () => expect((await apiClient(url, token)('GET', '/v1/tenants')).status).toBe(200);
    await eventually(check, { message: 'the token to be known', deadlineMs: 1000, everyMs: 20 });
  }
  await all[0]?.stop();
  const again = await site.serve({ roles: 'api' });
  expect(again.process.output()).not.toContain('shown this once');
  expect((await apiClient(again.url, token)('GET', '/v1/tenants')).status).toBe(200);
  const { records } = await site.read([site.names.control]);
  expect(JSON.stringify(records)).not.toContain(token);
});

test('a connector is installed as the guide says, and its failures are told apart', { timeout: 120_000 }, async () => {
  const simulator = createSimulator({ orgs: [{ name: 'acme', apiKey: KEY, conversations: 3 }], timeScale: 1000 });
  onTestFinished(() => simulator.close());
  const [org] = simulator.orgs as readonly [Org];
  const { url: kustomer } = await simulator.listen();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const site = await Installation.open({
    tenants: 1,
    env: {
      CN_ADMIN_TOKEN: ADMIN,
      KUSTOMER_BASE_URL: kustomer,
      PUBLIC_URL: url,
      PORT: String(port),
      WEBHOOK_CHECK_MS: '1000',
    },
  });
  const serving = await site.serve({ roles: 'ingest,process,poll,sink,api' });
  const token = await newTenant(apiClient(url, ADMIN), 't_acme');
  const api = apiClient(url, token);
  const check = (answer: HttpAnswer, name: string) =>
    (answer.body.probe ?? answer.body).checks.find((one: { name: string }) => one.name === name);
  const install = (api_key?: string, more = {}) =>
    api('POST', '/v1/connectors', {
      ...{ listing: 'cn-kustomer', name: 'kustomer-prod', role: 'support' },
      ...{ config: { subdomain: 'acme', poll_interval: '5s', ...more }, api_key },
    });

  const wrong = await install('key-that-nobody-knows');
  expect([wrong.status, wrong.body.probe.status]).toEqual([201, 'error']);
  expect(check(wrong, 'authentication')).toMatchObject({ ok: false, code: 'unauthorized' });
  expect(wrong.body.status).toBe('pending_auth');

  org.access = accessSchema.parse({
    roles: [
      'org.permission.search',
      'org.permission.conversation',
      'org.permission.message',
      'org.permission.customer',
      'org.permission.note.read',
    ],
  });
  const readOnly = await install(KEY);
  expect([readOnly.status, readOnly.body.created, readOnly.body.probe.status]).toEqual([200, false, 'degraded']);
  expect(check(readOnly, 'write_notes')).toMatchObject({ ok: false, code: 'missing_permission' });
  expect(check(readOnly, 'webhook')).toMatchObject({ ok: false, code: 'optional_missing_permission' });

  const kept = await install('another-that-nobody-knows');
  expect([kept.status, kept.body.key_stored, kept.body.auth.hint]).toEqual([200, false, readOnly.body.auth.hint]);

  org.access = accessSchema.parse({ roles: ['org.permission'] });
  const whole = await install(KEY);
  expect(check(whole, 'authentication')).toMatchObject({ ok: true });
  expect(check(whole, 'write_notes')).toMatchObject({ ok: true });
  expect(check(whole, 'webhook')).toMatchObject({ ok: true });
  expect(whole.body.webhook_url).toBe(`${url}/webhooks/kustomer/${whole.body.id}`);

  const polled = async () => {
    const contract = await api('POST', '/v1/connectors/kustomer-prod/contract', {});
    expect(contract.status).toBe(200);
    for (const name of ['webhook_health', 'signature', 'poll_lag', 'authentication', 'write_notes', 'budget']) {
      expect([name, check(contract, name)]).toMatchObject([name, { ok: true }]);
    }
    expect((await api('GET', '/v1/connectors/kustomer-prod')).body.status).toBe('connected');
  };
  await eventually(polled, { message: 'the contract to hold', deadlineMs: 60_000, everyMs: 500 });

  org.limits.configure(limitsSchema.parse({ orgPerMinute: 0 }));
  const limited = await install(KEY);
  expect(check(limited, 'authentication')).toMatchObject({ ok: null, code: 'rate_limited' });
  org.limits.configure(limitsSchema.parse({}));

  for (const [config, code] of [
    [{ poll: '5s' }, 'config_invalid'],
    [{ poll_interval: '1s' }, 'config_invalid'],
    [{ backfill_since: 'yesterday' }, 'config_invalid'],
    [{ api_key: 'x' }, 'credential_in_config'],
    [{ api_base_url: 'https://elsewhere.example' }, 'config_invalid'],
  ] as const) {
    const refused = await install(undefined, config);
    expect([config, refused.status, refused.body.error.code]).toEqual([config, 422, code]);
  }
  const said = serving.process.output();
  const { records } = await site.read([site.names.control]);
  for (const secret of [KEY, 'key-that-nobody-knows', 'another-that-nobody-knows', token, ADMIN]) {
    expect(said).not.toContain(secret);
    expect(JSON.stringify(records)).not.toContain(secret);
  }
  const removed = await api('DELETE', '/v1/connectors/kustomer-prod');
  expect(removed.status).toBe(200);
  expect((await api('GET', '/v1/connectors/kustomer-prod')).status).toBe(404);
  await serving.stop();
});

test('whatever is sent to the service, no answer is a fault of ours', { timeout: 120_000 }, async () => {
  const site = await Installation.open({ tenants: 1, env: { CN_ADMIN_TOKEN: ADMIN, API_RATE_PER_MINUTE: '10000000' } });
  const serving = await site.serve({ roles: 'api' });
  const token = await newTenant(apiClient(serving.url, ADMIN), 't_fuzz');
  const api = apiClient(serving.url, token);
  expect((await api('POST', '/v1/policies', { document: POLICY })).status).toBe(201);
  const document = (await api('GET', '/v1/openapi.json')).body;
  const known = ['support-writes', 'triage', 'cn-kustomer', 'conversation.note.write', 'ev_1', 'rc_1', 'apr_1', '1h'];
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(requestsOf(document, known), async ({ method, url, body, raw, headers }) => {
      // Streams do not end by themselves.
      if (/^\/v1\/(?:events|receipts)\/stream/.test(url)) return;
      const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(`${serving.url}${url}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(payload !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(payload !== undefined && { body: payload }),
        signal: AbortSignal.timeout(20_000),
      });
      const text = await response.text();
      statuses.add(response.status);
      expect(response.headers.get('x-request-id'), `${method} ${url}`).toMatch(/^req_/);
      if (response.status < 400) return;
      const { error } = JSON.parse(text);
      expect(Object.keys(API_ERRORS), text).toContain(error.code);
      // No connector can be installed here: there is no Kustomer.
      if (error.code !== 'connector_upstream_error')
        expect(response.status, `${method} ${url} ${payload} ${text}`).toBeLessThan(500);
    }),
    { numRuns: 600 },
  );
  expect(statuses).toContain(200);
  expect(serving.lines('api.failed').filter((line) => !JSON.stringify(line).includes('kustomer_'))).toEqual([]);
  await serving.stop();
});

test('a process that does not poll tells what the one that polls has told', { timeout: 120_000 }, async () => {
  const simulator = createSimulator({ orgs: [{ name: 'acme', apiKey: KEY, conversations: 3 }] });
  onTestFinished(() => simulator.close());
  const { url: kustomer } = await simulator.listen();
  const site = await Installation.open({ tenants: 1, env: { CN_ADMIN_TOKEN: ADMIN, KUSTOMER_BASE_URL: kustomer } });
  const [asked, polling] = [await site.serve({ roles: 'api' }), await site.serve({ roles: 'poll' })];
  const api = apiClient(asked.url, await newTenant(apiClient(asked.url, ADMIN), 't_apart'));
  const installed = await api('POST', '/v1/connectors', {
    ...{ name: 'kustomer-prod', api_key: KEY },
    config: { subdomain: 'acme', poll_interval: '5s' },
  });
  expect([installed.status, installed.body.last_sense_at]).toEqual([201, null]);
  const pollLag = async () => {
    const { body } = await api('POST', '/v1/connectors/kustomer-prod/contract', {});
    return body.checks.find(({ name }: { readonly name: string }) => name === 'poll_lag');
  };
  // Before anything was told it says that it does not know, and not that all is well.
  expect(await pollLag()).toMatchObject({ ok: null, code: 'not_begun' });
  const told = async () => {
    expect(await pollLag()).toMatchObject({ ok: true, code: 'ok', message: expect.stringContaining('as told') });
    const { body } = await api('GET', '/v1/connectors/kustomer-prod');
    expect(Date.parse(body.last_sense_at)).toBeGreaterThan(Date.parse(body.installed_at));
  };
  await eventually(told, { message: 'the process that polls to tell', deadlineMs: 80_000, everyMs: 500 });
  await polling.stop();
  await asked.stop();
});
