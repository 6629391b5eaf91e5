import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addConnection } from '../../../../src/app/control/connection-commands.ts';
import { createKeyring, type Keyring } from '../../../../src/app/control/seal.ts';
import { type ConnectionStore, openConnectionStore } from '../../../../src/app/control/store.ts';
import { openCommandConnections } from '../../../../src/app/sink/connections.ts';
import { ConnectionFaults } from '../../../../src/app/sink/faults.ts';
import { Secret } from '../../../../src/base/secret.ts';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import type { KustomerClient } from '../../../../src/kustomer/client/client.ts';

const key = randomBytes(32);
const CLIENT = {} as KustomerClient;
let log: MemoryLog;
let stores: ConnectionStore[];

beforeEach(async () => {
  log = createMemoryLog();
  stores = [];
  await log.admin.createTopics([{ name: 'fibric.control', partitions: 1, config: { 'cleanup.policy': 'compact' } }]);
});

afterEach(async () => {
  for (const store of stores) await store.close();
  await log.close();
});

async function open(keyring: Keyring = createKeyring([key]), refused: ReadonlySet<string> = new Set()) {
  const store = await openConnectionStore({
    ...{ log, topics: { control: 'fibric.control' }, keyring, logger: pino({ level: 'silent' }), timeoutMs: 5_000 },
  });
  stores.push(store);
  const asked: string[] = [];
  const connections = openCommandConnections({
    store,
    clients: {
      of: ({ connectionId, apiKey }) => {
        asked.push(`${connectionId}:${apiKey !== null}`);
        return CLIENT;
      },
    },
    refused: (tenantId) => refused.has(tenantId),
  });
  const add = (tenant: string, id: string, name: string) =>
    addConnection({
      ...{ store, options: { tenant, id, name, subdomain: 'acme', apiKey: true, check: false } },
      readToken: async () => new Secret('token-0123456789'),
      readApiKey: async () => new Secret('key-0123456789'),
    });
  return { store, connections, asked, add };
}

test('finds the connections of a tenant by id and by name, and those of no other', async () => {
  const { connections, store, add, asked } = await open();
  expect(connections.knows('t_a')).toBe(false);
  await add('t_a', 'cn_a', 'prod');
  await add('t_b', 'cn_b', 'prod');
  // A name that is another connection's id does not hide it.
  await add('t_a', 'cn_c', 'cn_a');
  expect(connections.find('t_a', 'prod')?.connectionId).toBe('cn_a');
  expect(connections.find('t_b', 'prod')?.connectionId).toBe('cn_b');
  expect(connections.find('t_a', 'cn_a')?.connectionId).toBe('cn_a');
  expect(connections.find('t_a', 'cn_b')).toBeUndefined();
  expect(connections.find('t_c', 'prod')).toBeUndefined();
  const found = connections.find('t_a', 'prod');
  expect(found === undefined ? null : connections.client(found)).toBe(CLIENT);
  expect(asked).toEqual(['cn_a:true']);
  expect(found).not.toHaveProperty('apiKey');
  await store.remove('cn_b');
  expect(connections.knows('t_b')).toBe(false);
  expect(connections.knows('t_a')).toBe(true);
});

test('a connection that cannot be opened here is known all the same, and its call says why it is not made', async () => {
  const { add } = await open();
  await add('t_a', 'cn_a', 'prod');
  const stranger = await open(createKeyring([randomBytes(32)]));
  const found = stranger.connections.find('t_a', 'prod');
  expect(stranger.connections.knows('t_a')).toBe(true);
  expect(() => stranger.connections.client(found as never)).toThrow(
    expect.objectContaining({ code: 'secret_unreadable' }),
  );
  await stranger.store.remove('cn_a');
  expect(() => stranger.connections.client(found as never)).toThrow(
    expect.objectContaining({ code: 'connection_unknown' }),
  );
});

test('a tenant without a topic for its receipts is not known', async () => {
  const { connections, add } = await open(createKeyring([key]), new Set(['t_a']));
  await add('t_a', 'cn_a', 'prod');
  await add('t_b', 'cn_b', 'prod');
  expect([connections.knows('t_a'), connections.knows('t_b')]).toEqual([false, true]);
  // Who is not known could be told even so, but for the topic.
  expect(['t_a', 't_b', 't_c'].map((tenantId) => connections.canBeTold(tenantId))).toEqual([false, true, true]);
});

test('faults of connections are news once, and over with the first success', () => {
  const faults = new ConnectionFaults();
  const connection = { tenantId: 't_a', connectionId: 'cn_a' } as never;
  expect(faults.note(connection, 'role_missing', 'needs x', 1)).toBe(true);
  expect(faults.note(connection, 'role_missing', 'needs x', 2)).toBe(false);
  expect(faults.list()).toEqual([
    { tenantId: 't_a', connectionId: 'cn_a', fault: 'role_missing', message: 'needs x', sinceMs: 1 },
  ]);
  expect(faults.note(connection, 'key_refused', 'expired', 3)).toBe(true);
  expect(faults.get('cn_a')).toMatchObject({ fault: 'key_refused', sinceMs: 3 });
  expect(faults.clear('cn_a')).toBe(true);
  expect(faults.clear('cn_a')).toBe(false);
  expect(faults.list()).toEqual([]);
});
