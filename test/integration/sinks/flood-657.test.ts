/** One note commanded 657 times on a real broker; its sinks are fenced out by an impostor, or hand over to the next. */
import { randomUUID } from 'node:crypto';
import { it } from 'vitest';
import { Ownership } from '../../../src/kafka/owned-partition.ts';
import type { Log } from '../../../src/kafka/port.ts';
import { openTestLog } from '../../support/log-fixtures.ts';
import { COPIES, expectOneNote, flood657 } from '../../support/sinks/flood-657.ts';
import type { SinkHouse, SinkProcess } from '../../support/sinks/house.ts';

/** Takes the producers of all partitions away, as a process does that slept through its eviction; then goes. */
async function usurp(log: Log, { names }: SinkHouse, prefix: string): Promise<void> {
  const reader = await log.reader({ clientId: 'impostor', topics: [names.ledger] });
  for (const partition of [0, 1]) {
    const ownership = await Ownership.open({
      log,
      reader,
      groupId: `${prefix}cn-kustomer.sink`,
      topic: names.ledger,
      partition,
      partitionOf: () => partition,
      barrierId: randomUUID(),
      transactionTimeoutMs: 15_000,
      restoreStallMs: 10_000,
      stateMaxBytes: 2 ** 26,
      leaseUntilMs: () => 0,
      signal: new AbortController().signal,
      committed: () => undefined,
    });
    await ownership.close();
  }
  await reader.close();
}

it.each([1, 2])(`${COPIES} copies of one note are one note: seed %d`, async (seed) => {
  const { log, prefix, connect } = openTestLog();
  const replace = async (house: SinkHouse, before: SinkProcess, random: () => number): Promise<SinkProcess> => {
    if (random() < 0.5) {
      await usurp(log, house, prefix);
      return before;
    }
    const next = await house.start();
    await house.stop(before);
    return next;
  };
  expectOneNote(await flood657({ seed, connect, prefix, replace, sessionTimeoutMs: 6000 }));
});
