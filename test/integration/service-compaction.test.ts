/** State as it comes back when Kafka has really compacted it: what was seen before is still known. */
import { expect, test } from 'vitest';
import { BARRIER_KEY } from '../../src/kafka/restore.ts';
import { Installation } from '../support/installation.ts';

const PARTITIONS = 4;

test('a processor restored from compacted state emits nothing for webhooks it has seen', async () => {
  const site = await Installation.open({ tenants: 1 });
  // The cleaner leaves the last segment alone; the next processor's barrier begins a new one.
  await site.log.admin.alterConfig(site.names.state, { 'segment.ms': '1000' });
  const ingest = await site.serve({ roles: 'ingest' });
  const before = await site.serve({ roles: 'process' });
  const plan = { count: 800, conversations: 20, seed: 'compaction', rate: 400 };
  const flood = site.flood(ingest.url, plan);
  expect(await flood.done).toMatchObject({ outcome: 'complete', notAccepted: 0 });
  await site.caughtUp();
  await before.stop();
  const { counts } = await site.expectExactlyOnce(flood.manifest);
  const written = (await site.read([site.names.state])).records.length;
  await (await site.serve({ roles: 'process' })).stop();

  const survivors = await site.cleaned(site.names.state, BARRIER_KEY);
  expect(survivors).toBeLessThan(written);

  // Every webhook again, as a new delivery: another place in the raw topic, the same change.
  const restored = await site.serve({ roles: 'process' });
  const opened = restored.lines('process.opened').map(({ records }) => records as number);
  expect(opened.reduce((sum, records) => sum + records, 0)).toBeGreaterThanOrEqual(survivors);
  // Two processors have opened since `written` was counted, each with a barrier a partition.
  const everWritten = written + 2 * PARTITIONS;
  expect(opened.reduce((sum, records) => sum + records, 0)).toBeLessThan(everWritten);
  const again = site.flood(ingest.url, plan);
  expect(await again.done).toMatchObject({ outcome: 'complete', notAccepted: 0, changes: 800 });
  await site.caughtUp();
  const after = await site.expectExactlyOnce(flood.manifest);
  expect(after.counts.envelopes).toBe(counts.envelopes);
  // New changes still get through: it is not deaf.
  const next = site.flood(ingest.url, { count: 100 });
  await next.done;
  await site.caughtUp();
  expect((await site.visibleEnvelopes()).records.length).toBeGreaterThan(counts.envelopes);
  await restored.stop();
  await ingest.stop();
});
