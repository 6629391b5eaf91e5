/** What the network can do to a call, over real sockets: K2, X1–X4 of the client and its transport. */
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/base/secret.ts';
import { createBudgetGate } from '../../../../src/kustomer/client/budget-gate.ts';
import {
  createKustomerClient,
  type KustomerCall,
  type KustomerClient,
  type KustomerClientOptions,
} from '../../../../src/kustomer/client/client.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { answer, closedPort, type RawBehaviour, type RawServer, rawServer } from './raw-server.ts';

const CANARY = 'canary.key-that-must-not-show';
/** Long enough for a busy machine; tests that wait for one of them to pass use the short ones. */
const TIMEOUTS = { connectMs: 5000, headersMs: 5000, bodyMs: 5000, totalMs: 10_000 };
const SHORT = { ...TIMEOUTS, headersMs: 150, bodyMs: 150 };

const running: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of running.splice(0).reverse()) await thing.close();
});

function clientOf(baseUrl: string, more: Partial<KustomerClientOptions> = {}): KustomerClient {
  const gate = createBudgetGate({ budget: { assumedLimit: 10_000, othersShare: 0 } });
  const client = createKustomerClient({ baseUrl, apiKey: new Secret(CANARY), gate, timeouts: TIMEOUTS, ...more });
  running.push(gate, client);
  return client;
}

async function serverOf(behaviour: RawBehaviour): Promise<RawServer> {
  const server = await rawServer(behaviour);
  running.push(server);
  return server;
}

const READ: KustomerCall = {
  operation: 'conversation.get',
  method: 'GET',
  path: ['conversations', 'c1'],
  lane: 'poll',
};
const WRITE: KustomerCall = {
  operation: 'note.create',
  method: 'POST',
  path: ['conversations', 'c1', 'notes'],
  body: { body: 'a note of ours' },
  lane: 'writes',
  permission: 'org.permission.note.create',
};

describe('a request that never left', () => {
  it('is not_sent when the connection is refused', async () => {
    const client = clientOf(await closedPort());
    for (const call of [READ, WRITE]) {
      expect(await client.call(call)).toMatchObject({ kind: 'not_sent', code: 'kustomer_not_sent', status: null });
    }
    expect((await client.call(WRITE)).kind).toBe('not_sent');
    expect(client.health().budget).toMatchObject({ used: 0, openCalls: 0 });
    expect(client.health().failuresInARow).toBe(3);
  });

  it('is not_sent when the name does not resolve', async () => {
    const client = clientOf('https://no-such-host.invalid');
    expect(await client.call(WRITE)).toMatchObject({ kind: 'not_sent', disposition: 'retry' });
  });

  it('is not_sent when it is given up while it waits for a connection, and is not sent later', async () => {
    const open: (() => void)[] = [];
    const server = await serverOf({
      request: ({ socket }) => open.push(() => socket.write(answer(200, '{"data":[]}'))),
    });
    const client = clientOf(server.url, { connections: 1, timeouts: { ...TIMEOUTS, connectMs: 60 } });
    const first = client.call(READ);
    await waitFor(() => open.length === 1, { message: 'the first request' });
    expect(await client.call(WRITE)).toMatchObject({ kind: 'not_sent' });
    open[0]?.();
    expect((await first).kind).toBe('ok');
    // The connection is free again and would have carried it by now: a later call over it comes back.
    const third = client.call(READ);
    await waitFor(() => open.length === 2, { message: 'the third request' });
    open[1]?.();
    expect((await third).kind).toBe('ok');
    expect(server.received()).not.toContain('a note of ours');
    expect(server.received()).not.toContain('POST');
  });

  it('is not_sent when the caller gave up before, and costs nothing', async () => {
    const server = await serverOf({ request: ({ socket }) => socket.write(answer(200, '{}')) });
    const client = clientOf(server.url);
    const outcome = await client.call({ ...WRITE, signal: AbortSignal.abort() });
    expect(outcome).toMatchObject({ kind: 'not_sent', code: 'budget_exhausted' });
    expect(server.connections()).toBe(0);
  });

  it('is refused here when it is larger than Kustomer takes, or its path would climb', async () => {
    const server = await serverOf({});
    const client = clientOf(server.url);
    const large = { ...WRITE, body: { body: 'x'.repeat(100 * 1024) } };
    expect(await client.call(large)).toMatchObject({ kind: 'refuse', status: null });
    expect(await client.call({ ...READ, path: ['conversations', '..', 'users'] })).toMatchObject({ kind: 'refuse' });
    expect(await client.call({ ...READ, path: ['conversations', ''] })).toMatchObject({ kind: 'refuse' });
    expect(server.connections()).toBe(0);
  });
});

/** What each fault makes of a read and of a write. */
const FAULTS: readonly (readonly [name: string, behaviour: RawBehaviour, status: number | null])[] = [
  ['a reset after the request', { request: ({ socket }) => socket.resetAndDestroy() }, null],
  ['an end without an answer', { request: ({ socket }) => socket.end() }, null],
  ['no answer in time', { request: () => {} }, null],
  [
    'a reset inside the headers',
    { request: ({ socket }) => socket.write('HTTP/1.1 200 O', () => socket.resetAndDestroy()) },
    null,
  ],
  ['something that is not HTTP', { request: ({ socket }) => socket.end('SSH-2.0-OpenSSH_9.9\r\n\r\n') }, null],
  [
    'headers and then nothing',
    { request: ({ socket }) => socket.write('HTTP/1.1 201 X\r\ncontent-length: 9\r\n\r\n{"a"') },
    201,
  ],
  [
    'a reset inside the body',
    {
      request: ({ socket }) =>
        socket.write('HTTP/1.1 201 X\r\ncontent-length: 9\r\n\r\n{"a"', () =>
          setTimeout(() => socket.resetAndDestroy(), 20),
        ),
    },
    201,
  ],
  [
    'a body that ends early',
    { request: ({ socket }) => socket.end('HTTP/1.1 201 X\r\ncontent-length: 9\r\n\r\n{"a"') },
    201,
  ],
  [
    'truncated JSON of the promised length',
    { request: ({ socket }) => socket.write(answer(201, '{"data":{"id"')) },
    201,
  ],
  ['a page of HTML', { request: ({ socket }) => socket.write(answer(200, '<html>')) }, 200],
  [
    'a body of a gigabyte',
    { request: ({ socket }) => socket.write('HTTP/1.1 200 X\r\ncontent-length: 1073741824\r\n\r\n{') },
    200,
  ],
  [
    '500',
    { request: ({ socket }) => socket.write(answer(500, '{"errors":[{"code":"internal","title":"Oops"}]}')) },
    500,
  ],
  ['502 of the CDN', { request: ({ socket }) => socket.write(answer(502, '<html>Bad gateway</html>')) }, 502],
  ['503 with Retry-After', { request: ({ socket }) => socket.write(answer(503, '', { 'retry-after': '7' })) }, 503],
  ['504', { request: ({ socket }) => socket.write(answer(504, '')) }, 504],
];

const SHORT_FAULTS = new Set(['no answer in time', 'headers and then nothing']);

describe('a request that left and has no usable answer', () => {
  it.each(FAULTS)('%s: the write is ambiguous, the read may be repeated', async (name, behaviour, status) => {
    const server = await serverOf(behaviour);
    const client = clientOf(server.url, { timeouts: SHORT_FAULTS.has(name) ? SHORT : TIMEOUTS });
    expect(await client.call(WRITE)).toMatchObject({
      kind: 'ambiguous',
      code: 'kustomer_ambiguous',
      disposition: 'park',
      status,
    });
    expect(server.received().match(/POST/g)).toHaveLength(1);
    expect(await client.call(READ)).toMatchObject({ kind: 'retry', code: 'kustomer_unanswered', status });
    expect(server.received().match(/GET/g)).toHaveLength(1);
    expect(client.health().budget).toMatchObject({ used: 2, openCalls: 0 });
  });

  it('keeps Retry-After of a 503', async () => {
    const server = await serverOf({ request: ({ socket }) => socket.write(answer(503, '', { 'retry-after': '7' })) });
    const beforeMs = Date.now();
    const outcome = await clientOf(server.url).call(WRITE);
    expect(outcome.kind).toBe('ambiguous');
    const { retryAtMs } = outcome as { retryAtMs: number };
    expect(retryAtMs - beforeMs).toBeGreaterThan(6900);
    expect(retryAtMs - Date.now()).toBeLessThan(7100);
  });

  it('has a deadline over all, however the bytes drip', async () => {
    const drip: NodeJS.Timeout[] = [];
    const server = await serverOf({
      request: ({ socket }) => {
        socket.write('HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n');
        drip.push(setInterval(() => socket.write('x'), 10));
      },
    });
    const beforeMs = performance.now();
    const client = clientOf(server.url, { timeouts: { ...TIMEOUTS, totalMs: 300 } });
    const outcome = await client.call(WRITE);
    for (const timer of drip) clearInterval(timer);
    expect(outcome).toMatchObject({ kind: 'ambiguous', status: 200 });
    expect(performance.now() - beforeMs).toBeGreaterThan(280);
    expect(performance.now() - beforeMs).toBeLessThan(5000);
  });

  it('is bounded also when no length is declared', async () => {
    const server = await serverOf({
      request: ({ socket }) => socket.write(`HTTP/1.1 200 X\r\nconnection: close\r\n\r\n"${'x'.repeat(5000)}`),
    });
    const outcome = await clientOf(server.url, { maxResponseBytes: 1000 }).call(READ);
    expect(outcome).toMatchObject({ kind: 'retry', message: expect.stringContaining('more than 1000 bytes') });
  });
});

/** The one thing that must never be wrong: a duplicate note is what follows from it. */
it('never calls a write not_sent of which the server has seen a byte', async () => {
  const kinds = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        where: fc.constantFrom('accept', 'data', 'request', 'never'),
        afterBytes: fc.nat(400),
        how: fc.constantFrom('reset', 'end', 'stall'),
        abortAfterMs: fc.option(fc.nat(12)),
        listening: fc.boolean(),
      }),
      async ({ where, afterBytes, how, abortAfterMs, listening }) => {
        const strike = (socket: import('node:net').Socket): void => {
          if (how === 'reset') socket.resetAndDestroy();
          else if (how === 'end') socket.destroy();
        };
        const server = await rawServer({
          ...(where === 'accept' ? { accept: strike } : {}),
          ...(where === 'data' ? { data: (socket, received) => received >= afterBytes && strike(socket) } : {}),
          ...(where === 'request' ? { request: ({ socket }) => strike(socket) } : {}),
          ...(where === 'never' ? { request: ({ socket }) => socket.write(answer(201, '{}')) } : {}),
        });
        if (!listening) await server.close();
        const gate = createBudgetGate();
        const client = createKustomerClient({
          baseUrl: server.url,
          apiKey: new Secret(CANARY),
          gate,
          timeouts: { connectMs: 40, headersMs: 40, bodyMs: 40, totalMs: 60 },
        });
        const abort = new AbortController();
        const timer = abortAfterMs === null ? undefined : setTimeout(() => abort.abort(), abortAfterMs);
        const outcome = await client.call({ ...WRITE, signal: abort.signal });
        clearTimeout(timer);
        await client.close();
        gate.close();
        await server.close();
        kinds.add(outcome.kind);
        expect(['ok', 'not_sent', 'ambiguous']).toContain(outcome.kind);
        if (outcome.kind === 'not_sent') expect(server.received()).toBe('');
        if (server.received() === '' && !listening) expect(outcome.kind).toBe('not_sent');
        expect(inspect(outcome, { depth: 9 })).not.toContain(CANARY);
      },
    ),
    { numRuns: 150 },
  );
  expect([...kinds].sort()).toEqual(['ambiguous', 'not_sent', 'ok']);
}, 60_000);

describe('429', () => {
  const DATE = 'Sat, 21 Nov 2026 23:00:00 GMT';
  const RESET = String(Date.parse(DATE) / 1000 + 25);
  it.each([
    ['seconds', { 'retry-after': '12' }, 12_000],
    ["a date, by the server's own clock", { 'retry-after': 'Sat, 21 Nov 2026 23:00:09 GMT', date: DATE }, 9000],
    ["a reset, by the server's own clock", { 'x-ratelimit-reset': RESET, date: DATE }, 25_000],
    ['Retry-After before a reset', { 'retry-after': '3', 'x-ratelimit-reset': RESET, date: DATE }, 3000],
  ])('waits as told in %s', async (_form, headers, inMs) => {
    const server = await serverOf({ request: ({ socket }) => socket.write(answer(429, '', headers)) });
    const client = clientOf(server.url);
    const beforeMs = Date.now();
    const outcome = await client.call(WRITE);
    expect(outcome).toMatchObject({ kind: 'wait', code: 'kustomer_rate_limited', disposition: 'wait', status: 429 });
    const { retryAtMs } = outcome as { retryAtMs: number };
    expect(retryAtMs).toBeGreaterThan(beforeMs + inMs - 100);
    expect(retryAtMs).toBeLessThan(Date.now() + inMs + 100);
    // The whole organisation waits, not this call.
    const other = await client.call({ ...READ, waitMs: 20 });
    expect(other).toMatchObject({ kind: 'not_sent', code: 'budget_exhausted' });
    expect((other as { retryAtMs: number }).retryAtMs).toBeGreaterThanOrEqual(retryAtMs - 100);
    expect(server.received()).not.toContain('GET');
  });

  const NARROW = { 'retry-after': '30', 'x-ratelimit-limit': '1000', 'x-ratelimit-remaining': '700' };

  it('K5: of a write while the organisation has calls left is about its customer or object: nobody else waits', async () => {
    const server = await serverOf({
      request: ({ socket, text }) =>
        socket.write(text.startsWith('POST') ? answer(429, '', NARROW) : answer(200, '{}')),
    });
    const client = clientOf(server.url);
    const limited = await client.call(WRITE);
    expect(limited).toMatchObject({ kind: 'wait', code: 'kustomer_rate_limited' });
    expect((limited as { retryAtMs: number }).retryAtMs).toBeGreaterThan(Date.now() + 29_000);
    expect(await client.call({ ...READ, waitMs: 20 })).toMatchObject({ kind: 'ok' });
    expect(client.health().budget).toMatchObject({ pausedUntilMs: null, limited: 1 });
  });

  it('K5: stops everybody when too many come in a row, when nothing is left, and on a read', async () => {
    const server = await serverOf({ request: ({ socket }) => socket.write(answer(429, '', NARROW)) });
    const client = clientOf(server.url);
    for (let count = 0; count < 20; count += 1) await client.call(WRITE);
    expect(client.health().budget.pausedUntilMs).toBeNull();
    await client.call(WRITE);
    expect(client.health().budget).toMatchObject({ pauseCause: 'retry_after' });
    const onRead = clientOf(server.url);
    await onRead.call(READ);
    expect(onRead.health().budget).toMatchObject({ pauseCause: 'retry_after' });
    const empty = await serverOf({
      request: ({ socket }) => socket.write(answer(429, '', { ...NARROW, 'x-ratelimit-remaining': '0' })),
    });
    const onEmpty = clientOf(empty.url);
    await onEmpty.call(WRITE);
    expect(onEmpty.health().budget).toMatchObject({ pauseCause: 'retry_after' });
  });

  it('backs off when nothing is told, or nonsense', async () => {
    const headers = { 'retry-after': 'soon', 'x-ratelimit-reset': 'tomorrow', 'x-ratelimit-limit': '-4' };
    const server = await serverOf({ request: ({ socket }) => socket.write(answer(429, '{"errors":"x"}', headers)) });
    const client = clientOf(server.url);
    expect(await client.call(READ)).toMatchObject({ kind: 'wait', retryAtMs: null });
    const { pausedUntilMs, pauseCause, limit } = client.health().budget;
    expect(pauseCause).toBe('backoff');
    expect((pausedUntilMs as number) - Date.now()).toBeGreaterThan(1000);
    expect(limit).toBe(10_000);
  });
});

describe('what Kustomer refuses', () => {
  it.each([
    [
      400,
      '{"errors":[{"status":400,"code":"badparam","title":"Additional properties not allowed","source":{"parameter":"foo"}}]}',
      'refuse',
      'badparam Additional properties not allowed (foo)',
    ],
    [404, '{"errors":[{"code":"notfound","message":"Not Found","meta":{}}]}', 'refuse', 'notfound Not Found'],
    [413, '<html>too large</html>', 'refuse', 'answered 413'],
    [
      422,
      '{"errors":[{"title":"Too many","detail":"more than 30 surveys"}]}',
      'refuse',
      'Too many: more than 30 surveys',
    ],
    [418, '', 'refuse', 'answered 418'],
    [
      401,
      '{"errors":[{"code":"unauthorized","message":"Expired token"}]}',
      'permission',
      'Expired token; the API key needs org.permission.note.create',
    ],
    [403, '{"error":{"message":"Forbidden"}}', 'permission', 'Forbidden; the API key needs org.permission.note.create'],
    [
      409,
      '{"errors":[{"code":"conflict","title":"Optimistic locking failed"}]}',
      'conflict',
      'Optimistic locking failed',
    ],
    [
      401,
      '{"errors":[{"message":"Auth token associated with pod prod2 but request is being handled by prod1"}]}',
      'config',
      'the key belongs to pod prod2, the request went to prod1',
    ],
    [403, 'Auth token associated with pod prod4 but request is being handled by pod prod2', 'config', 'pod prod4'],
    [302, '', 'config', 'a redirect; it is not followed'],
  ])('%d %s', async (status, body, kind, text) => {
    const server = await serverOf({
      request: ({ socket }) => socket.write(answer(status, body, { location: 'http://127.0.0.1:9/elsewhere' })),
    });
    const outcome = await clientOf(server.url).call(WRITE);
    expect(outcome).toMatchObject({ kind, status, message: expect.stringContaining(text) });
    expect(server.received().match(/POST/g)).toHaveLength(1);
  });

  it('is refused also when its words break off', async () => {
    const server = await serverOf({
      request: ({ socket }) => socket.end('HTTP/1.1 404 X\r\ncontent-length: 99\r\n\r\n{"errors":[{'),
    });
    expect(await clientOf(server.url).call(WRITE)).toMatchObject({ kind: 'refuse', status: 404, errors: [] });
  });
});

describe('what is sent', () => {
  it('is the key, our name, and the path below /v1, and a link only to this host', async () => {
    const server = await serverOf({ request: ({ socket }) => socket.write(answer(200, '{"data":[]}')) });
    const client = clientOf(`${server.url}/v1`, { userAgent: 'cn-kustomer/1.2.3' });
    await client.call({ ...READ, path: ['customers', 'phone=+4930 1'], query: { page: 2, pageSize: undefined } });
    expect(server.received()).toContain('GET /v1/customers/phone=%2B4930%201?page=2 HTTP/1.1');
    expect(server.received()).toContain(`authorization: Bearer ${CANARY}\r\n`);
    expect(server.received()).toContain('user-agent: cn-kustomer/1.2.3\r\n');
    await client.call({ ...READ, path: { link: '/v1/customers?page=3&pageSize=2' } });
    expect(server.received()).toContain('GET /v1/customers?page=3&pageSize=2 HTTP/1.1');
    for (const link of [
      'https://evil.example/v1/x',
      '//evil.example/v1',
      'http://127.0.0.1:9/v1',
      'javascript:1',
      'http://[',
    ]) {
      expect(await client.call({ ...READ, path: { link } })).toMatchObject({ kind: 'config', status: null });
    }
    expect(server.received().match(/GET/g)).toHaveLength(2);
  });
});

describe('the key', () => {
  it('shows nowhere, not even when Kustomer quotes it', async () => {
    const quoted = JSON.stringify({
      errors: [{ code: CANARY, message: `bad key ${CANARY}`, source: { parameter: CANARY } }],
    });
    const server = await serverOf({ request: ({ socket }) => socket.write(answer(401, quoted)) });
    const client = clientOf(server.url);
    const shown = [await client.call(WRITE), client.health(), client];
    for (const thing of shown) {
      expect(inspect(thing, { depth: 20, showHidden: true })).not.toContain(CANARY);
      expect(JSON.stringify(thing)).not.toContain(CANARY);
    }
    expect((shown[0] as { message: string }).message).toContain('[secret]');
  });

  it('is not quoted when it cannot be sent', () => {
    const gate = createBudgetGate();
    for (const key of ['', 'two words canary', 'line\r\nx-injected: canary']) {
      const make = () => createKustomerClient({ subdomain: 'acme', apiKey: new Secret(key), gate });
      expect(make).toThrow(expect.objectContaining({ code: 'config_invalid' }));
      expect(make).not.toThrow(/canary/);
    }
    gate.close();
  });
});
