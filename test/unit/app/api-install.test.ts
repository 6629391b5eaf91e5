/** Installing connectors over the in-memory log against the simulated Kustomer. Numbers I… are those of src/app/api/install.ts. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InstallRequest } from '../../../src/api/ports.ts';
import { checkContract } from '../../../src/app/api/contract.ts';
import { type Installation, install } from '../../../src/app/api/install.ts';
import { checkSignature } from '../../../src/app/api/signature-check.ts';
import { withClient } from '../../../src/app/control/kustomer-client.ts';
import { createKeyring } from '../../../src/app/control/seal.ts';
import { type ConnectionStore, openConnectionStore } from '../../../src/app/control/store.ts';
import { realClock } from '../../../src/base/clock.ts';
import { Secret } from '../../../src/base/secret.ts';
import { createMemoryLog } from '../../../src/kafka/memory/index.ts';
import { topicNames } from '../../../src/kafka/topics.ts';
import { EVENT_NAMES } from '../../../src/kustomer/event-names.ts';
import { accessSchema } from '../../../src/simulator/access.ts';
import type { Org } from '../../../src/simulator/org.ts';
import { createSimulator } from '../../../src/simulator/server.ts';

const KEY = 'key-acme-canary-7f10';
const silent = { info: () => {}, warn: () => {}, error: () => {} };
const TENANT = 't_acme';

let store: ConnectionStore;
let org: Org;
let baseUrl: string;
let end: () => Promise<void>;
let publicUrl: string | undefined;

beforeEach(async () => {
  const simulator = createSimulator({ orgs: [{ name: 'acme', apiKey: KEY }] });
  [org] = simulator.orgs as [Org];
  ({ url: baseUrl } = await simulator.listen());
  const log = createMemoryLog({ clock: realClock });
  const topics = topicNames('');
  await log.admin.createTopics([{ name: topics.control, partitions: 1, config: { 'cleanup.policy': 'compact' } }]);
  store = await openConnectionStore({ log, topics, keyring: createKeyring([randomBytes(32)]), logger: silent });
  publicUrl = undefined;
  end = async () => {
    await store.close();
    await log.close();
    await simulator.close();
  };
});
afterEach(() => end());

function installing(apiKey: string | null, more: Partial<InstallRequest> = {}): Promise<Installation> {
  return store.exclusively(TENANT, (claim) =>
    install(
      { store, publicUrl, defaultBaseUrl: baseUrl, nowMs: Date.now, claim },
      {
        ...{ tenantId: TENANT, resellerId: null, workspaceId: null, name: 'kustomer-prod', role: undefined },
        ...{ config: { subdomain: 'acme' }, webhookToken: undefined, signal: new AbortController().signal },
        apiKey: apiKey === null ? undefined : new Secret(apiKey),
        ...more,
      },
    ),
  );
}

const codes = ({ checks }: Installation) => Object.fromEntries(checks.map(({ name, code }) => [name, code]));
const keyOf = () => store.list()[0]?.apiKey?.reveal();

describe('I1: a key that Kustomer refuses', () => {
  it('is kept where it is the first, for the same to be run again', async () => {
    const first = await installing('wrong-key-1');
    expect([first.created, first.keyStored, first.keyState, codes(first)]).toEqual([
      true,
      true,
      'refused',
      { authentication: 'unauthorized' },
    ]);
    const second = await installing(KEY);
    expect([second.created, second.keyStored, second.keyState, keyOf()]).toEqual([false, true, 'works', KEY]);
    expect(second.connection.connectionId).toBe(first.connection.connectionId);
  });

  it('never takes the place of one that is there, and changes nothing else', async () => {
    await installing(KEY);
    const refused = await installing('wrong-key-2', { config: { subdomain: 'acme', poll_interval: '5m' } });
    expect([refused.keyStored, codes(refused), keyOf()]).toEqual([false, { authentication: 'unauthorized' }, KEY]);
    expect(store.list()[0]?.settings.pollIntervalMs).toBe(60_000);
  });

  it('is told apart from a host that is not asked rightly: then nothing is stored', async () => {
    org.access = accessSchema.parse({ pod: 'prod2' });
    await expect(installing(KEY)).rejects.toMatchObject({ code: 'kustomer_misconfigured' });
    expect(store.list()).toEqual([]);
  });
});

describe('what is learned from a key that works', () => {
  it('is kept, and what it may not do is told', async () => {
    org.access = accessSchema.parse({
      roles: [
        'org.permission.search',
        'org.permission.conversation.read',
        'org.permission.message',
        'org.permission.customer',
      ],
    });
    const done = await installing(KEY);
    expect(codes(done)).toMatchObject({
      ...{ authentication: 'ok', read_conversations: 'ok', write_notes: 'missing_permission' },
      ...{ change_conversations: 'optional_missing_permission', webhook: 'optional_not_configured' },
    });
    expect(done.connection.orgId).toMatch(/^[0-9a-f]{24}$/);
    expect(JSON.stringify(done.checks)).not.toContain(KEY);
  });
});

describe('I2: the key goes', () => {
  it('to no host the tenant made up', async () => {
    for (const api_base_url of [
      'https://elsewhere.example',
      'https://kustomerapp.com.elsewhere.example',
      'http://127.0.0.1:1',
      'https://acme.api.kustomerapp.com@elsewhere.example',
    ]) {
      const refused = installing(KEY, { config: { subdomain: 'acme', api_base_url } });
      await expect(refused, api_base_url).rejects.toMatchObject({ code: 'config_invalid' });
    }
    expect(store.list()).toEqual([]);
    expect(org.requests.received).toBe(0);
  });

  it('to the one of the settings, also by name', async () => {
    const done = await installing(KEY, { config: { subdomain: 'acme', api_base_url: baseUrl } });
    expect(done.connection.apiBaseUrl).toBe(new URL(baseUrl).origin);
  });
});

describe('configuration', () => {
  it('is told by the names of its parameters', async () => {
    const wrong = installing(KEY, { config: { subdomain: 'A!', poll_interval: '1s', backfill_since: 'soon' } });
    await expect(wrong).rejects.toThrow(/config\.subdomain.*config\.poll_interval.*config\.backfill_since/);
    await expect(installing(KEY, { config: {} })).rejects.toThrow('config.subdomain');
    await expect(installing(null)).rejects.toThrow('api_key is missing');
  });

  it('not given stays, null is the default again', async () => {
    await installing(KEY, {
      config: { subdomain: 'acme', poll_interval: '5m', backfill_since: '2026-01-01', extended_events: true },
    });
    await installing(null, { config: { poll_interval: '10m' } });
    expect(store.list()[0]?.settings).toMatchObject({
      pollIntervalMs: 600_000,
      extendedEvents: true,
      backfillSinceMs: Date.parse('2026-01-01'),
    });
    await installing(null, { config: { poll_interval: null, backfill_since: null, extended_events: null } });
    expect(store.list()[0]?.settings).toMatchObject({
      pollIntervalMs: 60_000,
      extendedEvents: false,
      backfillSinceMs: null,
    });
  });
});

describe('I3: the webhook', () => {
  it('is made where the service knows its address, and its failure is a check', async () => {
    publicUrl = 'https://hooks.example.com';
    org.access = accessSchema.parse({ roles: ['org.permission.search', 'org.permission.conversation'] });
    expect(codes(await installing(KEY))).toMatchObject({ webhook: 'optional_missing_permission' });
    org.access = accessSchema.parse({});
    const made = await installing(KEY);
    expect(codes(made)).toMatchObject({ webhook: 'ok' });
    expect(made.connection.webhookTokens).toHaveLength(1);
    expect(org.webhooks.list().map(({ url }) => url)).toEqual([
      `https://hooks.example.com/webhooks/kustomer/${made.connection.connectionId}`,
    ]);
  });

  it('of a run that broke off before it was remembered is adopted by the next, and no second one made', async () => {
    publicUrl = 'https://hooks.example.com';
    const whole = store;
    let adds = 0;
    // Dies between the webhook's making and the writing of its token.
    store = {
      ...whole,
      add: (change) => {
        adds += 1;
        if (adds === 2) throw new Error('killed');
        return whole.add(change);
      },
    };
    await expect(installing(KEY)).rejects.toThrow('killed');
    store = whole;
    expect([org.webhooks.list().length, store.list()[0]?.webhookTokens]).toEqual([1, []]);
    const [left] = org.webhooks.list();
    const again = await installing(KEY);
    expect([again.created, codes(again)['webhook']]).toEqual([false, 'ok']);
    expect(org.webhooks.list().map(({ id }) => id)).toEqual([left?.id]);
    expect(again.connection).toMatchObject({ webhookId: left?.id });
    expect(again.connection.webhookTokens.map((token) => token.reveal())).toEqual([left?.token]);
  });

  it('of which there are two is one too many: the contract says so, and the next install removes it', async () => {
    publicUrl = 'https://hooks.example.com';
    const { connection } = await installing(KEY);
    const [own] = org.webhooks.list();
    const url = own?.url ?? '';
    const surplus = org.webhooks.create({ name: 'of a race', url, headers: [], events: [...EVENT_NAMES] }, Date.now());
    const foreign = org.webhooks.create(
      { name: 'x', url: `${url}0`, headers: [], events: [...EVENT_NAMES] },
      Date.now(),
    );
    const told = async () => {
      const options = { connection, webhookUrl: null, polls: undefined, told: undefined, toldPolls: undefined };
      const { signal } = new AbortController();
      const checks = await withClient(connection, (client) =>
        checkContract({ ...options, client, nowMs: Date.now(), signal }),
      );
      return checks.find(({ name }) => name === 'webhook_health');
    };
    expect(await told()).toMatchObject({
      ok: false,
      code: 'optional_surplus',
      nextStep: expect.stringContaining('add'),
    });
    const again = await installing(KEY);
    expect(org.webhooks.list().map(({ id }) => id)).toEqual([own?.id, foreign?.id]);
    expect(again.checks.find(({ name }) => name === 'webhook')?.message).toContain(`deleted webhook ${surplus?.id}`);
    expect(await told()).toMatchObject({ ok: true, code: 'ok' });
  });

  it('made by hand comes with its token, without a key too', async () => {
    const senses = await installing(null, { webhookToken: new Secret('token-by-hand-1') });
    expect([senses.created, senses.keyStored, senses.connection.webhookTokens.length]).toEqual([true, false, 1]);
    const both = await installing(KEY, { webhookToken: new Secret('token-by-hand-2') });
    expect([both.keyStored, store.list()[0]?.webhookTokens.length]).toEqual([true, 2]);
  });
});

describe('the signature check', () => {
  it('without an address, a token or an answer it says so, and fails nothing', async () => {
    const { connection } = await installing(KEY);
    const { signal } = new AbortController();
    expect(await checkSignature(connection, null, signal)).toMatchObject({ ok: null, code: 'not_configured' });
    expect(await checkSignature(connection, baseUrl, signal)).toMatchObject({ ok: null, code: 'no_token' });
    const withToken = { ...connection, webhookTokens: [new Secret('token-12345678')] };
    expect(await checkSignature(withToken, 'http://127.0.0.1:9/x', signal)).toMatchObject({
      ok: null,
      code: 'unreachable',
    });
    // Something else answers there.
    expect(await checkSignature(withToken, `${baseUrl}/nothing`, signal)).toMatchObject({ ok: false });
  });
});
