/** The schema registry is needed once, at start: without it the service waits and says so; after that it is not missed. */
import { expect, inject, test } from 'vitest';
import { Installation, ready } from '../support/installation.ts';
import { startRegistryProxy } from '../support/registry-proxy.ts';

test('a service waits for the registry at start, goes on when it comes, and does not miss it while running', async () => {
  const registry = await startRegistryProxy(inject('schemaRegistryUrl'));
  const site = await Installation.open();
  const env = { SCHEMA_REGISTRY_URL: registry.url };
  const ingest = await site.serve({ roles: 'ingest', env }); // does not need it at all
  expect(registry.dropped()).toBe(0);
  const flood = site.flood(ingest.url, { count: 300 });
  expect(await flood.done).toMatchObject({ outcome: 'complete', notAccepted: 0 });

  const processor = site.launch(['serve', '--roles', 'process'], { env });
  await processor.waitForOutput(/registry does not answer yet/);
  await processor.waitForOutput(/"attempt":3/);
  expect(processor.output()).not.toContain('listening on');
  expect(await site.committed()).toEqual([0, 0, 0, 0]);
  registry.open();
  const [, url = ''] = await processor.waitForOutput(/listening on (http:\S+)/);
  await ready(url);
  await site.caughtUp();
  const first = await site.expectExactlyOnce(flood.manifest);

  registry.close();
  const dropped = registry.dropped();
  const second = site.flood(ingest.url, { count: 300 });
  expect(await second.done).toMatchObject({ outcome: 'complete', notAccepted: 0 });
  await site.caughtUp();
  await ready(url);
  const { counts } = await site.verify(second.manifest);
  expect(counts.seen).toBe(counts.expected);
  expect(counts.envelopes).toBe(first.counts.envelopes + counts.expected);
  expect(registry.dropped()).toBe(dropped); // it was not even asked
  await ingest.stop();
});

test('a service told to stop while it waits for the registry stops at once', async () => {
  const registry = await startRegistryProxy(inject('schemaRegistryUrl'));
  const site = await Installation.open({ tenants: 1 });
  const processor = site.launch(['serve', '--roles', 'process'], { env: { SCHEMA_REGISTRY_URL: registry.url } });
  await processor.waitForOutput(/registry does not answer yet/);
  processor.signal('SIGTERM');
  const { signal } = await processor.waitForExit(10_000);
  expect(signal).toBeNull();
});
