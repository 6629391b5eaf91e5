/** What every answer of the API keeps to, whatever the route. Numbers H… are those of src/api/server.ts. */
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { networkOf } from '../../../src/api/auth/refusals.ts';
import { API_ERRORS } from '../../../src/api/errors.ts';
import { Idempotency } from '../../../src/api/idempotency.ts';
import { definePublicRoute, defineRoute, type Route } from '../../../src/api/route.ts';
import { CodedError } from '../../../src/base/errors.ts';
import { ADMIN_TOKEN, type Api, type Called, startApi } from '../../support/api/harness.ts';

let gate = Promise.withResolvers<void>();
let thrown: unknown = null;
const signals: AbortSignal[] = [];

/** Routes that misbehave in ways the real ones must not. */
const MISBEHAVING: readonly Route[] = [
  defineRoute({
    id: 'throwing',
    method: 'GET',
    url: '/v1/test/throwing',
    summary: 'Throws.',
    tag: 'test',
    scope: 'any',
    response: { 200: z.object({}) },
    handler: async () => {
      throw thrown;
    },
  }),
  defineRoute({
    id: 'hanging',
    method: 'POST',
    url: '/v1/test/hanging',
    summary: 'Waits.',
    tag: 'test',
    scope: 'any',
    body: z.strictObject({ n: z.number().optional() }),
    response: { 200: z.strictObject({ done: z.boolean() }) },
    idempotent: {},
    timeoutMs: 200,
    handler: async ({ signal }) => {
      signals.push(signal);
      await gate.promise;
      return { body: { done: true } };
    },
  }),
];

/** Slow to read, and open to everybody. */
const PUBLIC: Route = definePublicRoute({
  id: 'open',
  method: 'GET',
  url: '/v1/test/open',
  summary: 'Waits.',
  tag: 'test',
  scope: 'public',
  response: { 200: z.strictObject({ done: z.boolean() }) },
  handler: async ({ signal }) => {
    signals.push(signal);
    await gate.promise;
    return { body: { done: true } };
  },
});

let api: Api;
let token: string;
beforeEach(async () => {
  gate = Promise.withResolvers();
  signals.length = 0;
  api = await startApi({ further: () => MISBEHAVING });
  await api.tenant('t_a');
  token = await api.token('t_a');
});
afterEach(async () => {
  gate.resolve();
  await api.server.close();
});

function expectError(answer: Called, status: number, code: keyof typeof API_ERRORS): void {
  expect([answer.status, answer.body?.error?.code]).toEqual([status, code]);
  const { error } = answer.body;
  expect(Object.keys(answer.body)).toEqual(['error']);
  expect(error.type).toBe(API_ERRORS[code].type);
  expect(error.message).toEqual(expect.stringMatching(/\S/));
  expect(error.doc_url).toMatch(/^https:\/\//);
  expect(error.request_id).toMatch(/^req_/);
  expect(answer.headers['x-request-id']).toBe(error.request_id);
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
}

describe('every failure has the error envelope (H1)', () => {
  it('an unknown path', async () => {
    for (const url of ['/v1/nothing', '/v1', '/v1/', '/v1/whoami/', '/v1/WHOAMI', '/v1/whoami/%2e%2e', '//v1/whoami']) {
      expectError(await api.call('GET', url, { token }), 404, 'not_found');
    }
  });

  it('another method, and says which there are', async () => {
    const answer = await api.call('DELETE', '/v1/connectors', { token });
    expectError(answer, 405, 'method_not_allowed');
    expect(answer.headers['allow']).toBe('POST, GET');
    for (const method of ['PATCH', 'OPTIONS']) {
      expectError(await api.call(method, '/v1/whoami', { token }), 405, 'method_not_allowed');
    }
    expect((await api.call('HEAD', '/v1/whoami', { token })).status).toBe(405);
  });

  it('a body that is no JSON, no UTF-8, or would change what an object is', async () => {
    for (const raw of [
      '{',
      'nul',
      '{"a":1}}',
      '{"__proto__":{"a":1}}',
      '{"constructor":{"prototype":{}}}',
      Buffer.from('"\xff"', 'latin1'),
    ]) {
      expectError(await api.call('POST', '/v1/tokens', { token, raw }), 400, 'invalid_json');
    }
  });

  it('a body of another type', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'x']) {
      const answer = await api.call('POST', '/v1/tokens', { token, raw: '{}', headers: { 'content-type': type } });
      expectError(answer, 415, 'media_type_unsupported');
    }
  });

  it('a body beyond the limit', async () => {
    const answer = await api.call('POST', '/v1/tokens', { token, raw: JSON.stringify({ name: 'x'.repeat(300_000) }) });
    expectError(answer, 413, 'body_too_large');
    expect(answer.headers['connection']).toBe('close');
  });

  it('a path that is not well-formed, or an id of any length', async () => {
    expectError(await api.call('GET', '/v1/connectors/%zz', { token }), 400, 'request_malformed');
    expectError(await api.call('GET', `/v1/connectors/${'x'.repeat(600)}`, { token }), 404, 'not_found');
  });

  it('a fault of ours, without its cause', async () => {
    thrown = new TypeError('secret inside /home/us/src.ts');
    const answer = await api.call('GET', '/v1/test/throwing', { token });
    expectError(answer, 500, 'internal');
    expect(answer.text).not.toContain('secret inside');
    expect(api.failures.at(-1)?.error).toBe(thrown);
  });

  it('what the rest of the house throws, translated', async () => {
    const rows = [
      [new CodedError('log_unavailable', 'broker kafka-7.internal is down'), 503, 'unavailable'],
      [new CodedError('kustomer_unanswered', 'acme.api.kustomerapp.com answered 502'), 502, 'connector_upstream_error'],
      [new CodedError('connection_conflict', 'the tenant has another connection of the name x'), 409, 'state_conflict'],
      [new CodedError('secret_unreadable', 'a sealed secret cannot be opened'), 500, 'internal'],
    ] as const;
    for (const [error, status, code] of rows) {
      thrown = error;
      const answer = await api.call('GET', '/v1/test/throwing', { token });
      expectError(answer, status, code);
      if (status === 503) expect(answer.headers['retry-after']).toBe('5');
      if (status === 503 || status === 500) expect(answer.body.error.message).not.toContain(error.message);
    }
  });

  it('whatever is thrown, if it is no error at all', async () => {
    for (const odd of [undefined, null, 'text', 7, { statusCode: 200 }, Object.create(null)]) {
      thrown = odd;
      expectError(await api.call('GET', '/v1/test/throwing', { token }), 500, 'internal');
    }
  });

  it('an answer that does not come in time; the handler is told (H3)', async () => {
    expectError(await api.call('POST', '/v1/test/hanging', { token, body: {} }), 504, 'deadline_exceeded');
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it('a service that is stopping', async () => {
    const { server } = api;
    const http = createServer(server.handle);
    await new Promise<void>((resolve) => void http.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void http.close());
    const ask = async (path: string): Promise<Called> => {
      const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}${path}`;
      const answer = await fetch(url, { headers: { authorization: `Bearer ${token}`, connection: 'close' } });
      const text = await answer.text();
      return { status: answer.status, body: JSON.parse(text), text, headers: Object.fromEntries(answer.headers) };
    };
    expect((await ask('/v1/whoami')).status).toBe(200);
    const closing = server.close();
    expectError(await ask('/v1/whoami'), 503, 'unavailable');
    await closing;
    // The roles beside it may take longer, and the listener is closed last.
    const refused = await ask('/v1/whoami');
    expectError(refused, 503, 'unavailable');
    expect(refused.headers).toMatchObject({ 'retry-after': '1', connection: 'close' });
    expectError(await ask('/v1/nothing'), 404, 'not_found');
  });
});

describe('what is refused of a request', () => {
  it('an unknown field, by its name; all problems at once', async () => {
    const answer = await api.call('POST', '/v1/tokens', { token, body: { nam: 'x', scopes: ['events:read', 'all'] } });
    expectError(answer, 400, 'invalid_parameter');
    const fields = answer.body.error.problems.map((one: { field: string; code: string }) => `${one.field}:${one.code}`);
    expect(fields.sort()).toEqual(['nam:unknown_field', 'name:missing', 'scopes.1:invalid_value']);
    expect(answer.body.error.message).toContain('nam is not known here');
  });

  it('an unknown query parameter, on routes with and without a query', async () => {
    expectError(await api.call('GET', '/v1/connectors?limt=3', { token }), 400, 'invalid_parameter');
    expectError(await api.call('GET', '/v1/whoami?x=1', { token }), 400, 'invalid_parameter');
    expectError(await api.call('GET', '/v1/connectors?limit=3&limit=4', { token }), 400, 'invalid_parameter');
  });

  it('a body where none belongs', async () => {
    expectError(await api.call('DELETE', '/v1/tokens/key_1', { token, body: { a: 1 } }), 400, 'invalid_parameter');
  });

  it('values are never quoted', async () => {
    const secret = 'eyJhbGciOiJIUzI1NiJ9.canary.canary';
    const body = { name: `n\n${secret}`, scopes: [secret], expires_at: secret, workspace_id: [secret] };
    const answer = await api.call('POST', '/v1/tokens', { token, body });
    expect(answer.status).toBe(403); // workspace_id is not that of the token
    expect(answer.text).not.toContain('canary');
    const { workspace_id: _, ...rest } = body;
    const again = await api.call('POST', '/v1/tokens', { token, body: rest });
    expectError(again, 400, 'invalid_parameter');
    expect(again.text).not.toContain('canary');
  });
});

describe('request ids', () => {
  it('one of the client is kept where it is well-formed, and another made where not', async () => {
    const kept = await api.call('GET', '/v1/whoami', { token, headers: { 'x-request-id': 'req_abcdef-123' } });
    expect(kept.headers['x-request-id']).toBe('req_abcdef-123');
    for (const odd of ['abc', 'req_', 'req_a b', `req_${'x'.repeat(65)}`, 'req_<script>']) {
      const made = await api.call('GET', '/v1/nothing', { headers: { 'x-request-id': odd } });
      expect(made.headers['x-request-id']).toMatch(/^req_[0-9a-f]{24}$/);
    }
  });
});

describe('the rate of a tenant', () => {
  it('is told on every answer and shared by its tokens, for each class of routes', async () => {
    await api.server.close();
    api = await startApi({ settings: { ratePerMinute: 6 } });
    await api.tenant('t_a');
    await api.tenant('t_b');
    const one = await api.token('t_a');
    const other = await api.token('t_a');
    const left = [];
    for (const which of [one, other, one, other, one, other]) {
      const answer = await api.call('GET', '/v1/whoami', { token: which });
      left.push(answer.headers['x-ratelimit-remaining']);
      expect(answer.headers['x-ratelimit-limit']).toBe('6');
    }
    expect(left).toEqual(['5', '4', '3', '2', '1', '0']);
    const refused = await api.call('GET', '/v1/whoami', { token: one });
    expectError(refused, 429, 'rate_limited');
    expect(refused.headers['retry-after']).toBe('10');
    expect(Number(refused.headers['x-ratelimit-reset'])).toBe(api.time.nowMs / 1000 + 60);
    // Neither another tenant nor another class is touched.
    expect((await api.call('GET', '/v1/whoami', { token: await api.token('t_b') })).status).toBe(200);
    expect((await api.call('DELETE', '/v1/tokens/key_1', { token: one })).status).toBe(404);
    api.time.nowMs += 10_000;
    expect((await api.call('GET', '/v1/whoami', { token: one })).status).toBe(200);
    expect((await api.call('GET', '/v1/whoami', { token: one })).status).toBe(429);
  });
});

describe('Idempotency-Key', () => {
  const headers = { 'idempotency-key': 'k-1' };
  const make = (body: unknown, more = {}) =>
    api.call('POST', '/v1/tenants', { token: ADMIN_TOKEN, body, headers: { ...headers, ...more } });

  it('the same request gets the stored answer, with the id of the first', async () => {
    const first = await make({ name: 'Acme' }, { 'x-request-id': 'req_11111111' });
    const again = await make({ name: 'Acme' }, { 'x-request-id': 'req_22222222' });
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body).toEqual(first.body);
    expect(again.headers['x-request-id']).toBe('req_11111111');
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect(api.tenants.list()).toHaveLength(2);
  });

  it('another request with it is refused, also on another path', async () => {
    await make({ name: 'Acme' });
    expectError(await make({ name: 'Other' }), 409, 'idempotency_conflict');
    const elsewhere = await api.call('POST', '/v1/tenants/t_a/tokens', {
      ...{ token: ADMIN_TOKEN, headers },
      body: { name: 'Acme', scopes: ['admin'] },
    });
    expectError(elsewhere, 409, 'idempotency_conflict');
  });

  it('two tenants have keys of their own', async () => {
    await api.tenant('t_b');
    const body = { name: 'ci', scopes: ['events:read'] };
    const a = await api.call('POST', '/v1/tokens', { token, body, headers });
    const b = await api.call('POST', '/v1/tokens', { token: await api.token('t_b'), body, headers });
    expect([a.status, b.status]).toEqual([201, 201]);
    expect(b.body.tenant_id).toBe('t_b');
  });

  it('while the first is under way, the second waits its turn elsewhere', async () => {
    const first = api.call('POST', '/v1/test/hanging', { token, body: { n: 1 }, headers });
    await expect.poll(() => signals.length).toBe(1);
    const second = await api.call('POST', '/v1/test/hanging', { token, body: { n: 1 }, headers });
    expectError(second, 409, 'idempotency_in_progress');
    expect(second.headers['retry-after']).toBe('2');
    gate.resolve();
    expect((await first).status).toBe(200);
    const third = await api.call('POST', '/v1/test/hanging', { token, body: { n: 1 }, headers });
    expect([third.status, third.body.done, signals.length]).toEqual([200, true, 1]);
  });

  it('a refusal frees the key', async () => {
    expectError(await make({ id: 't_a', name: 'Acme' }), 409, 'state_conflict');
    expect((await make({ name: 'Acme' })).status).toBe(201);
  });

  it('of two at once exactly one is done', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => make({ name: 'Acme' })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.every(({ status }) => [200, 201, 409].includes(status))).toBe(true);
    expect(api.tenants.list()).toHaveLength(2);
  });

  it('a secret is not repeated and not kept, and the answer says so', async () => {
    const body = { name: 'ci', scopes: ['events:read'] };
    const first = await api.call('POST', '/v1/tokens', { token, body, headers });
    const again = await api.call('POST', '/v1/tokens', { token, body, headers });
    expect(first.body.token).toMatch(/^sk_live_[0-9A-Za-z]{40}$/);
    expect(first.body.withheld).toBeUndefined();
    expect(again.body).toEqual({ ...first.body, token: null, withheld: ['token'] });
    expect(api.idempotencies.bytes()).not.toContain(first.body.token);
    expect(api.tokens.bytes()).not.toContain(first.body.token);
  });

  it('is forgotten after a day', async () => {
    await make({ name: 'Acme' });
    api.time.nowMs += 24 * 3_600_000;
    await api.idempotency.sweep(api.time.nowMs);
    expect(api.idempotencies.list()).toHaveLength(0);
    expect((await make({ name: 'Other' })).status).toBe(201);
  });

  it('one that is none is refused', async () => {
    for (const key of ['', 'x'.repeat(256), 'a\tb']) {
      expect((await make({ name: 'Acme' }, { 'idempotency-key': key })).status).toBe(400);
    }
  });

  it('where the documents cannot be written, nothing is done', async () => {
    api.idempotencies.failing = new CodedError('log_unavailable', 'no broker');
    expectError(await make({ name: 'Acme' }), 503, 'unavailable');
    expect(api.tenants.list()).toHaveLength(1);
  });
});

describe('an Idempotency-Key whose answer came too late', () => {
  const late = () =>
    api.call('POST', '/v1/test/hanging', { token, body: { n: 1 }, headers: { 'idempotency-key': 'k-late' } });

  it('stays under way until the handler has ended, and has its answer then', async () => {
    expectError(await late(), 504, 'deadline_exceeded');
    expectError(await late(), 409, 'idempotency_in_progress');
    gate.resolve();
    await expect.poll(async () => (await late()).status).toBe(200);
    expect([(await late()).body, signals.length]).toEqual([{ done: true }, 1]);
  });

  it('K4: however long that takes, here and for other processes', async () => {
    expectError(await late(), 504, 'deadline_exceeded');
    api.time.nowMs += 4 * 60_000;
    await api.idempotency.renew(api.time.nowMs);
    api.time.nowMs += 4 * 60_000;
    const elsewhere = new Idempotency({ table: api.idempotencies, random: randomBytes });
    const kept = api.idempotencies.list()[0]?.[1];
    expect(api.time.nowMs - (kept?.created_at_ms ?? 0)).toBe(4 * 60_000);
    await elsewhere.sweep(api.time.nowMs);
    expectError(await late(), 409, 'idempotency_in_progress');
    api.time.nowMs += 60 * 60_000; // a process that was frozen knows all the same what it runs
    expectError(await late(), 409, 'idempotency_in_progress');
    expect(signals).toHaveLength(1);
  });

  it('is free again when the handler failed', async () => {
    expectError(await late(), 504, 'deadline_exceeded');
    gate.reject(new Error('in vain'));
    await expect.poll(() => api.idempotencies.list().length).toBe(0);
    gate = Promise.withResolvers();
    gate.resolve();
    expect((await late()).status).toBe(200);
  });
});

describe('what one tenant keeps under Idempotency-Keys (K6)', () => {
  it('is bounded in bytes: beyond, answers are given and not kept', async () => {
    const idempotency = api.idempotency;
    const use = async (key: string) => {
      const request = { scope: 't_a', key, method: 'POST', path: '/', body: {} };
      const first = await idempotency.begin(request, api.time.nowMs);
      if (first.kind !== 'first') return false;
      const body = { text: 'x'.repeat(200_000) };
      await idempotency.finish(first, { requestId: 'req_1', body, secretFields: [] });
      return true;
    };
    for (let n = 0; n < 120; n += 1) expect(await use(`k-${n}`)).toBe(true);
    expect(api.idempotencies.bytes().length).toBeLessThan(17 * 1024 * 1024);
    expect([await use('k-0'), await use('k-119')]).toEqual([false, true]);
  });

  it('holds no text from which a body could be guessed', async () => {
    const headers = { 'idempotency-key': 'a key of the client' };
    const body = { name: 'Acme' };
    await api.call('POST', '/v1/tenants', { token: ADMIN_TOKEN, body, headers });
    const plain = createHash('sha256')
      .update(JSON.stringify(['POST', '/v1/tenants', body]))
      .digest('base64url');
    expect(api.idempotencies.bytes()).not.toContain(plain);
  });
});

describe('callers without a valid token (H5)', () => {
  const guess = (remoteAddress: string, authorization = 'Bearer sk_live_none') =>
    api.server.app.inject({ url: '/v1/whoami', headers: { authorization }, remoteAddress });

  it('are told so a few times, then to wait; others are not, and no valid token is kept out', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => guess('192.0.2.1')));
    expect(answers.filter(({ statusCode }) => statusCode === 401)).toHaveLength(120);
    const over = answers.filter(({ statusCode }) => statusCode === 429);
    expect(over).toHaveLength(80);
    expect(over[0]?.headers['retry-after']).toBe('1');
    expect(over[0]?.json().error.code).toBe('rate_limited');
    expect((await guess('192.0.2.2')).statusCode).toBe(401);
    expect((await guess('192.0.2.1', `Bearer ${token}`)).statusCode).toBe(200);
    api.time.nowMs += 60_000;
    expect((await guess('192.0.2.1')).statusCode).toBe(401);
  });

  it('from everywhere together too, an IPv6 network counting as one', async () => {
    await api.server.close();
    api = await startApi({ settings: { refusals: { perAddress: 3, overall: 5 } } });
    await api.tenant('t_a');
    token = await api.token('t_a');
    const status = async (address: string) => (await guess(address)).statusCode;
    const network = ['2001:db8::1', '2001:db8:0:0:1::1', '2001:db8:0::2', '2001:db8::3'];
    expect(await Promise.all(network.map(status))).toEqual([401, 401, 401, 429]);
    expect(await Promise.all(['192.0.2.1', '192.0.2.2', '192.0.2.3'].map(status))).toEqual([401, 401, 429]);
    expect((await guess('192.0.2.3', `Bearer ${token}`)).statusCode).toBe(200);
    expect(['::1', 'fe80::1%eth0', '::ffff:192.0.2.1', '1:2:3:4:5:6:7:8'].map(networkOf)).toEqual([
      '0:0:0:0',
      'fe80:0:0:0',
      '::ffff:192.0.2.1',
      '1:2:3:4',
    ]);
  });
});

describe('bodies that are deep', () => {
  it('within reason are read, whatever stands in their texts', async () => {
    const inText = `"${'['.repeat(500)}\\"${'{'.repeat(500)}"`;
    const raw = `{"args":${'{"a":'.repeat(60)}${inText}${'}'.repeat(60)},"capability":"x","operator":"y"}`;
    const answer = await api.call('POST', '/v1/policies/evaluate', { token, raw });
    expectError(answer, 404, 'not_found'); // there is no connection
  });

  it('are a fault of whoever sends them, with a key or without', async () => {
    const deep = `${'['.repeat(40_000)}${']'.repeat(40_000)}`;
    const urls = ['/v1/policies/evaluate', '/v1/connectors', '/v1/connectors/x/test', '/v1/actions', '/v1/tokens'];
    for (const url of urls) {
      for (const raw of [
        deep,
        `{"args":{"a":${deep}},"capability":"x","operator":"y","tool":"z","config":{"a":${deep}}}`,
      ]) {
        for (const headers of [{}, { 'idempotency-key': 'k' }]) {
          const answer = await api.call('POST', url, { token, raw, headers });
          expectError(answer, 400, 'invalid_json');
        }
      }
    }
  });
});

describe('what is under way is counted (H4)', () => {
  it('strangers that read slowly keep out neither tenants nor the platform', async () => {
    await api.server.close();
    api = await startApi({ further: () => [PUBLIC], settings: { maxOpen: 4, maxOpenPerTenant: 2 } });
    await api.tenant('t_a');
    const own = await api.token('t_a');
    const waiting = Array.from({ length: 2 }, () => api.call('GET', '/v1/test/open'));
    await expect.poll(() => signals.length).toBe(2);
    expectError(await api.call('GET', '/v1/test/open'), 429, 'rate_limited');
    expect((await api.call('GET', '/v1/whoami', { token: own })).status).toBe(200);
    expect((await api.call('GET', '/v1/tenants', { token: ADMIN_TOKEN })).status).toBe(200);
    gate.resolve();
    await Promise.all(waiting);
  });

  it('for each tenant: one that waits for a long time leaves room for the others', async () => {
    await api.server.close();
    api = await startApi({ further: () => MISBEHAVING, settings: { maxOpen: 10, maxOpenPerTenant: 4 } });
    for (const id of ['t_a', 't_b']) await api.tenant(id);
    const [a, b] = [await api.token('t_a'), await api.token('t_b')];
    const waiting = Array.from({ length: 4 }, () => api.call('POST', '/v1/test/hanging', { token: a, body: {} }));
    await expect.poll(() => signals.length).toBe(4);
    const refused = await api.call('GET', '/v1/whoami', { token: a });
    expectError(refused, 429, 'rate_limited');
    expect(refused.headers['retry-after']).toBe('1');
    expect((await api.call('GET', '/v1/whoami', { token: b })).status).toBe(200);
    gate.resolve();
    await Promise.all(waiting);
    await expect.poll(async () => (await api.call('GET', '/v1/whoami', { token: a })).status).toBe(200);
  });

  it('and let go of', async () => {
    await Promise.all(Array.from({ length: 10 }, () => api.call('GET', '/v1/whoami', { token })));
    await expect.poll(() => api.server.state()).toEqual({ open: 0, streams: 0 });
  });
});
