/**
 * The incident on a real broker: one note commanded 657 times by several producers, carried out by processes that are
 * killed, stopped until others have taken over, fenced out or replaced, while Kustomer's answers get lost.
 *
 * Five seeds at once here; `make soak` has more of them, and prints how to run them again.
 */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { hasCode } from '../../src/base/errors.ts';
import { Ownership } from '../../src/kafka/owned-partition.ts';
import type { Log } from '../../src/kafka/port.ts';
import { kafkaBrokers, openTestLog } from '../support/log-fixtures.ts';
import type { TestProcess } from '../support/process.ts';
import { COPIES, expectOneNote, type FloodSinks, flood657 } from '../support/sinks/flood-657.ts';
import { type HouseOptions, type SinkHouse, UNHURRIED, UNHURRIED_CALLS } from '../support/sinks/house.ts';
import { kill, letGo, owns, startMember } from '../support/sinks/member.ts';

const SEEDS = (process.env['SOAK_SEEDS'] ?? '1,2,3,4,5').split(',').map(Number);
const SESSION_TIMEOUT_MS = 6000;
const TEST_TIMEOUT_MS = 180_000;
/** For a receipt: a session, what the one before may still have on the wire, and a machine with much else to do. */
const RECEIPT_DEADLINE_MS = 60_000;

/** Takes the producers of all partitions away, as a process does that slept through its eviction; then goes, or is fenced out. */
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
    }).catch((error) => {
      if (!hasCode(error, 'fenced')) throw error;
    });
    await ownership?.close();
  }
  await reader.close();
}

function sinksOf(log: Log, prefix: string): FloodSinks<TestProcess> {
  let start = (): Promise<TestProcess> => Promise.reject(new Error('not built yet'));
  return {
    start: async (_house, { connect: _, ...options }: HouseOptions) => {
      start = () => startMember({ ...options, brokers: kafkaBrokers() });
      const first = await start();
      await owns(first);
      return first;
    },
    replace: async (house, before, random) => {
      const fate = random();
      if (fate < 0.15) {
        await usurp(log, house, prefix);
        return before;
      }
      if (fate < 0.5) {
        await kill(before);
        return start();
      }
      if (fate < 0.75) before.signal('SIGSTOP');
      const next = await start();
      if (fate < 0.75) {
        await owns(next);
        before.signal('SIGCONT');
      }
      await letGo(before);
      return next;
    },
    stop: (_house, last) => letGo(last),
  };
}

it(
  `${COPIES} copies of one note are one note, 1 applied and ${COPIES - 1} DEDUP: seeds ${SEEDS.join()}`,
  async () => {
    const failures = await Promise.all(
      SEEDS.map(async (seed) => {
        const { log, prefix, connect } = openTestLog();
        const sinks = sinksOf(log, prefix);
        const times = { sessionTimeoutMs: SESSION_TIMEOUT_MS, lifecycle: UNHURRIED, timeouts: UNHURRIED_CALLS };
        try {
          expectOneNote(await flood657({ seed, connect, prefix, sinks, deadlineMs: RECEIPT_DEADLINE_MS, ...times }));
          return [];
        } catch (error) {
          return [`seed ${seed}: ${error instanceof Error ? error.message : error}`];
        }
      }),
    );
    expect(failures.flat()).toEqual([]);
  },
  TEST_TIMEOUT_MS,
);
