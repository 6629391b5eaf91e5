/** When the ingest role calls itself ready. */
import { afterEach, expect, test, vi } from 'vitest';
import { startIngestRole } from '../../../src/app/roles/ingest.ts';
import { loadSettings } from '../../../src/app/settings.ts';
import { createMetrics } from '../../../src/app/telemetry.ts';
import { realClock } from '../../../src/base/clock.ts';
import { createMemoryLog } from '../../../src/kafka/memory/index.ts';
import { connection, event, signature } from '../ingest/fixtures.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('regression: one failed append kept an instance without traffic unready for ever', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 0 });
  const log = createMemoryLog({ clock: realClock });
  await log.admin.createTopics([{ name: 'kustomer.raw', partitions: 1, config: {} }]);
  const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const role = await startIngestRole({
    settings: loadSettings({ SHUTDOWN_MS: '1000' }),
    log,
    logger: quiet as never,
    metrics: createMetrics(),
    connections: { get: () => connection() },
  });
  const { port } = await role.receiver.listen({ host: '127.0.0.1', port: 0 });
  expect(role.health().ready).toBe(true);

  log.faults.unavailable('append');
  const response = await fetch(`http://127.0.0.1:${port}/webhooks/kustomer/cn_a`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-kustomer-webhook-signature': signature(event()) },
    body: event(),
  });
  await response.text();
  expect(response.status).toBe(503);
  expect(role.health().ready).toBe(false);
  vi.setSystemTime(14_000);
  expect(role.health().ready).toBe(false);
  vi.setSystemTime(16_000);
  expect(role.health().ready).toBe(true);
  await role.close();
});
