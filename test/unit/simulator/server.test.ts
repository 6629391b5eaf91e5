import { afterEach, describe, expect, it } from 'vitest';
import { createSimulator, type Simulator, type SimulatorOptions } from '../../../src/simulator/server.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Json, type Receiver, signatureOf, startReceiver } from './receiver.ts';

const ACME = { name: 'acme', orgId: '57bb00000000000000000001', apiKey: 'key-acme', conversations: 3 };
const BETA = { name: 'beta', orgId: '57bb00000000000000000002', apiKey: 'key-beta', conversations: 1 };

const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((thing) => thing.close()));
});

type Api = (
  method: string,
  path: string,
  body?: unknown,
  key?: string,
) => Promise<{ status: number; body: Json; headers: Headers }>;

async function simulator(options: Partial<SimulatorOptions> = {}): Promise<{ simulated: Simulator; api: Api }> {
  const simulated = createSimulator({ orgs: [ACME, BETA], seed: 7, ...options });
  running.push(simulated);
  const { url } = await simulated.listen();
  const api: Api = async (method, path, body, key = ACME.apiKey) => {
    const answer = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? null : JSON.parse(text), headers: answer.headers };
  };
  return { simulated, api };
}

async function receiver(): Promise<Receiver> {
  const started = await startReceiver();
  running.push(started);
  return started;
}

const hook = (url: string, more: object = {}): object => ({
  name: 'fibric',
  url: `${url}/hook`,
  events: ['kustomer.conversation.create', 'kustomer.conversation.update', 'kustomer.message.create'],
  ...more,
});

describe('the simulated API', () => {
  it('tells organisations apart by the key and refuses strangers', async () => {
    const { api, simulated } = await simulator();
    const [acme, beta] = simulated.orgs;
    expect((await api('GET', '/v1/users/current')).body.data).toMatchObject({
      type: 'user',
      id: acme?.machineUserId,
      attributes: { userType: 'machine' },
    });
    const token = await api('GET', '/v1/auth/tokens/current', undefined, BETA.apiKey);
    expect(token.body.data.relationships.user.data.id).toBe(beta?.machineUserId);
    const foreign = (await api('GET', '/v1/conversations', undefined, BETA.apiKey)).body.data[0].id;
    expect((await api('GET', `/v1/conversations/${foreign}`)).status).toBe(404);
    const refused = await api('GET', '/v1/conversations', undefined, 'key-nobody');
    expect(refused).toMatchObject({ status: 401, body: { errors: [{ status: 401, code: 'unauthorized' }] } });
    expect(refused.headers.get('x-kustomer-pod')).toBe('prod1');
  });

  it('pages lists with relative links', async () => {
    const { api } = await simulator();
    const { body } = await api('GET', '/v1/conversations?page=2&pageSize=1');
    expect(body.data).toHaveLength(1);
    expect(body.meta).toEqual({ pageSize: 1, page: 2, total: 3, totalPages: 3 });
    expect(body.links).toEqual({
      self: '/v1/conversations?page=2&pageSize=1',
      first: '/v1/conversations?page=1&pageSize=1',
      prev: '/v1/conversations?page=1&pageSize=1',
      next: '/v1/conversations?page=3&pageSize=1',
    });
    for (const path of ['users', 'teams', 'tags', 'customers', 'messages']) {
      expect((await api('GET', `/v1/${path}?pageSize=9999`)).body.meta.pageSize).toBeLessThanOrEqual(500);
    }
  });

  it('creates and changes a conversation, revision by revision', async () => {
    const { api, simulated } = await simulator();
    const customer = (await api('POST', '/v1/customers', { name: 'Noor Haddad', emails: [{ email: 'n@example.org' }] }))
      .body;
    expect(customer.data.attributes).toMatchObject({ name: 'Noor Haddad', rev: 1 });
    const created = await api('POST', '/v1/conversations', { customer: customer.data.id, name: 'Hello' });
    expect(created).toMatchObject({ status: 201, body: { data: { type: 'conversation', attributes: { rev: 1 } } } });
    const at = `/v1/conversations/${created.body.data.id}`;
    const done = await api('PATCH', at, { status: 'done', rev: 1 });
    expect(done.body.data.attributes).toMatchObject({ status: 'done', rev: 2, doneCount: 1 });
    expect(done.body.data.relationships.modifiedBy.data.id).toBe(simulated.orgs[0]?.machineUserId);
    expect((await api('PATCH', at, { status: 'open', rev: 1 })).status).toBe(409);
    expect((await api('PUT', at, { status: 'done' })).body.data.attributes.rev).toBe(2);
    const message = { channel: 'email', app: 'postmark', direction: 'in', preview: 'Again' };
    expect((await api('POST', `${at}/messages`, message)).status).toBe(201);
    expect((await api('GET', at)).body.data.attributes).toMatchObject({ status: 'open', reopenCount: 1, rev: 3 });
    expect((await api('GET', `${at}/messages`)).body.meta.total).toBe(1);
  });

  it('refuses what the vendor refuses', async () => {
    const { api } = await simulator();
    const id = (await api('GET', '/v1/conversations')).body.data[0].id;
    const refusals: [string, string, unknown, number, string?][] = [
      ['PATCH', `/v1/conversations/${id}`, { status: 'done', colour: 'red' }, 400, 'colour'],
      ['PATCH', `/v1/conversations/${id}`, { status: 'closed' }, 400, 'status'],
      ['PATCH', `/v1/conversations/${id}`, { status: 'snoozed' }, 400, 'snooze'],
      ['POST', '/v1/messages', { channel: 'email' }, 400, 'app'],
      ['POST', '/v1/conversations', { customer: 'f'.repeat(24) }, 404, 'customer'],
      ['POST', '/v1/customers', { name: 'x', age: 3 }, 400, 'age'],
      ['POST', '/v1/customers', '{"name":', 400],
      ['POST', '/v1/customers', { name: 'x'.repeat(200_000) }, 413],
      ['POST', '/v1/outbound-webhooks', hook('http://example.org'), 400, 'url'],
      ['POST', '/v1/outbound-webhooks', hook('https://example.org', { events: ['kustomer.note.create'] }), 400],
      ['POST', '/v1/outbound-webhooks', hook('https://example.org', { secret: 'x' }), 400, 'secret'],
      ['PATCH', '/v1/outbound-webhooks/nope', {}, 404, 'id'],
      ['GET', '/v1/nowhere', undefined, 404],
    ];
    for (const [method, path, body, status, parameter] of refusals) {
      const answer = await api(method, path, body);
      expect({ path, status: answer.status }).toEqual({ path, status });
      expect(answer.body.errors[0]).toMatchObject({ status, code: expect.any(String), title: expect.any(String) });
      if (parameter !== undefined) expect(answer.body.errors[0].source.parameter).toBe(parameter);
    }
  });

  it('keeps at most five outbound webhooks and shows each token to its owner only', async () => {
    const { api } = await simulator();
    for (let made = 0; made < 5; made += 1) {
      expect((await api('POST', '/v1/outbound-webhooks', hook('https://example.org'))).status).toBe(201);
    }
    expect((await api('POST', '/v1/outbound-webhooks', hook('https://example.org'))).status).toBe(400);
    const [first, second] = (await api('GET', '/v1/outbound-webhooks')).body.data;
    expect(first.attributes.token).toMatch(/^[0-9a-f]{64}$/);
    expect(second.attributes.token).not.toBe(first.attributes.token);
    expect((await api('GET', `/v1/outbound-webhooks/${first.id}`, undefined, BETA.apiKey)).status).toBe(404);
    expect(JSON.stringify((await api('GET', '/_simulator/state')).body)).not.toContain(first.attributes.token);
    expect((await api('DELETE', `/v1/outbound-webhooks/${first.id}`)).status).toBe(204);
    expect((await api('GET', '/v1/outbound-webhooks')).body.meta.total).toBe(4);
    expect((await api('GET', '/v1/outbound-webhooks/events')).body.data).toHaveLength(12);
  });
});

describe('the simulated webhooks', () => {
  it('deliver what was asked for, signed, with the custom headers, and log it', async () => {
    const { api, simulated } = await simulator();
    const there = await receiver();
    const created = (
      await api('POST', '/v1/outbound-webhooks', hook(there.url, { headers: [{ name: 'X-Ours', value: 'yes' }] }))
    ).body.data;
    const id = (await api('GET', '/v1/conversations')).body.data[0].id;
    await api('PATCH', `/v1/conversations/${id}`, { status: 'done' });
    await api('POST', '/v1/customers', { name: 'not subscribed' });
    await simulated.idle();
    expect(there.received).toHaveLength(1);
    const [delivery] = there.received;
    expect(delivery?.path).toBe('/hook');
    expect(delivery?.headers).toMatchObject({
      'content-type': 'application/json',
      'x-kustomer-webhook-event': 'kustomer.conversation.update',
      'x-kustomer-webhook-signature': signatureOf(created.attributes.token, delivery?.body as string),
      'x-ours': 'yes',
    });
    expect(JSON.parse(delivery?.body as string)).toMatchObject({
      org: ACME.orgId,
      dataId: id,
      client: 'api-gw',
      changes: { attributes: { status: { before: 'open', after: 'done' } } },
    });
    const log = (await api('GET', `/v1/outbound-webhooks/${created.id}/transactions`)).body.data;
    expect(log).toHaveLength(1);
    expect(log[0].attributes).toMatchObject({ webhookId: created.id, status: 200, nextRetry: null });
  });

  it('retry a failing receiver, then switch off; enabled again they deliver only what is new', async () => {
    const { api, simulated } = await simulator({ timeScale: 200_000 });
    const there = await receiver();
    there.answer = () => ({ status: 500 });
    const { id } = (await api('POST', '/v1/outbound-webhooks', hook(there.url))).body.data;
    const conversation = (await api('GET', '/v1/conversations')).body.data[0].id;
    await api('PATCH', `/v1/conversations/${conversation}`, { priority: 1 });
    await simulated.idle();
    expect(there.received).toHaveLength(8);
    expect(new Set(there.received.map((delivery) => delivery.body)).size).toBe(1);
    expect((await api('GET', `/v1/outbound-webhooks/${id}`)).body.data.attributes).toMatchObject({
      enabled: false,
      isError: true,
    });
    await api('PATCH', `/v1/conversations/${conversation}`, { priority: 2 });
    there.answer = () => ({ status: 204 });
    await api('PATCH', `/v1/outbound-webhooks/${id}`, { enabled: true });
    await api('PATCH', `/v1/conversations/${conversation}`, { priority: 4 });
    await simulated.idle();
    expect(there.received).toHaveLength(9);
    expect(JSON.parse(there.received[8]?.body as string).data.attributes).toMatchObject({ priority: 4, rev: 4 });
  });

  it('suffer the faults they are told to, duplicates byte for byte', async () => {
    const { api, simulated } = await simulator({ faults: { duplicate: 1, reorder: { fraction: 1, windowMs: 50 } } });
    const there = await receiver();
    await api('POST', '/v1/outbound-webhooks', hook(there.url));
    await api('POST', '/_simulator/act', { org: 'acme', steps: 60 });
    await simulated.idle();
    const bodies = there.received.map((delivery) => delivery.body);
    const distinct = new Set(bodies);
    expect(distinct.size).toBeGreaterThan(30);
    expect(bodies).toHaveLength(2 * distinct.size);
    const revisions = Map.groupBy(
      bodies.map((body) => JSON.parse(body).data),
      (data) => data.id,
    );
    const revs = [...revisions.values()].map((all) => all.map((data) => data.attributes.rev));
    expect(revs.some((all) => all.some((rev, at) => at > 0 && rev < all[at - 1]))).toBe(true);
    await api('POST', '/_simulator/faults', { org: 'acme', faults: { drop: 1 } });
    await api('POST', '/_simulator/act', { org: 'acme', steps: 60 });
    await simulated.idle();
    expect(there.received).toHaveLength(bodies.length);
  });

  it('carry traffic at a rate until it is stopped', async () => {
    const { api } = await simulator();
    const there = await receiver();
    await api('POST', '/v1/outbound-webhooks', hook(there.url));
    expect((await api('POST', '/_simulator/traffic', { org: 'acme', rate: 500 })).body.traffic.rate).toBe(500);
    await waitFor(() => there.received.length >= 50, { message: 'fifty deliveries' });
    const stopped = (await api('POST', '/_simulator/traffic', { org: 'acme', rate: 0 })).body;
    expect(stopped.traffic.rate).toBe(0);
    const [acme, beta] = (await api('GET', '/_simulator/state')).body.orgs;
    expect(acme.published).toBe(stopped.published);
    expect(beta.published).toBe(0);
  });
});
