/** Processors that come and go while webhooks keep coming: partitions change hands, changes do not. */
import { expect, test } from 'vitest';
import { eventually, Installation, type Serving } from '../support/installation.ts';

const owned = (worker: Serving): readonly number[] =>
  (worker.lines('process.assigned').at(-1)?.['shards'] ?? []) as readonly number[];

/** Every shard has one owner, and each of these workers is one. */
async function shared(workers: readonly Serving[]): Promise<void> {
  const check = () => {
    for (const worker of workers) expect(owned(worker).length).toBeGreaterThan(0);
    expect(workers.flatMap(owned).sort()).toEqual([0, 1, 2, 3]);
  };
  await eventually(check, { message: `${workers.length} workers to share the shards`, deadlineMs: 30_000 });
}

/** What is there now has been processed: the owners of the moment really work. */
async function worked(site: Installation): Promise<void> {
  const wanted = await site.ends(site.rawPartitions);
  const check = async () => {
    const committed = await site.committed();
    for (const [partition, offset] of wanted.entries()) expect(committed[partition]).toBeGreaterThanOrEqual(offset);
  };
  await eventually(check, { message: 'work under this assignment', deadlineMs: 30_000 });
}

test('two, three and one processors swap partitions under load: each change once, each resource in order', async () => {
  const site = await Installation.open();
  const ingest = await site.serve({ roles: 'ingest' });
  const first = await site.serve({ roles: 'process' });
  const flood = site.flood(ingest.url, { count: 100_000, rate: 250, conversations: 500 });
  await worked(site);

  const second = await site.serve({ roles: 'process', untilReady: false });
  await shared([first, second]);
  await worked(site);
  const third = await site.serve({ roles: 'process', untilReady: false });
  await shared([first, second, third]);
  await worked(site);
  await first.stop();
  await shared([second, third]);
  await worked(site);
  await second.stop();
  await shared([third]);
  await worked(site);
  flood.abort();

  const report = await flood.done;
  expect(report.outcome).toBe('aborted'); // it was never short of load
  for (const status of Object.keys(report.byStatus)) expect(['200', '0']).toContain(status); // 0: under way at the end
  await site.caughtUp();
  const { counts } = await site.expectExactlyOnce(flood.manifest);
  expect(counts.seen).toBe(counts.expected);
  // What was under way when the flood was aborted may have been accepted unheard; nothing else may be there.
  expect(counts.envelopes - counts.expected).toBeLessThanOrEqual(report.byStatus['0'] ?? 0);
  for (const worker of [first, second, third]) {
    expect(worker.lines('service.crashed')).toEqual([]);
    expect(worker.lines('process.opened').length).toBeGreaterThan(0);
  }
  await third.stop();
  await ingest.stop();
});
