import { inspect } from 'node:util';
import { describe, expect, it, test } from 'vitest';
import { type AddOptions, addConnection } from '../../../../src/app/control/connection-commands.ts';
import { checkKey, describeKey } from '../../../../src/app/control/key-check.ts';
import { judgeRoles, keyNeeds } from '../../../../src/app/control/key-needs.ts';
import { withClient } from '../../../../src/app/control/kustomer-client.ts';
import { Secret } from '../../../../src/base/secret.ts';
import { ROLE_TABLE } from '../../../../src/simulator/api/roles.ts';
import { requestFaultsSchema } from '../../../../src/simulator/requests/faults.ts';
import { freePort } from '../../../support/free-port.ts';
import { API_KEY, clientOf, connectionTo, ORG_ID, type Site, simulatedOrg, site } from './simulated.ts';

const NEEDED = [
  ...['search.create', 'conversation.read', 'message.read', 'customer.read'],
  ...['outbound_webhook.read', 'outbound_webhook.create', 'outbound_webhook.delete'],
  ...['note.create', 'note.read', 'conversation.update'],
].map((name) => `org.permission.${name}`);

describe('what a key may do', () => {
  it('is everything with just the roles needed', () => {
    expect(judgeRoles(NEEDED, 'order').filter(({ granted }) => granted !== true)).toEqual([]);
  });

  it.each(NEEDED)('lacks something without %s, and says what does not work then', (role) => {
    const missing = judgeRoles(
      NEEDED.filter((one) => one !== role),
      'order',
    ).filter(({ granted }) => granted === false);
    expect(missing.length).toBeGreaterThan(0);
    for (const { need } of missing) expect(need.without).not.toBe('');
  });

  it('takes legacy and broader roles, and does not take a name for another that begins alike', () => {
    const granted = (...roles: string[]) =>
      judgeRoles(roles, 'order')
        .filter((one) => one.granted)
        .map(({ need }) => need.what);
    expect(granted('org.user.conversation.read')).toEqual(['read conversations']);
    expect(granted('org.permission.message')).toEqual(['read messages']);
    expect(granted('org')).toHaveLength(keyNeeds('order').length);
    expect(granted('org.permission.conversation.reader', 'org.perm')).toEqual([]);
    expect(granted('org.permission.kobject.kobject_order.read')).toEqual(['read orders']);
    expect(granted('org.permission.kobject.kobject_orders.read')).toEqual([]);
    expect(judgeRoles(null, null).map((one) => one.granted)).toEqual(Array(10).fill(null));
  });

  it('agrees with what the simulated Kustomer asks for', () => {
    const asked = (route: string) => ROLE_TABLE[route] ?? expect.unreachable(route);
    const need = (what: string) => keyNeeds('order').find((one) => one.what === what)?.anyOf ?? [];
    expect(need('search')).toEqual(asked('POST /v1/customers/search'));
    expect(need('read conversations')).toEqual(asked('GET /v1/conversations/:id'));
    expect(need('read messages')).toEqual(asked('GET /v1/messages/:id'));
    expect(need('read customers')).toEqual(asked('GET /v1/customers/:id'));
    expect(need('look at webhooks')).toEqual(asked('GET /v1/outbound-webhooks'));
    expect(need('create webhooks')).toEqual(asked('POST /v1/outbound-webhooks'));
    expect(need('delete webhooks')).toEqual(asked('DELETE /v1/outbound-webhooks/:id'));
    expect(need('change conversations')).toEqual(asked('PATCH /v1/conversations/:id'));
  });
});

describe('asking Kustomer about a key', () => {
  it('learns whose it is, and names what is missing with what does not work then', async () => {
    const access = { roles: NEEDED.filter((role) => !/search|outbound/.test(role)) };
    const { url, org } = await simulatedOrg({ access });
    const report = await checkKey(clientOf(url), connectionTo(url));
    expect(report).toMatchObject({ orgId: ORG_ID, machineUserId: org.machineUserId, tooBroad: [] });
    const text = describeKey(report).join('\n');
    expect(text).toMatch(/^API key of API key \([0-9a-f]{24}\), organisation 57bb0+1, without an end$/m);
    expect(text).toMatch(/^yes +read conversations +org\.permission\.conversation\.read$/m);
    expect(text).toMatch(/^no +search +org\.permission\.search\.create$/m);
    expect(text).toMatch(/missing org\.permission\.search\.create: nothing is polled/);
    expect(text).toMatch(/missing org\.permission\.outbound_webhook\.create: the webhook must be made.*by hand/);
    expect(text).not.toMatch(/far more than is needed/);
  });

  it('warns of a key that may do everything', async () => {
    const { url } = await simulatedOrg({ access: { roles: ['org'] } });
    expect(describeKey(await checkKey(clientOf(url), connectionTo(url))).join('\n')).toMatch(
      /far more than is needed \(org\)/,
    );
  });

  test('tells a wrong key, the wrong pod, a missing role, a wrong host and a rate limit apart, with what to do', async () => {
    const { url, org } = await simulatedOrg();
    const problem = (client = clientOf(url)) =>
      checkKey(client, connectionTo(url)).then(
        () => expect.unreachable('the key was taken'),
        (error: unknown) => error,
      );
    expect(await problem(clientOf(url, 'wrong-key-canary'))).toMatchObject({
      code: 'kustomer_permission',
      message: expect.stringMatching(/refuses the API key.*Make a new one under Settings › Security › API Keys/),
    });
    org.access = { ...org.access, pod: 'prod2' };
    expect(await problem()).toMatchObject({
      code: 'kustomer_misconfigured',
      message: expect.stringMatching(/Leave --api-base-url out.*pod prod2/),
    });
    org.access = { ...org.access, pod: 'prod1' };
    org.requestFaults.configure(
      requestFaultsSchema.parse([{ path: '/v1/users/current', kind: 'status', status: 403 }]),
    );
    expect(await problem()).toMatchObject({
      code: 'kustomer_permission',
      message: expect.stringMatching(/roles of a key cannot be changed/),
    });
    org.requestFaults.configure([]);
    expect(await problem(clientOf(`http://127.0.0.1:${await freePort()}`))).toMatchObject({
      code: 'kustomer_not_sent',
      message: expect.stringMatching(/does not answer at .*subdomain.*--no-check/),
    });
  });
});

describe('connection add with a key', () => {
  const add = (one: Site, flags: object, more: Partial<AddOptions> = {}) =>
    addConnection({
      store: one.store,
      options: { tenant: 't_a', name: 'other', subdomain: 'acme', id: 'cn_b', apiBaseUrl: one.url, ...flags },
      readToken: async () => new Secret('token-canary-1'),
      readApiKey: async () => new Secret(API_KEY),
      checkKey: (candidate) => withClient(candidate, (client) => checkKey(client, candidate)),
      ...more,
    });

  it('stores what it learned: organisation and machine user', async () => {
    const one = await site();
    const { connection, created, key } = await add(one, {
      apiKey: true,
      pollInterval: '5m',
      backfillSince: '2026-01-31',
    });
    expect(created).toBe(true);
    expect(key?.needs.length).toBeGreaterThan(5);
    expect(connection).toMatchObject({
      orgId: ORG_ID,
      hasApiKey: true,
      settings: {
        machineUserId: one.org.machineUserId,
        pollIntervalMs: 300_000,
        backfillSinceMs: Date.UTC(2026, 0, 31),
        orderKlass: 'order',
      },
    });
    expect(one.store.get('cn_b')?.apiKey?.reveal()).toBe(API_KEY);
  });

  it('stores nothing for a bad key or one of another organisation; unchecked it stores what it is given', async () => {
    const one = await site();
    const bad = { readApiKey: async () => new Secret('wrong-key-canary') };
    await expect(add(one, { apiKey: true }, bad)).rejects.toMatchObject({ code: 'kustomer_permission' });
    const org = '57bb00000000000000000002';
    await expect(add(one, { apiKey: true, org })).rejects.toMatchObject({ code: 'org_mismatch' });
    expect(one.store.get('cn_b')).toBeUndefined();
    const { key } = await add(one, { apiKey: true, check: false }, bad);
    expect(key).toBeNull();
    expect(one.store.get('cn_b')).toMatchObject({ hasApiKey: true, orgId: null });
  });

  it('keeps the key when others things change, replaces it, checks it again, and forgets it', async () => {
    const one = await site();
    await add(one, { apiKey: true });
    const never = {
      readToken: async () => expect.unreachable('a token was asked for'),
      readApiKey: async () => expect.unreachable('a key was asked for'),
    };
    await add(one, { pollInterval: '1h', orderKlass: 'none', apiBaseUrl: undefined }, never);
    expect(one.store.get('cn_b')).toMatchObject({
      hasApiKey: true,
      apiBaseUrl: one.url,
      settings: { pollIntervalMs: 3_600_000, orderKlass: null, machineUserId: one.org.machineUserId },
    });
    expect((await add(one, { check: true }, never)).key).not.toBeNull();
    await add(one, { apiKey: true, check: false }, { ...never, readApiKey: async () => new Secret('another-key-1') });
    expect(one.store.get('cn_b')?.apiKey?.reveal()).toBe('another-key-1');
    await add(one, { apiKey: false, backfillSince: 'none', apiBaseUrl: 'none' }, never);
    expect(one.store.get('cn_b')).toMatchObject({ hasApiKey: false, apiKey: null, apiBaseUrl: null });
    await expect(add(one, { check: true }, never)).rejects.toMatchObject({ code: 'config_invalid' });
  });

  it('refuses what cannot be, all at once and with the reasons, before it reads a secret', async () => {
    const one = await site();
    const never = async () => expect.unreachable('a secret was read');
    const wrong = {
      apiKey: true,
      pollInterval: '4s',
      backfillSince: '2999-01-01',
      orderKlass: 'a b',
      apiBaseUrl: 'http://example.com',
    };
    await expect(add(one, wrong, { readToken: never, readApiKey: never })).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(
        /--api-base-url is not taken: .*https.*--poll-interval is at least 5s.*--backfill-since lies in the future.*--order-klass is the name/,
      ),
    });
    for (const text of ['short', 'with spaces in it', 'x'.repeat(9_000)]) {
      await expect(add(one, { apiKey: true }, { readApiKey: async () => new Secret(text) })).rejects.toMatchObject({
        code: 'config_invalid',
      });
    }
    expect(one.store.get('cn_b')).toBeUndefined();
  });

  it('needs a token or a key, and for a webhook of its own a key', async () => {
    const one = await site();
    await expect(add(one, {}, { ownWebhook: true })).rejects.toMatchObject({ code: 'config_invalid' });
    const never = async () => expect.unreachable('a token was asked for');
    const { connection } = await add(one, { apiKey: true }, { ownWebhook: true, readToken: never });
    expect(connection.webhookTokens).toEqual([]);
    await expect(add(one, { apiKey: false })).rejects.toMatchObject({ code: 'connection_conflict' });
  });

  it('quotes no secret in what it refuses', async () => {
    const one = await site();
    const told = await Promise.all(
      [
        add(one, { apiKey: true }, { readApiKey: async () => new Secret('wrong-key-canary') }),
        add(one, { apiKey: true }, { readApiKey: async () => new Secret('wrong key canary') }),
        add(one, { apiKey: true, org: '57bb00000000000000000002' }),
      ].map((adding) => adding.catch((error: unknown) => `${inspect(error, { depth: 9 })} ${(error as Error).stack}`)),
    );
    expect(told.join()).toMatch(/CodedError/);
    expect(told.join()).not.toMatch(/canary/);
  });
});
