/** One note commanded 657 times on the in-memory log; its sinks are killed, or hand over. */
import { it } from 'vitest';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { COPIES, expectOneNote, flood657, HERE } from '../../../support/sinks/flood-657.ts';
import type { SinkHouse, SinkProcess } from '../../../support/sinks/house.ts';

/** More for a long night. */
const SEEDS = Number(process.env['FLOOD_SEEDS'] ?? 5);

/** The next owner is there before the last has gone, or after. */
async function replace(house: SinkHouse, before: SinkProcess, random: () => number): Promise<SinkProcess> {
  if (random() >= 0.7) {
    const next = await house.start();
    await house.stop(before);
    return next;
  }
  (before.log as MemoryLog).kill();
  await house.bury(before);
  return house.start();
}

it.each(Array.from({ length: SEEDS }, (_, index) => index + 1))(
  `${COPIES} copies of one note are one note, 1 applied and ${COPIES - 1} DEDUP: seed %d`,
  async (seed) => {
    // Slower than Kustomer, or nobody would see a call that does not wait for its commit.
    const broker = createMemoryLog({ latencyMs: () => 10 });
    expectOneNote(
      await flood657({ seed, connect: () => broker.connect(), sinks: { ...HERE, replace }, sessionTimeoutMs: 500 }),
    );
  },
);
