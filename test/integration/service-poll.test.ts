/** The poll role on a real broker, against the simulated Kustomer: processes that are killed, owners that no longer are. */
import { expect, onTestFinished, test } from 'vitest';
import { openBackfillOrders } from '../../src/app/poll/backfill-orders.ts';
import { POLL_GROUP, type PollRole, startPollRole } from '../../src/app/roles/poll.ts';
import { createLogger, createMetrics } from '../../src/app/telemetry.ts';
import { openClients } from '../../src/app/vendor.ts';
import { Secret } from '../../src/base/secret.ts';
import { CONNECTION_SETTINGS, type ConnectionSettings } from '../../src/fibric/connection.ts';
import { partitionOfKey } from '../../src/kafka/murmur2.ts';
import { transactionalId } from '../../src/kafka/shards.ts';
import { createBudgetGate } from '../../src/kustomer/client/budget-gate.ts';
import { createRandom } from '../../src/simulator/model/random.ts';
import { trafficStep } from '../../src/simulator/model/traffic.ts';
import type { Org, OrgOptions } from '../../src/simulator/org.ts';
import { createSimulator } from '../../src/simulator/server.ts';
import { eventually, Installation } from '../support/installation.ts';

const DAY_MS = 86_400_000;
const TENANT = 't_poll';
const CONNECTION = 'cn_poll';
const UNLIMITED = { orgPerMinute: 1_000_000, searchPerMinute: 1_000_000 };

interface Site {
  readonly site: Installation;
  readonly org: Org;
  readonly startedAtMs: number;
  connect(settings: Partial<ConnectionSettings>): Promise<void>;
}

async function siteWith(options: Partial<OrgOptions>, env: Readonly<Record<string, string>> = {}): Promise<Site> {
  const simulator = createSimulator({ orgs: [{ name: 'acme', apiKey: 'key-acme', limits: UNLIMITED, ...options }] });
  const { url } = await simulator.listen();
  onTestFinished(() => simulator.close());
  const site = await Installation.open({ tenants: 1, env });
  const startedAtMs = Date.now();
  const connect = async (settings: Partial<ConnectionSettings>): Promise<void> => {
    const connection = {
      ...{ connectionId: CONNECTION, tenantId: TENANT, resellerId: null, workspaceId: null, name: 'acme' },
      ...{ subdomain: 'acme', orgId: null, apiBaseUrl: url, hasApiKey: true, startedAtMs },
      ...{ webhookId: null, previousWebhookId: null },
      settings: { ...CONNECTION_SETTINGS, pollIntervalMs: 5000, ...settings },
    };
    const token = new Secret('token');
    await site.store.add({ connection, token, apiKey: new Secret('key-acme'), dropOld: false });
  };
  return { site, org: simulator.orgs[0] as Org, startedAtMs, connect };
}

/** The role in this process, so that its limits can be raised and its producer fenced. */
async function startRole(site: Installation, pageSize: number, searchLimit = 1_000_000): Promise<PollRole> {
  const gate = () => createBudgetGate({ budget: { othersShare: 0, assumedLimit: 1_000_000, searchLimit } });
  const { clients, close: closeClients } = openClients(site.store, gate);
  const role = await startPollRole({
    settings: { ...site.settings, pollPageSize: pageSize },
    log: site.log,
    logger: createLogger('silent'),
    metrics: createMetrics(),
    connections: site.store,
    clients,
    crashed: (error) => {
      throw error;
    },
  });
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await role.close();
    await closeClients();
  };
  onTestFinished(close);
  return { ...role, close };
}

interface RawRow {
  readonly row: string;
  readonly stream: string;
}

/** What read_committed shows of the raw topic, as `type/id@rev`. */
async function rawRows(site: Installation): Promise<readonly RawRow[]> {
  const { records } = await site.read([site.names.raw]);
  return records.map(({ value }) => {
    const { poll, data } = JSON.parse(value?.toString() ?? '');
    return { row: `${data.type}/${data.id}@${data.attributes.rev}`, stream: poll.stream };
  });
}

function truth({ organisation }: Org): readonly string[] {
  const { conversations, messages, customers } = organisation;
  return [conversations, messages, customers].flatMap((store) =>
    [...store.values()].map(({ type, id, rev }) => `${type}/${id}@${rev}`),
  );
}

const doubled = (rows: readonly string[]): readonly string[] => {
  const seen = new Set<string>();
  return rows.filter((row) => seen.size === seen.add(row).size);
};

test('a backfill whose process is killed between pages goes on in another: every row once, none lost', async () => {
  const history = { conversations: 600, historyMs: 20 * DAY_MS };
  const { site, org, startedAtMs, connect } = await siteWith(history, { POLL_PAGE_SIZE: '50' });
  await connect({ backfillSinceMs: startedAtMs - 30 * DAY_MS });
  const first = await site.serve({ roles: 'poll', untilReady: false });
  const begun = async (): Promise<void> => {
    const ends = await site.ends(site.rawPartitions);
    expect(ends.reduce((sum, end) => sum + end, 0)).toBeGreaterThan(200);
  };
  await eventually(begun, { message: 'some pages', deadlineMs: 40_000, everyMs: 20 });
  first.process.signal('SIGKILL');
  await first.process.waitForExit();
  const atDeath = (await rawRows(site)).length;
  expect(atDeath).toBeLessThan(truth(org).length);

  // What changes meanwhile leaves the history for the live poll.
  const random = createRandom('while nobody looks');
  for (let step = 0; step < 20; step += 1) org.perform(Date.now(), (all) => trafficStep(all, Date.now(), random));

  const second = await site.serve({ roles: 'poll', untilReady: false });
  const complete = async (): Promise<void> => {
    const rows = (await rawRows(site)).map(({ row }) => row);
    const known = new Set(rows);
    expect(truth(org).filter((row) => !known.has(row))).toEqual([]);
  };
  await eventually(complete, { message: 'every row', deadlineMs: 60_000, everyMs: 1000 });
  const rows = (await rawRows(site)).map(({ row }) => row);
  expect(doubled(rows)).toEqual([]);
  expect(second.lines('poll.alarm')).toEqual([]);
  await second.stop();
});

test('a poller that is no longer the owner cannot commit, and what it read is read by the next', async () => {
  const { site, org, connect } = await siteWith({});
  await connect({});
  const role = await startRole(site, 10);
  const change = (): void => {
    org.perform(Date.now(), (all) => all.createConversation(Date.now(), { customer: { name: 'Ada' } }));
  };
  const polled = async (): Promise<void> => {
    const known = new Set((await rawRows(site)).map(({ row }) => row));
    expect(truth(org).filter((row) => !known.has(row))).toEqual([]);
  };
  change();
  await eventually(polled, { message: 'the first change', deadlineMs: 30_000, everyMs: 200 });

  // As the next owner would: its opening fences whoever held the partition.
  const topic = site.names.cursors;
  const partition = partitionOfKey(Buffer.from(`${TENANT}/${CONNECTION}`), site.settings.cursorPartitions);
  const next = await site.log.transactional({
    transactionalId: transactionalId(`${site.prefix}${POLL_GROUP}`, topic, partition),
    transactionTimeoutMs: 15_000,
  });
  change();
  const fenced = async (): Promise<void> => {
    const { detail } = role.health() as { detail: { partitions: { partition: number; lastError: string | null }[] } };
    expect(detail.partitions.find((one) => one.partition === partition)?.lastError).toMatch(/holds this transactional/);
  };
  await eventually(fenced, { message: 'the commit to be refused', deadlineMs: 30_000, everyMs: 20 });
  await next.close();
  // Its heartbeats are accepted, so it is the owner after all: it opens anew, and reads again what it could not commit.
  await eventually(polled, { message: 'the second change', deadlineMs: 30_000, everyMs: 200 });
  expect(doubled((await rawRows(site)).map(({ row }) => row))).toEqual([]);
  await role.close();
});

test('an order to a backfill reaches its owner within two seconds, and the live poll goes on', async () => {
  const { site, org, startedAtMs, connect } = await siteWith({ conversations: 300, historyMs: 20 * DAY_MS });
  await connect({ backfillSinceMs: startedAtMs - 30 * DAY_MS });
  const role = await startRole(site, 5, 600);
  const orders = await openBackfillOrders({ log: site.log, topic: site.names.control, logger: createLogger('silent') });
  onTestFinished(() => orders.close());
  const scope = { tenantId: TENANT, connectionId: CONNECTION };
  const statuses = () => {
    const health = role.poller.health.find(({ connectionId }) => connectionId === CONNECTION);
    return Object.values(health?.backfill ?? {}).map(({ status }) => status);
  };
  const every = (status: string, deadlineMs: number): Promise<void> => {
    const check = (): void => expect(statuses()).toEqual([status, status, status]);
    return eventually(check, { message: `the backfill ${status}`, deadlineMs, everyMs: 20 });
  };
  const reading = async (): Promise<void> => expect((await rawRows(site)).length).toBeGreaterThan(30);
  await eventually(reading, { message: 'some pages', deadlineMs: 30_000, everyMs: 200 });
  // Messages may be through already: there are none.
  await orders.give(scope, { paused: true, restartId: null });
  const paused = (): void => expect(statuses()).not.toContain('running');
  await eventually(paused, { message: 'the backfill paused', deadlineMs: 2_000, everyMs: 20 });
  expect(statuses()).toContain('paused');
  const before = (await rawRows(site)).length;
  expect(before).toBeLessThan(300);

  org.perform(Date.now(), (all) => all.createConversation(Date.now(), { customer: { name: 'Ada' } }));
  const polled = async (): Promise<void> => expect((await rawRows(site)).length).toBeGreaterThanOrEqual(before + 2);
  await eventually(polled, { message: 'the live poll', deadlineMs: 15_000, everyMs: 200 });
  expect((await rawRows(site)).length).toBe(before + 2);

  await orders.give(scope, { paused: false, restartId: null });
  await every('done', 60_000);
  const rows = (await rawRows(site)).map(({ row }) => row);
  expect([...rows].sort()).toEqual([...truth(org)].sort());
  await role.close();
});
