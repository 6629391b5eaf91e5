import { connect } from 'node:net';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/base/secret.ts';
import type { ConnectionWithTokens } from '../../../src/fibric/connection.ts';
import { createReceiver, type Receiver, type ReceiverSettings } from '../../../src/ingest/receiver.ts';
import { waitFor } from '../../support/wait-for.ts';
import { connection, event, FakeLog, signature, TOKEN } from './fixtures.ts';

let log: FakeLog;
let connections: Map<string, ConnectionWithTokens>;
let unreadable: Set<string>;
let lines: { level: string; fields: Record<string, unknown> }[];
let receiver: Receiver;
let port: number;
let agent: Agent;

async function start(settings: Partial<ReceiverSettings> = {}): Promise<void> {
  const at = (level: string) => (fields: unknown) =>
    void lines.push({ level, fields: fields as Record<string, unknown> });
  receiver = createReceiver({
    topic: 'raw',
    connections: { get: (id) => connections.get(id), unreadable: (id) => unreadable.has(id) },
    appender: log,
    logger: { info: at('info'), warn: at('warn'), error: at('error') } as never,
    settings: { maxBodyBytes: 10_000, appendTimeoutMs: 2_000, ...settings },
  });
  port = (await receiver.listen({ host: '127.0.0.1', port: 0 })).port;
}

beforeEach(() => {
  log = new FakeLog();
  connections = new Map([['cn_a', connection()]]);
  unreadable = new Set();
  lines = [];
  agent = new Agent({ connections: 64 });
});

afterEach(async () => {
  await agent.destroy();
  await receiver.close(0);
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly error?: { code: string; message: string; request_id: string };
}

async function send(
  body: Buffer | string | undefined,
  patch: { path?: string; method?: string; headers?: Record<string, string | undefined> } = {},
): Promise<Answer> {
  const headers: Record<string, string | undefined> = {
    'content-type': 'application/json',
    ...(body === undefined ? {} : { 'x-kustomer-webhook-signature': signature(body) }),
    ...patch.headers,
  };
  const response = await request(`http://127.0.0.1:${port}${patch.path ?? '/webhooks/kustomer/cn_a'}`, {
    method: (patch.method ?? 'POST') as 'POST',
    headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)),
    ...(body === undefined ? {} : { body }),
    dispatcher: agent,
  });
  const text = await response.body.text();
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    ...(text === '' ? {} : { error: JSON.parse(text).error }),
  };
}

describe('the receiver', () => {
  it('H1: answers 2xx after the log has the bytes as received', async () => {
    await start();
    const ack = Promise.withResolvers<void>();
    log.next = () => ack.promise;
    const body = event();
    let answered = false;
    const answer = send(body).finally(() => {
      answered = true;
    });
    await waitFor(() => log.asked.length === 1, { message: 'an append' });
    expect(answered).toBe(false);
    ack.resolve();
    expect(await answer).toMatchObject({ status: 200, text: '' });
    expect(log.acknowledged.map(({ value }) => value)).toEqual([body]);
    expect(receiver.counters).toMatchObject({ accepted: 1, acceptedBytes: body.length });
    expect(receiver.counters.acceptedByEvent['kustomer.conversation.update']).toBe(1);
    expect(receiver.health()).toMatchObject({ healthy: true, openRequests: 0, heldBytes: 0 });
  });

  it('stores malformed JSON and unknown names that are signed, and counts them', async () => {
    await start();
    const malformed = '{"name":"kustomer.conv';
    expect((await send(malformed)).status).toBe(200);
    expect((await send(event({ name: 'kustomer.note.create' }))).status).toBe(200);
    expect(log.acknowledged[0]?.value?.toString()).toBe(malformed);
    expect(receiver.counters).toMatchObject({ accepted: 2, malformed: 1, unknownEvents: 1 });
    expect(lines.filter(({ fields }) => fields['event'] === 'webhook.event_unknown')).toHaveLength(1);
  });

  it.each([
    ['GET', { method: 'GET' }, undefined, 405, 'method_not_allowed'],
    ['DELETE', { method: 'DELETE' }, undefined, 405, 'method_not_allowed'],
    ['an unknown connection', { path: '/webhooks/kustomer/cn_no' }, event(), 404, 'connection_unknown'],
    ['no connection', { path: '/webhooks/kustomer/' }, event(), 404, 'connection_unknown'],
    ['a path below', { path: '/webhooks/kustomer/cn_a/x' }, event(), 404, 'connection_unknown'],
    ['another path', { path: '/webhooks' }, event(), 404, 'route_unknown'],
    ['an inherited name', { path: '/webhooks/kustomer/__proto__' }, event(), 404, 'connection_unknown'],
    ['text', { headers: { 'content-type': 'text/plain' } }, event(), 415, 'media_type_unsupported'],
    ['no content type', { headers: { 'content-type': undefined } }, event(), 415, 'media_type_unsupported'],
    ['gzip', { headers: { 'content-encoding': 'gzip' } }, event(), 415, 'media_type_unsupported'],
    ['no signature', { headers: { 'x-kustomer-webhook-signature': undefined } }, event(), 401, 'signature_missing'],
    [
      'a wrong signature',
      { headers: { 'x-kustomer-webhook-signature': 'f'.repeat(64) } },
      event(),
      401,
      'signature_invalid',
    ],
    ['an empty body', {}, '', 400, 'body_empty'],
    ['another organisation', {}, event({ org: 'f'.repeat(24) }), 403, 'org_mismatch'],
    ['a body declared too long', {}, 'x'.repeat(10_001), 413, 'body_too_large'],
  ])('refuses %s as JSON, and stores nothing', async (_what, patch, body, status, code) => {
    await start();
    const answer = await send(body, patch);
    expect(answer).toMatchObject({
      status,
      error: { code, message: expect.any(String), request_id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    });
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(answer.headers['allow']).toBe(status === 405 ? 'POST' : undefined);
    expect(answer.headers['retry-after']).toBeUndefined();
    expect(log.asked).toEqual([]);
    expect(receiver.health()).toMatchObject({ openRequests: 0, heldBytes: 0 });
  });

  it('answers HEAD without a body', async () => {
    await start();
    expect(await send(undefined, { method: 'HEAD' })).toMatchObject({
      status: 405,
      text: '',
      headers: { allow: 'POST' },
    });
  });

  it('takes the connection from the path without its query', async () => {
    await start();
    expect((await send(event(), { path: '/webhooks/kustomer/cn_a?x=/y' })).status).toBe(200);
  });

  it('counts and alarms wrong signatures, but warns once, without the header or the body', async () => {
    await start();
    for (let i = 0; i < 20; i += 1)
      await send(event(), { headers: { 'x-kustomer-webhook-signature': 'c0ffee'.padEnd(64, '0') } });
    expect(receiver.counters.refusedByCode).toEqual({ signature_invalid: 20 });
    expect(lines).toMatchObject([
      { level: 'warn', fields: { code: 'signature_invalid', connectionId: 'cn_a', occurrences: 1 } },
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/c0ffee|65aa0000/);
  });

  it('keeps what strangers put into the path out of the log', async () => {
    await start();
    await send(event(), { path: '/webhooks/kustomer/canary' });
    expect(JSON.stringify(lines)).not.toContain('canary');
    expect(lines).toHaveLength(1);
  });

  it('takes both tokens during a rotation, and refuses the one taken away', async () => {
    await start();
    const body = event();
    const signedBy = (token: string) => ({ headers: { 'x-kustomer-webhook-signature': signature(body, token) } });
    connections.set('cn_a', connection({ webhookTokens: [new Secret(TOKEN), new Secret('webhook-token-2')] }));
    expect((await send(body, signedBy(TOKEN))).status).toBe(200);
    expect((await send(body, signedBy('webhook-token-2'))).status).toBe(200);
    connections.set('cn_a', connection({ webhookTokens: [new Secret('webhook-token-2')] }));
    expect((await send(body, signedBy(TOKEN))).status).toBe(401);
    expect((await send(body, signedBy('webhook-token-2'))).status).toBe(200);
    connections.delete('cn_a');
    expect((await send(body, signedBy('webhook-token-2'))).status).toBe(404);
    expect(log.acknowledged).toHaveLength(3);
  });

  it('asks to come again for a connection whose secrets cannot be opened here', async () => {
    await start();
    unreadable.add('cn_b');
    const answer = await send(event(), { path: '/webhooks/kustomer/cn_b' });
    expect(answer).toMatchObject({
      status: 503,
      error: { code: 'secret_unreadable' },
      headers: { 'retry-after': '5' },
    });
  });
});

describe('when the log does not take it', () => {
  it.each([
    ['is full', () => Promise.reject(new CodedError('queue_full', 'full')), 'queue_full'],
    ['is away', () => Promise.reject(new CodedError('log_unavailable', 'away')), 'log_unavailable'],
    ['fails in an unknown way', () => Promise.reject(new Error('canary-in-error')), 'log_unavailable'],
    ['is silent', () => new Promise<void>(() => undefined), 'log_unavailable'],
  ])('answers 503 with Retry-After when it %s', async (_what, next, code) => {
    await start({ appendTimeoutMs: 50 });
    log.next = next;
    const answer = await send(event());
    expect(answer).toMatchObject({ status: 503, error: { code }, headers: { 'retry-after': '5' } });
    expect(answer.text).not.toContain('canary');
    expect(receiver.counters.accepted).toBe(0);
    expect(receiver.health()).toMatchObject({ healthy: false, openRequests: 0, failedSinceAck: 1 });
  });

  it('is healthy again with the next acknowledgement', async () => {
    await start();
    const { next } = log;
    log.next = () => Promise.reject(new CodedError('log_unavailable', 'away'));
    await send(event());
    expect(receiver.health().healthy).toBe(false);
    log.next = next;
    expect((await send(event())).status).toBe(200);
    expect(receiver.health()).toMatchObject({ healthy: true, failedSinceAck: 0 });
  });

  it('H1, H2: over appends that succeed, fail, come late or never, each request gets one answer and no 2xx lacks its record', async () => {
    await start({ appendTimeoutMs: 40 });
    let turn = 0;
    log.next = () => {
      turn += 1;
      if (turn % 4 === 0) return Promise.reject(new CodedError('log_unavailable', 'away'));
      if (turn % 4 === 1) return new Promise(() => undefined);
      if (turn % 4 === 2) return new Promise((resolve) => setTimeout(resolve, 80));
      return new Promise((resolve) => setImmediate(resolve));
    };
    const ids = Array.from({ length: 200 }, (_, i) => `conversation-${i}`);
    const answers = await Promise.all(
      ids.map(async (id) => ({ id, ...(await send(event({ data: { type: 'conversation', id } }))) })),
    );
    const stored = new Set(log.acknowledged.map(({ key }) => key?.toString()));
    const accepted = answers.filter(({ status }) => status === 200);
    expect(accepted).toHaveLength(50);
    for (const { id } of accepted) expect(stored).toContain(id);
    expect(answers.filter(({ status }) => status !== 200 && status !== 503)).toEqual([]);
    expect(receiver.counters.accepted).toBe(50);
    // H4: a quarter is never settled, so its bytes stay counted.
    await waitFor(() => stored.size < log.acknowledged.length, { message: 'late appends' });
    await waitFor(() => log.acknowledged.length === 100, { message: 'all late appends' });
    await waitFor(() => receiver.health().heldBytes < 60 * event().length, { message: 'bytes released' });
    expect(receiver.health().heldBytes).toBeGreaterThan(40 * event().length);
    expect(receiver.health().openRequests).toBe(0);
  });

  it('H3: refuses with 503 what exceeds the bound on bytes or requests, and recovers', async () => {
    await start({ maxHeldBytes: 3 * event().length });
    for (const name of ['b', 'c', 'd'])
      connections.set(`cn_${name}`, connection({ connectionId: `cn_${name}`, tenantId: `t_${name}` }));
    const to = (name: string) => send(event(), { path: `/webhooks/kustomer/cn_${name}` });
    const gate = Promise.withResolvers<void>();
    log.next = () => gate.promise;
    const held = [to('a'), to('b'), to('c')];
    await waitFor(() => log.asked.length === 3, { message: 'three appends' });
    expect(await to('d')).toMatchObject({ status: 503, error: { code: 'queue_full' } });
    gate.resolve();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await to('d')).status).toBe(200);
    expect(receiver.health().heldBytes).toBe(0);
  });

  it('H3: bounds open requests', async () => {
    await start({ maxOpenRequests: 2 });
    connections.set('cn_b', connection({ connectionId: 'cn_b', tenantId: 't_b' }));
    connections.set('cn_c', connection({ connectionId: 'cn_c', tenantId: 't_c' }));
    const gate = Promise.withResolvers<void>();
    log.next = () => gate.promise;
    const held = [send(event()), send(event(), { path: '/webhooks/kustomer/cn_b' })];
    await waitFor(() => log.asked.length === 2, { message: 'two appends' });
    expect(await send(event(), { path: '/webhooks/kustomer/cn_c' })).toMatchObject({
      status: 503,
      error: { code: 'queue_full' },
    });
    gate.resolve();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
  });

  describe('H3: fair shares', () => {
    const QUIET = { path: '/webhooks/kustomer/cn_quiet' };

    async function flooded(settings: Parameters<typeof start>[0]) {
      await start(settings);
      // Two connections of one tenant have one share.
      connections.set('cn_a2', connection({ connectionId: 'cn_a2' }));
      connections.set('cn_quiet', connection({ connectionId: 'cn_quiet', tenantId: 't_quiet' }));
      const gate = Promise.withResolvers<void>();
      log.next = () => gate.promise;
      const noise: ReturnType<typeof send>[] = [];
      for (let sent = 1; sent <= 30; sent++) {
        noise.push(send(event(), sent % 2 === 0 ? { path: '/webhooks/kustomer/cn_a2' } : {}));
        await waitFor(() => log.asked.length + (receiver.counters.refusedByCode.share_full ?? 0) === sent, {
          message: `delivery ${sent} to be stored or refused`,
        });
      }
      return { gate, noise };
    }

    it.each([
      ['requests', { maxOpenRequests: 18 }],
      ['bytes', { maxHeldBytes: 18 * event().length }],
    ])("a tenant's flood is refused while there is room for another's deliveries: %s", async (_what, settings) => {
      const { gate, noise } = await flooded(settings);
      expect(receiver.counters.refusedByCode, 'only the noisy one, and only beyond its share').toEqual({
        share_full: 18,
      });
      const quiet = [send(event(), QUIET)];
      await waitFor(() => log.asked.length === 13, { message: 'the quiet delivery' });
      expect(receiver.health().healthy, 'that one tenant is refused is no fault of ours').toBe(true);
      gate.resolve();
      expect((await Promise.all(quiet)).map(({ status }) => status)).toEqual([200]);
      const statuses = (await Promise.all(noise)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 200)).toHaveLength(12);
      expect((await send(event())).status, 'and again when there is room').toBe(200);
      expect(receiver.health()).toMatchObject({ openRequests: 0, heldBytes: 0 });
    });

    it('says when to come again, and which connection it was', async () => {
      const { gate, noise } = await flooded({ maxOpenRequests: 18 });
      const refused = await send(event());
      expect(refused).toMatchObject({ status: 503, error: { code: 'share_full' } });
      expect(refused.headers['retry-after']).toBe('5');
      expect(lines.map(({ fields }) => fields)).toContainEqual(
        expect.objectContaining({ code: 'share_full', connectionId: 'cn_a' }),
      );
      gate.resolve();
      await Promise.all(noise);
    });

    it("what the appender refuses of one tenant is that tenant's matter", async () => {
      await start();
      log.next = () => Promise.reject(new CodedError('share_full', 'full'));
      expect(await send(event())).toMatchObject({ status: 503, error: { code: 'share_full' } });
      expect(receiver.health()).toMatchObject({ healthy: true, openRequests: 0, heldBytes: 0 });
    });
  });
});

describe('on the wire', () => {
  /** Writes the parts as they are and resolves to everything answered until the server closes. */
  async function raw(...parts: (string | Buffer)[]): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', () => undefined);
    for (const part of parts) socket.write(part);
    const closed = Promise.withResolvers<void>();
    socket.on('close', closed.resolve);
    await closed.promise;
    return answer;
  }
  const head = (...lines: string[]) =>
    [
      'POST /webhooks/kustomer/cn_a HTTP/1.1',
      'Host: x',
      'Connection: close',
      'Content-Type: application/json',
      ...lines,
      '',
      '',
    ].join('\r\n');

  it('takes a body in chunks and in many packets', async () => {
    await start();
    const body = event();
    const chunks = [...body].map((byte) =>
      Buffer.concat([Buffer.from('1\r\n'), Buffer.from([byte]), Buffer.from('\r\n')]),
    );
    const answer = await raw(
      head('Transfer-Encoding: chunked', `X-Kustomer-Webhook-Signature: ${signature(body)}`),
      ...chunks,
      '0\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(log.acknowledged[0]?.value).toEqual(body);
  });

  it('answers 413 to a chunked body that grows too long, after reading on for a while', async () => {
    await start();
    const chunk = `${(4_000).toString(16)}\r\n${'x'.repeat(4_000)}\r\n`;
    const answer = await raw(
      head('Transfer-Encoding: chunked'),
      ...Array.from({ length: 10 }, () => chunk),
      '0\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1.1 413 .*"code":"body_too_large"/s);
    expect(receiver.health()).toMatchObject({ openRequests: 0, heldBytes: 0 });
  });

  it('does not read on for ever', async () => {
    await start();
    const chunk = `${(8_000).toString(16)}\r\n${'x'.repeat(8_000)}\r\n`;
    expect(await raw(head('Transfer-Encoding: chunked'), ...Array.from({ length: 200 }, () => chunk))).toMatch(
      /^(HTTP\/1.1 413 |$)/,
    );
    await waitFor(() => receiver.health().openRequests === 0, { message: 'the request to be over' });
    expect(receiver.health().heldBytes).toBe(0);
  });

  it('forgets a sender that leaves in the middle of a body', async () => {
    await start();
    const socket = connect(port, '127.0.0.1');
    socket.write(head('Content-Length: 500') + 'x'.repeat(100));
    await waitFor(() => receiver.health().heldBytes === 100, { message: 'the first bytes' });
    socket.destroy();
    await waitFor(() => receiver.health().openRequests === 0, { message: 'the request to be over' });
    expect(receiver.health().heldBytes).toBe(0);
    expect(receiver.counters).toMatchObject({ abandoned: 1, accepted: 0 });
    expect(log.asked).toEqual([]);
  });

  it('regression B4: unsigned partial bodies for one connection made the receiver refuse all the others', async () => {
    const maxHeldBytes = 8 * event().length;
    await start({ maxHeldBytes });
    connections.set('cn_b', connection({ connectionId: 'cn_b' }));
    const sockets = Array.from({ length: 9 }, () => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.resume();
      socket.write(head('Content-Length: 9000') + 'x'.repeat(event().length));
      return socket;
    });
    await waitFor(() => receiver.health().heldBytes === maxHeldBytes / 2, { message: 'the share to be full' });

    expect(await send(event())).toMatchObject({ status: 503, error: { code: 'queue_full' } });
    expect((await send(event(), { path: '/webhooks/kustomer/cn_b' })).status).toBe(200);

    // Bodies that were verified and wait for the log are no part of it.
    for (const socket of sockets) socket.destroy();
    await waitFor(() => receiver.health().heldBytes === 0, { message: 'the bytes to be given back' });
    const gate = Promise.withResolvers<void>();
    log.next = () => gate.promise;
    const held = Array.from({ length: 5 }, () => send(event()));
    await waitFor(() => log.asked.length === 6, { message: 'five appends' });
    gate.resolve();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect(receiver.health()).toMatchObject({ heldBytes: 0, openRequests: 0 });
  });

  it('survives a sender that leaves while its record is being appended', async () => {
    await start();
    const gate = Promise.withResolvers<void>();
    log.next = () => gate.promise;
    const body = event();
    const socket = connect(port, '127.0.0.1');
    socket.write(head(`Content-Length: ${body.length}`, `X-Kustomer-Webhook-Signature: ${signature(body)}`));
    socket.write(body);
    await waitFor(() => log.asked.length === 1, { message: 'an append' });
    socket.destroy();
    gate.resolve();
    await waitFor(() => receiver.health().openRequests === 0, { message: 'the request to be over' });
    expect(receiver.health().heldBytes).toBe(0);
    expect((await send(event())).status).toBe(200);
  });

  it.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['a header without end', `POST / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['a false length', head('Content-Length: many'), 400],
    ['two lengths', head('Content-Length: 5', 'Content-Length: 6'), 400],
    ['length and chunks', head('Content-Length: 5', 'Transfer-Encoding: chunked'), 400],
  ])('answers %s in its own form', async (_what, bytes, status) => {
    await start();
    const answer = await raw(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} .*"code":"request_malformed".*"request_id"`, 's'));
    expect(log.asked).toEqual([]);
  });

  it('closes a connection whose request does not come to an end', async () => {
    await start({ requestTimeoutMs: 100 });
    expect(await raw(head('Content-Length: 500'))).toMatch(/^HTTP\/1.1 408 /);
    await waitFor(() => receiver.health().openRequests === 0, { message: 'the request to be over' });
  });
});

describe('shutting down', () => {
  it('gives open requests their answer, refuses new ones with 503, and then is closed', async () => {
    await start();
    const gate = Promise.withResolvers<void>();
    log.next = () => gate.promise;
    const open = send(event());
    await waitFor(() => log.asked.length === 1, { message: 'an append' });
    // A second connection, kept alive from before: new ones are no longer accepted.
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    const post = (body: Buffer, end: boolean) =>
      socket.write(
        `POST /webhooks/kustomer/cn_a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Kustomer-Webhook-Signature: ${signature(body)}\r\nContent-Length: ${body.length}\r\n\r\n${end ? body : body.subarray(0, 10)}`,
      );
    const body = event();
    post(body, false);
    await waitFor(() => receiver.health().openRequests === 2, { message: 'a second request' });
    const closed = receiver.close();
    expect(receiver.health()).toMatchObject({ healthy: false, shuttingDown: true });
    // The rest of the begun request, and another one behind it on the same connection.
    socket.write(body.subarray(10));
    post(body, true);
    gate.resolve();
    expect(await open).toMatchObject({ status: 200, headers: { connection: 'close' } });
    await closed;
    await waitFor(() => answer !== '', { message: 'the second answer' });
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    await expect(send(event())).rejects.toThrow();
    expect(log.acknowledged.length).toBe(receiver.counters.accepted);
  });

  it('refuses a request that arrives meanwhile', async () => {
    await start();
    const gate = Promise.withResolvers<void>();
    log.next = () => gate.promise;
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    const body = event();
    socket.write('POST /webhooks/kustomer/cn_a HTTP/1.1\r\n');
    const open = send(event());
    await waitFor(() => log.asked.length === 1, { message: 'an append' });
    const closed = receiver.close();
    socket.write(
      `Host: x\r\nContent-Type: application/json\r\nX-Kustomer-Webhook-Signature: ${signature(body)}\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body);
    await waitFor(() => answer.includes('shutting_down'), { message: 'the refusal' });
    expect(answer).toMatch(/^HTTP\/1.1 503 .*connection: close/is);
    expect(answer).toMatch(/retry-after: 5/i);
    gate.resolve();
    expect((await open).status).toBe(200);
    await closed;
    expect(log.asked).toHaveLength(1);
  });

  it('cuts what does not end by the deadline', async () => {
    await start({ appendTimeoutMs: 60_000 });
    log.next = () => new Promise(() => undefined);
    const open = send(event()).catch((error: unknown) => error);
    await waitFor(() => log.asked.length === 1, { message: 'an append' });
    await receiver.close(20);
    expect(await open).toBeInstanceOf(Error);
  });
});
