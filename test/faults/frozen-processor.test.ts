/** A processor frozen in the middle of a transaction for longer than its session: a zombie when it wakes. */
import { expect, test } from 'vitest';
import { eventually, Installation, ready } from '../support/installation.ts';

test('a processor that wakes after another took over is fenced, writes nothing visible, and joins again', async () => {
  const site = await Installation.open({ env: { PROCESS_BATCH_RECORDS: '50' } });
  const ingest = await site.serve({ roles: 'ingest' });
  const zombie = await site.serve({
    roles: 'process',
    script: 'test/support/tampered-service.ts',
    env: { TAMPER: 'freeze-before-commit', TAMPER_AFTER: '5' },
  });
  const flood = site.flood(ingest.url, { count: 1_000 });
  await zombie.process.waitForOutput(/^tampered: freeze-before-commit$/m);

  // Its session times out, the other gets every shard, and does all the work there is.
  const heir = await site.serve({ roles: 'process' });
  await eventually(() => expect(heir.lines('process.assigned').at(-1)?.['shards']).toHaveLength(4), {
    message: 'the heir to own every shard',
    deadlineMs: 30_000,
  });
  expect(await flood.done).toMatchObject({ outcome: 'complete', notAccepted: 0 });
  await site.caughtUp();
  const first = await site.expectExactlyOnce(flood.manifest);
  const offsets = await site.committed();

  // The first thing it does is to send the commit it was about to send.
  zombie.process.signal('SIGCONT');
  await eventually(
    () => expect(zombie.lines('process.failed').map(({ code }) => code)).toContainEqual(expect.stringMatching(CAUGHT)),
    { message: 'the zombie to learn that it is one', deadlineMs: 30_000 },
  );
  await eventually(() => expect(zombie.lines('process.assigned').length).toBeGreaterThan(1), {
    message: 'the zombie to join again',
    deadlineMs: 30_000,
  });
  await Promise.all([ready(zombie.url), ready(heir.url)]);
  expect(await site.committed()).toEqual(offsets);
  expect((await site.visibleEnvelopes()).records).toHaveLength(first.counts.envelopes);

  // Both work: what comes now is divided between them, and still nothing stands there twice.
  const restored = zombie.lines('process.opened').length;
  expect(restored).toBeGreaterThan(4);
  const second = site.flood(ingest.url, { count: 500 });
  expect(await second.done).toMatchObject({ outcome: 'complete', notAccepted: 0 });
  await site.caughtUp();
  const { counts } = await site.verify(second.manifest);
  expect(counts.envelopes).toBe(first.counts.envelopes + counts.expected);
  expect(counts.seen).toBe(counts.expected);
  for (const service of [zombie, heir, ingest]) await service.stop();
});

/** A machine slow enough may let the deadline of the commit pass before its answer: not known is as good as fenced. */
const CAUGHT = /^(fenced|commit_unknown)$/;
