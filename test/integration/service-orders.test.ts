/** Customers' orders on a real broker, against the simulated Kustomer: seen by polls, sent round, and back once each. */
import { expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { CONNECTION_SETTINGS } from '../../src/fibric/connection.ts';
import { createKobject } from '../../src/simulator/model/kobjects.ts';
import { createRandom } from '../../src/simulator/model/random.ts';
import type { Org, OrgOptions } from '../../src/simulator/org.ts';
import { createSimulator } from '../../src/simulator/server.ts';
import { envelopeType } from '../support/event-fixtures.ts';
import { eventually, Installation } from '../support/installation.ts';

const CONNECTION = 'cn_orders';
const UNLIMITED = { orgPerMinute: 1_000_000, searchPerMinute: 1_000_000 };
const WIRE_HEADER_BYTES = 5;

async function siteWith(
  options: Partial<OrgOptions>,
): Promise<{ readonly site: Installation; readonly org: Org; readonly tenantId: string }> {
  const simulator = createSimulator({ orgs: [{ name: 'acme', apiKey: 'key-acme', limits: UNLIMITED, ...options }] });
  const { url } = await simulator.listen();
  onTestFinished(() => simulator.close());
  const site = await Installation.open({ tenants: 1 });
  const { tenantId } = site.target(0, url);
  const connection = {
    ...{ connectionId: CONNECTION, tenantId, resellerId: null, workspaceId: null, name: 'orders' },
    ...{ subdomain: 'acme', orgId: null, apiBaseUrl: url, hasApiKey: true, startedAtMs: Date.now() },
    ...{ webhookId: null, previousWebhookId: null },
    settings: { ...CONNECTION_SETTINGS, pollIntervalMs: 5000 },
  };
  await site.store.add({ connection, token: new Secret('token'), apiKey: new Secret('key-acme'), dropOld: false });
  return { site, org: simulator.orgs[0] as Org, tenantId };
}

interface Seen {
  readonly customer: string;
  readonly revision: number;
  readonly state: string | null;
  readonly orders: readonly string[] | null;
}

async function customersSeen(site: Installation, tenantId: string): Promise<readonly Seen[]> {
  const { records } = await site.read([site.names.events(tenantId)]);
  return records.flatMap(({ value }) => {
    const { event_type: type, payload } = envelopeType.fromBuffer((value as Buffer).subarray(WIRE_HEADER_BYTES));
    if (type !== 'customer.updated') return [];
    const [facts] = Object.values(payload) as unknown as {
      readonly customer_id: string;
      readonly revision: number;
      readonly orders_state: string | null;
      readonly orders: readonly { readonly order_id: string }[] | null;
    }[];
    if (facts === undefined) return [];
    const orders = facts.orders?.map(({ order_id: id }) => id) ?? null;
    return [{ customer: facts.customer_id, revision: facts.revision, state: facts.orders_state, orders }];
  });
}

/** Every customer's present revision is there, and no revision twice. */
async function expectAllOnce(site: Installation, org: Org, tenantId: string): Promise<readonly Seen[]> {
  const seen = await customersSeen(site, tenantId);
  const changes = seen.map(({ customer, revision }) => `${customer}@${revision}`);
  expect(changes.length - new Set(changes).size, 'published twice').toBe(0);
  const wanted = [...org.organisation.customers.values()]
    .filter(({ rev }) => rev > 1)
    .map(({ id, rev }) => `${id}@${rev}`);
  expect(wanted.filter((change) => !changes.includes(change))).toEqual([]);
  expect(wanted.length).toBeGreaterThan(0);
  return seen;
}

test('customers come with their orders, once each, though who fetches them is killed twice', async () => {
  const { site, org, tenantId } = await siteWith({});
  const random = createRandom('orders');
  const processor = await site.serve({ roles: 'process' });
  for (let n = 0; n < 30; n += 1) {
    org.perform(Date.now(), (all) => all.createCustomer(Date.now(), { name: `Customer ${n}` }));
  }
  const ids = [...org.organisation.customers.values()].map(({ id }) => id);
  const buy = (count: number): void => {
    for (let n = 0; n < count; n += 1) {
      const customerId = ids[random.int(ids.length)];
      org.perform(
        Date.now(),
        (all) => createKobject(all, Date.now(), 'order', { title: `Order ${n}`, customerId }).events,
      );
    }
  };
  for (let life = 0; life < 2; life += 1) {
    buy(40);
    const poller = await site.serve({ roles: 'poll' });
    const begun = async (): Promise<void> => {
      const ends = await site.ends(site.partitions(site.names.enrich, site.settings.rawPartitions));
      expect(ends.reduce((sum, end) => sum + end, 0)).toBeGreaterThan(life * 40);
    };
    await eventually(begun, { message: 'customers on their way', deadlineMs: 40_000, everyMs: 20 });
    poller.process.signal('SIGKILL');
    await poller.process.waitForExit();
  }
  buy(10);
  const poller = await site.serve({ roles: 'poll' });
  const settled = async (): Promise<void> => void (await expectAllOnce(site, org, tenantId));
  await eventually(settled, { message: 'every customer', deadlineMs: 60_000, everyMs: 1000 });

  const seen = await expectAllOnce(site, org, tenantId);
  const latest = new Map(seen.map((one) => [one.customer, one] as const));
  for (const { customer, revision, state, orders } of latest.values()) {
    if (revision !== org.organisation.customers.get(customer)?.rev) continue;
    const bought = [...org.organisation.kobjects.values()].filter(
      ({ relationships }) => relationships['customer']?.data?.id === customer,
    );
    expect(state).toBe('complete');
    expect([...(orders ?? [])].sort()).toEqual(bought.map(({ id }) => id).sort());
  }
  await poller.stop();
  await processor.stop();
});

test('a key that may not read orders is told of once, and its customers come without', async () => {
  const { site, org, tenantId } = await siteWith({
    access: { roles: ['org.permission.search', 'org.permission.conversation', 'org.permission.message'] },
  });
  const service = await site.serve({ roles: 'process,poll' });
  org.perform(Date.now(), (all) => all.createCustomer(Date.now(), { name: 'Ada' }));
  const [ada] = [...org.organisation.customers.values()].slice(-1);
  for (let n = 0; n < 3; n += 1) {
    org.perform(Date.now(), (all) => all.edit('customer', Date.now(), ada?.id ?? '', { name: `Ada ${n}` }));
    const there = async (): Promise<void> => void (await expectAllOnce(site, org, tenantId));
    await eventually(there, { message: `change ${n}`, deadlineMs: 40_000, everyMs: 500 });
  }
  const seen = await expectAllOnce(site, org, tenantId);
  expect(new Set(seen.map(({ state }) => state))).toEqual(new Set(['forbidden']));
  expect(service.lines('enrich.refused')).toMatchObject([{ connectionId: CONNECTION, state: 'forbidden' }]);
  const health = await (await fetch(`${service.url}/readyz`)).text();
  expect(health).toContain('"refusedConnections":1');
  await service.stop();
});
