/** The typed operations against the simulated Kustomer, and against answers it never gives. */
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/base/secret.ts';
import { baseOf } from '../../../../src/kustomer/client/base-url.ts';
import { createBudgetGate } from '../../../../src/kustomer/client/budget-gate.ts';
import { createKustomerClient, type KustomerClient } from '../../../../src/kustomer/client/client.ts';
import { isMasked } from '../../../../src/kustomer/client/masked.ts';
import {
  currentToken,
  currentUser,
  getConversation,
  getCustomer,
  listConversationMessages,
  listCustomerKlass,
  nextPage,
  search,
} from '../../../../src/kustomer/client/operations.ts';
import {
  createOutboundWebhook,
  deleteOutboundWebhook,
  getOutboundWebhook,
  listOutboundWebhooks,
  listWebhookTransactions,
  updateOutboundWebhook,
} from '../../../../src/kustomer/client/outbound-webhooks.ts';
import type { Outcome } from '../../../../src/kustomer/client/outcome.ts';
import { createSimulator, type Simulator } from '../../../../src/simulator/server.ts';
import { answer, type RawServer, rawServer } from './raw-server.ts';

const running: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of running.splice(0).reverse()) await thing.close();
});

const ASK = { lane: 'poll' } as const;

function clientOf(baseUrl: string, apiKey = 'key-acme'): KustomerClient {
  const gate = createBudgetGate();
  const client = createKustomerClient({ baseUrl, apiKey: new Secret(apiKey), gate });
  running.push(gate, client);
  return client;
}

async function simulated(): Promise<{ simulator: Simulator; url: string; client: KustomerClient }> {
  const orgs = [{ name: 'acme', orgId: '57bb00000000000000000001', apiKey: 'key-acme', conversations: 5 }];
  const simulator = createSimulator({ orgs, seed: 4 });
  running.push(simulator);
  const { url } = await simulator.listen();
  return { simulator, url, client: clientOf(url) };
}

async function answering(body: unknown, status = 200): Promise<{ server: RawServer; client: KustomerClient }> {
  const server = await rawServer({ request: ({ socket }) => socket.write(answer(status, JSON.stringify(body))) });
  running.push(server);
  return { server, client: clientOf(server.url) };
}

function bodyOf<T>(outcome: Outcome<T>): T {
  if (outcome.kind !== 'ok') throw new Error(`${outcome.kind}: ${outcome.message}`);
  return outcome.body;
}

describe('against the simulator', () => {
  it('knows whose key it has', async () => {
    const { simulator, url, client } = await simulated();
    const [org] = simulator.orgs;
    expect(bodyOf(await currentUser(client, ASK))).toMatchObject({ userId: org?.machineUserId, userType: 'machine' });
    expect(bodyOf(await currentToken(client, ASK))).toMatchObject({
      orgId: '57bb00000000000000000001',
      userId: org?.machineUserId,
    });
    expect(client.health()).toMatchObject({ pod: 'prod1', failuresInARow: 0, origin: url });
    const stranger = await currentUser(clientOf(url, 'wrong-key'), ASK);
    expect(stranger).toMatchObject({ kind: 'permission', status: 401, code: 'kustomer_permission' });
  });

  it('reads conversations, their messages and customers, page by page', async () => {
    const { simulator, client } = await simulated();
    const organisation = simulator.orgs[0]?.organisation;
    const conversation = [...(organisation?.conversations.values() ?? [])][0];
    const customer = [...(organisation?.customers.values() ?? [])][0];
    const id = conversation?.id as string;
    expect(bodyOf(await getConversation(client, id, ASK))).toMatchObject({ type: 'conversation', id });
    expect(bodyOf(await getCustomer(client, customer?.id as string, ASK))).toMatchObject({ id: customer?.id });
    const messages = bodyOf(await listConversationMessages(client, id, { ...ASK, page: 1, pageSize: 50 }));
    expect(messages).toMatchObject({ page: 1, pageSize: 50, unreadable: 0 });
    expect(await getConversation(client, 'ffffffffffffffffffffffff', ASK)).toMatchObject({
      kind: 'refuse',
      status: 404,
    });
    const first = await listOutboundWebhooks(client, ASK);
    expect(bodyOf(first).next).toBeNull();
  });

  it('sets up a webhook, reads its token, switches it off and on, and deletes it', async () => {
    const { client } = await simulated();
    const hook = {
      name: 'fibric',
      url: 'https://hooks.example/h',
      events: ['kustomer.conversation.update'],
      headers: [{ name: 'x-mine', value: new Secret('canary-header') }],
    };
    const created = bodyOf(await createOutboundWebhook(client, hook, ASK));
    expect(created.token?.reveal()).toMatch(/./);
    expect(created.headers[0]?.value.reveal()).toBe('canary-header');
    const shown = inspect(created, { depth: 9 }) + JSON.stringify(created);
    expect(shown).not.toContain('canary-header');
    expect(shown).not.toContain(created.token?.reveal() as string);
    const { id } = created;
    const off = bodyOf(await updateOutboundWebhook(client, { ...ASK, id, change: { enabled: false } }));
    expect(off).toMatchObject({ id, enabled: false });
    const read = bodyOf(await getOutboundWebhook(client, id, ASK));
    expect(read.token?.reveal()).toBe(created.token?.reveal());
    expect(read.enabled).toBe(false);
    expect(bodyOf(await listOutboundWebhooks(client, ASK)).items.map((item) => item.id)).toEqual([id]);
    expect(bodyOf(await listWebhookTransactions(client, { ...ASK, webhookId: id })).items).toEqual([]);
    expect(bodyOf(await listWebhookTransactions(client, ASK)).items).toEqual([]);
    expect(await deleteOutboundWebhook(client, id, ASK)).toMatchObject({ kind: 'ok', status: 204, body: null });
    expect(await deleteOutboundWebhook(client, id, ASK)).toMatchObject({ kind: 'refuse', status: 404 });
    const unknownEvent = { ...hook, events: ['kustomer.note.create'] };
    expect(await createOutboundWebhook(client, unknownEvent, ASK)).toMatchObject({ kind: 'refuse', status: 400 });
  });
});

describe('against answers of every kind', () => {
  it('search asks as Kustomer wants to be asked', async () => {
    const items = [{ type: 'conversation', id: 'c1', attributes: { rev: 3 } }, { id: 'no type' }, null];
    const next = '/v1/customers/search?page=3&pageSize=2';
    const meta = { page: 2, pageSize: 2, total: 9, totalPages: 5 };
    const { server, client } = await answering({ data: items, meta, links: { next } });
    const body = {
      queryContext: 'conversation',
      and: [{ conversation_updated_at: { gte: '2026-01-01T00:00:00.000Z' } }],
      sort: [{ conversation_updated_at: 'asc' as const }],
    };
    const page = bodyOf(await search(client, { ...ASK, body, page: 2, pageSize: 2 }));
    expect(page).toEqual({ items: [items[0]], unreadable: 2, ...meta, next });
    expect(server.received()).toContain('POST /v1/customers/search?page=2&pageSize=2 HTTP/1.1');
    expect(server.received()).toContain(JSON.stringify(body));
    expect(client.health().budget).toMatchObject({ used: 1, searchUsed: 1 });
    await search(client, { ...ASK, body, archive: true });
    expect(server.received()).toContain('POST /v1/customers/archive/search HTTP/1.1');
    await listCustomerKlass(client, { ...ASK, customerId: 'u1', klass: 'order', pageSize: 10 });
    expect(server.received()).toContain('GET /v1/customers/u1/klasses/order?pageSize=10 HTTP/1.1');
    await nextPage(client, '/v1/users?page=2', ASK);
    expect(server.received()).toContain('GET /v1/users?page=2 HTTP/1.1');
    expect(client.health().budget).toMatchObject({ used: 4, searchUsed: 2 });
  });

  it('a search is a read: it may be repeated after a 5xx', async () => {
    const { client } = await answering({}, 502);
    expect(await search(client, { ...ASK, body: { queryContext: 'message' } })).toMatchObject({ kind: 'retry' });
  });

  it.each([[{}], [{ data: {} }], [{ data: null }], [[]], ['text'], [null]])('%j is no page', async (body) => {
    const { client } = await answering(body);
    expect(await search(client, { ...ASK, body: { queryContext: 'message' } })).toMatchObject({
      kind: 'retry',
      status: 200,
    });
    expect(await currentUser(client, ASK)).toMatchObject({ kind: 'retry', status: 200 });
  });

  it('takes a page whose meta and links are not as they should be', async () => {
    const { client } = await answering({ data: [], meta: 'x', links: { next: 7 } });
    expect(bodyOf(await nextPage(client, '/v1/x', ASK))).toMatchObject({ items: [], page: null, next: null });
  });

  it('a webhook that was created but whose answer says nothing is ambiguous, not to be created again', async () => {
    const { client } = await answering({ ok: true }, 201);
    const hook = { name: 'n', url: 'https://h.example', events: [] };
    expect(await createOutboundWebhook(client, hook, ASK)).toMatchObject({ kind: 'ambiguous', status: 201 });
  });
});

describe('where the API is', () => {
  it('is the host of the organisation, or the one given', () => {
    expect(baseOf({ subdomain: 'Acme' }).origin).toBe('https://acme.api.kustomerapp.com');
    expect(baseOf({ subdomain: 'acme', baseUrl: 'https://api.prod2.kustomerapp.com/v1' }).origin).toBe(
      'https://api.prod2.kustomerapp.com',
    );
    expect(baseOf({ baseUrl: 'http://127.0.0.1:8080/' }).origin).toBe('http://127.0.0.1:8080');
  });

  it.each([
    [{}],
    [{ subdomain: 'acme.evil.example/' }],
    [{ subdomain: '-acme' }],
    [{ subdomain: 'acme#' }],
    [{ baseUrl: 'http://api.kustomerapp.com' }],
    [{ baseUrl: 'ftp://127.0.0.1' }],
    [{ baseUrl: 'https://user:secret@api.kustomerapp.com' }],
    [{ baseUrl: 'https://api.kustomerapp.com/v2' }],
    [{ baseUrl: 'https://api.kustomerapp.com/?x=1' }],
    [{ baseUrl: 'nonsense' }],
  ])('refuses %j', (options) => {
    expect(() => baseOf(options)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });
});

it.each([
  ['***', true],
  ['••••••••', true],
  ['****1234', true],
  ['**** 4242', true],
  ['[REDACTED]', true],
  ['masked', true],
  ['**bold** words of a customer', false],
  ['**', false],
  ['', false],
  ['4242', false],
  ['The masked singer', false],
  [null, false],
  [12, false],
])('isMasked(%j) is %j', (value, wanted) => {
  expect(isMasked(value)).toBe(wanted);
});
