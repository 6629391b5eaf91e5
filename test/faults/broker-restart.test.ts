/** A broker that crashes and stops under load: nobody is told 2xx for something lost, and all of it lands once. */
import { expect, test } from 'vitest';
import { eventually, type Flood, Installation, ready } from '../support/installation.ts';
import { startOwnBroker } from '../support/own-broker.ts';
import { type Answer, deliver, eventBody, newId } from '../support/webhooks.ts';

const INGEST_WAIT_MS = 1_000;

test('a broker that crashes and then, before all have recovered, is stopped, under load', async () => {
  const broker = await startOwnBroker();
  const env = { INGEST_WAIT_MS: String(INGEST_WAIT_MS) };
  const site = await Installation.open({ brokers: [broker.brokers], env });
  const ingest = await site.serve({ roles: 'ingest' });
  const processor = await site.serve({ roles: 'process' });
  const flood = site.flood(ingest.url, { count: 1_000_000, rate: 100, conversations: 500 });
  const target = site.target(0, ingest.url);

  /** Deliveries of our own, each its own conversation, with the answers they got. */
  const probes: { readonly id: string; readonly answer: Answer }[] = [];
  const probe = async (): Promise<Answer> => {
    const id = newId();
    const body = eventBody('kustomer.conversation.create', { org: target.orgId, id });
    const startedAtMs = performance.now();
    const answer = await deliver({ url: target.url, token: target.token, body });
    expect(performance.now() - startedAtMs).toBeLessThan(4 * INGEST_WAIT_MS); // a bounded wait, broker or no broker
    probes.push({ id, answer });
    return answer;
  };

  for (const how of ['SIGKILL', 'SIGTERM'] as const) {
    await underLoad(flood);
    expect((await probe()).status).toBe(200);
    await broker.stop(how);
    for (let count = 0; count < 3; count += 1) {
      const answer = await probe();
      expect(answer).toMatchObject({ status: 503, errorCode: 'log_unavailable' });
      expect(Number(answer.retryAfter)).toBeGreaterThan(0);
    }
    expect((await fetch(`${ingest.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${ingest.url}/healthz`)).status).toBe(200); // alive: a restart would help nobody
    await broker.start();
    await ready(ingest.url); // the processor may take as long as a session; the second time it is met recovering
    await eventually(async () => expect((await probe()).status).toBe(200), { message: 'webhooks to be taken again' });
  }
  await Promise.all([underLoad(flood), ready(processor.url)]);
  flood.abort();
  const report = await flood.done;
  expect(report.byStatus['503']).toBeGreaterThan(0);
  expect(report.retries).toBeGreaterThan(0);

  await site.caughtUp();
  const { defects, counts } = await site.verify(flood.manifest);
  expect(defects).toMatchObject({ missing: 0, doubled: 0, out_of_order: 0, wrong_content: 0, dead_letter: 0 });
  expect(counts.seen).toBe(counts.expected);
  // Our own: what was answered 2xx is there once; what was not may be, since an answer can be lost, but once at most.
  const seen = new Map<string, number>();
  for (const { key } of (await site.visibleEnvelopes()).records) {
    const id = String(key).replace('conversation:', '');
    seen.set(id, (seen.get(id) ?? 0) + 1);
  }
  for (const { id, answer } of probes) {
    if (answer.status === 200) expect(seen.get(id)).toBe(1);
    else expect(seen.get(id) ?? 0).toBeLessThanOrEqual(1);
  }
  // The same processes all the way.
  for (const service of [ingest, processor]) {
    expect(service.lines('service.crashed')).toEqual([]);
    await service.stop();
  }
});

/** Until a second's worth of deliveries has been accepted from now on. */
async function underLoad(flood: Flood): Promise<void> {
  const before = flood.progress()?.accepted ?? 0;
  await eventually(() => expect(flood.progress()?.accepted).toBeGreaterThan(before + 100), {
    message: 'load',
    deadlineMs: 30_000,
  });
}
