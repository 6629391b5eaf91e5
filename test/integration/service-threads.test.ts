/** One process on two threads: as two members of the group, behind one port, with one account of itself. */
import { expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { Installation } from '../support/installation.ts';

async function metric(url: string, name: string): Promise<number> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

test('two threads share the shards and the port, lose and double nothing, and count as one', async () => {
  const site = await Installation.open({ env: { PORT: String(await freePort()), THREADS: '2' } });
  const serving = await site.serve({ roles: 'ingest,process' });
  const { threads } = (await (await fetch(`${serving.url}/readyz`)).json()) as {
    threads: readonly { roles: { process: { detail: { shards: readonly { shard: number }[] } } } }[];
  };
  const dealt = threads.map(({ roles }) => roles.process.detail.shards.map(({ shard }) => shard));
  expect(dealt.map((shards) => shards.length)).toEqual([2, 2]);
  expect(dealt.flat().toSorted()).toEqual([0, 1, 2, 3]);

  const flood = site.flood(serving.url, { count: 2_000, rate: 1_000, duplicates: 0.2 });
  const report = await flood.done;
  expect(report).toMatchObject({ outcome: 'complete', notAccepted: 0 });
  await site.caughtUp();
  const { defects } = await site.verify(flood.manifest);
  expect(Object.values(defects).every((count) => count === 0)).toBe(true);
  // Whichever thread answers, it answers for both.
  for (let asked = 0; asked < 4; asked += 1) {
    expect(await metric(serving.url, 'cnk_webhooks_accepted_total')).toBe(report.accepted);
    expect(await metric(serving.url, 'cnk_connections ')).toBe(site.store.list().length);
  }
  await serving.stop();
});
