/** A connection that cannot be opened is in the open, and in nobody's way. */
import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { addConnection } from '../../../src/app/control/connection-commands.ts';
import { createKeyring } from '../../../src/app/control/seal.ts';
import { openConnectionStore } from '../../../src/app/control/store.ts';
import { startService } from '../../../src/app/service.ts';
import { loadSettings } from '../../../src/app/settings.ts';
import { createLogger, createMetrics } from '../../../src/app/telemetry.ts';
import { reconcileTopics, topicSettings } from '../../../src/app/topic-settings.ts';
import { Secret } from '../../../src/base/secret.ts';
import { createMemoryLog } from '../../../src/kafka/memory/index.ts';
import { topicNames } from '../../../src/kafka/topics.ts';

test('an unreadable connection shows in /metrics and /readyz, and the service is ready for the others', async () => {
  const log = createMemoryLog();
  onTestFinished(() => log.close());
  const settings = loadSettings({ PORT: '0', RAW_PARTITIONS: '1', PROCESS_SHARDS: '1' });
  const logger = createLogger('silent');
  await reconcileTopics(log, topicSettings(settings), []);
  const open = async (key: Buffer) => {
    const topics = topicNames('');
    const store = await openConnectionStore({ log, topics, keyring: createKeyring([key]), logger });
    onTestFinished(() => store.close());
    return store;
  };
  const ours = await open(randomBytes(32));
  const theirs = await open(randomBytes(32));
  for (const [store, id] of [
    [ours, 'cn_ours'],
    [theirs, 'cn_lost'],
  ] as const) {
    const options = { tenant: 't_a', id, name: id, subdomain: 'acme' };
    await addConnection({ store, options, readToken: async () => new Secret('token-0123456789') });
  }
  const connections = await open(randomBytes(32)).then(async (nobody) => {
    expect(nobody.health()).toMatchObject({ ready: true, connections: 0, unreadable: 2, stale: 0 });
    return ours;
  });

  const service = await startService({
    settings,
    roles: ['ingest'],
    log,
    logger,
    metrics: createMetrics(),
    connections,
    encode: () => Buffer.alloc(0),
    crashed: (error) => expect.unreachable(String(error)),
  });
  onTestFinished(() => service.close());
  const url = `http://127.0.0.1:${service.address.port}`;
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/^cnk_connections 1$/m);
  expect(metrics).toMatch(/^cnk_connections_unreadable 1$/m);
  const readyz = await fetch(`${url}/readyz`);
  expect(readyz.status).toBe(200);
  expect(await readyz.json()).toMatchObject({
    ready: true,
    roles: { control: { ready: true, connections: 1, unreadable: 1, problems: [{ connectionId: 'cn_lost' }] } },
  });

  // Once it can be opened it counts as any other.
  await addConnection({
    store: ours,
    options: { tenant: 't_a', id: 'cn_lost', name: 'mended', subdomain: 'acme' },
    readToken: async () => new Secret('token-0123456789'),
  });
  expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^cnk_connections_unreadable 0$/m);
});
