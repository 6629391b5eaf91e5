/** SIGTERM under load: whoever waits for an answer gets one, what was accepted stays, and the process is gone in time. */
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { eventually, Installation } from '../support/installation.ts';
import { eventBody, sign } from '../support/webhooks.ts';

interface Half {
  /** Sends the rest and resolves to the status. */
  finish(): Promise<number>;
}

/** A delivery of which the receiver has the head and half of the body. */
async function beginDelivery(url: string, token: string, body: Buffer): Promise<Half> {
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    'x-kustomer-webhook-signature': sign(body, token),
    expect: '100-continue',
  };
  const sending = request(url, { method: 'POST', headers, agent: false });
  const answered = new Promise<number>((resolve, reject) => {
    sending.on('error', reject).on('response', (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
  });
  answered.catch(() => undefined); // told by finish()
  // The receiver has seen the head once it asks for the body.
  await new Promise<void>((resolve, reject) => void sending.on('continue', resolve).on('error', reject));
  sending.write(body.subarray(0, body.length / 2));
  return {
    finish: () => {
      sending.end(body.subarray(body.length / 2));
      return answered;
    },
  };
}

test('a receiver stopped under load answers what it has begun and loses nothing it has accepted', async () => {
  const port = await freePort();
  const site = await Installation.open({ env: { PORT: String(port) } });
  const processor = await site.serve({ roles: 'process', env: { PORT: '0' } });
  const first = await site.serve({ roles: 'ingest' });
  const flood = site.flood(first.url, { count: 3_000, rate: 500 });
  const target = site.target(0, first.url);
  const bodies = Array.from({ length: 40 }, () => eventBody('kustomer.conversation.create', { org: target.orgId }));
  const begun = await Promise.all(bodies.map((body) => beginDelivery(target.url, target.token, body)));
  await eventually(() => expect(flood.progress()?.accepted).toBeGreaterThan(200), { message: 'load' });

  const stoppingAtMs = performance.now();
  first.process.signal('SIGTERM');
  await first.process.waitForOutput(/"event":"service.stopping"/);
  const statuses = await Promise.all(begun.map((half) => half.finish()));
  expect(await first.process.waitForExit(10_000)).toEqual({ code: 0, signal: null });
  expect(performance.now() - stoppingAtMs).toBeLessThan(10_000);
  // Begun before the stop, so taken, not sent away.
  expect(statuses).toEqual(bodies.map(() => 200));

  // The vendor tries again until somebody listens there.
  const second = await site.serve({ roles: 'ingest' });
  const report = await flood.done;
  expect(report).toMatchObject({ outcome: 'complete', notAccepted: 0 });
  expect(report.retries).toBeGreaterThan(0);
  await site.caughtUp();
  // Not strict: the deliveries begun by hand are in no manifest.
  const { defects, counts } = await site.verify(flood.manifest);
  expect(defects).toMatchObject({ missing: 0, doubled: 0, out_of_order: 0, wrong_content: 0, dead_letter: 0 });
  expect(counts.envelopes).toBe(counts.expected + bodies.length);
  await second.stop();
  await processor.stop();
});

test('a processor stopped under load commits or leaves what it has in hand, and never half of it', async () => {
  const site = await Installation.open({ env: { PROCESS_BATCH_RECORDS: '20' } });
  const ingest = await site.serve({ roles: 'ingest' });
  const first = await site.serve({ roles: 'process' });
  const flood = site.flood(ingest.url, { count: 2_500, rate: 500 });
  const check = async () => expect((await site.committed()).reduce((sum, one) => sum + one)).toBeGreaterThan(200);
  await eventually(check, { message: 'work done' });
  await first.stop();
  // Nothing is left open: a reader of committed records gets to the very end.
  expect((await site.visibleEnvelopes()).ends).toEqual(await site.envelopeEnds());
  const second = await site.serve({ roles: 'process' });
  expect(await flood.done).toMatchObject({ outcome: 'complete', notAccepted: 0 });
  await site.caughtUp();
  await site.expectExactlyOnce(flood.manifest);
  await second.stop();
  await ingest.stop();
});
