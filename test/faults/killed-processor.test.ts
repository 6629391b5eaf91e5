/** A processor that dies at the worst moments of a transaction: nothing doubled, nothing lost, nothing half-done seen. */
import { describe, expect, test } from 'vitest';
import type { TopicContent } from '../support/independent-reader.ts';
import { Installation } from '../support/installation.ts';

const TAMPERED = 'test/support/tampered-service.ts';
/** Small transactions, so that there are many before the one that is struck. */
const SMALL_BATCHES = { PROCESS_BATCH_RECORDS: '50' };
const TRANSACTIONS_BEFORE = 5;

describe.each([
  { tamper: 'kill-before-commit', fate: 'sent, its commit is not' },
  { tamper: 'kill-during-commit', fate: 'committed, which it never hears' },
])('a processor killed when a transaction is $fate', ({ tamper }) => {
  test('leaves every change to its successor exactly once', async () => {
    const site = await Installation.open({ env: SMALL_BATCHES });
    const ingest = await site.serve({ roles: 'ingest' });
    const doomed = await site.serve({
      roles: 'process',
      script: TAMPERED,
      env: { TAMPER: tamper, TAMPER_AFTER: String(TRANSACTIONS_BEFORE) },
    });
    const flood = site.flood(ingest.url, { count: 1_000 });

    expect(await doomed.process.waitForExit()).toEqual({ code: null, signal: 'SIGKILL' });
    expect(doomed.process.stdout()).toContain(`tampered: ${tamper}`);
    expect(await flood.done).toMatchObject({ outcome: 'complete', notAccepted: 0 });

    // What it left: some work done, some in the raw topic, and offsets that are not past either.
    const committed = sum(await site.committed());
    expect(committed).toBeGreaterThan(0);
    expect(committed).toBeLessThan(sum(await site.ends(site.rawPartitions)));
    const before = await site.visibleEnvelopes();
    // Records of an open transaction stand in the topics, and a reader of committed records does not get past them.
    if (tamper === 'kill-before-commit') expect(before.ends).not.toEqual(await site.envelopeEnds());

    const successor = await site.serve({ roles: 'process' });
    await site.caughtUp();
    const { counts } = await site.expectExactlyOnce(flood.manifest);
    expect(counts).toMatchObject({ changes: 1_000, accepted: 1_000, deadLetters: 0, foreign: 0, earlier: 0 });
    expect(counts.envelopes).toBe(counts.expected);
    // The successor neither rewrote nor took back what had been visible before it came.
    const after = await site.visibleEnvelopes();
    expect(contents(after)).toEqual(expect.objectContaining(contents(before)));
    expect(successor.lines('process.failed')).toEqual([]);
    await successor.stop();
    await ingest.stop();
  });
});

/** Place of each record → its bytes. */
const contents = ({ records }: TopicContent) =>
  Object.fromEntries(
    records.map(({ topic, partition, offset, value }) => [`${topic}/${partition}@${offset}`, value?.toString('hex')]),
  );

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
