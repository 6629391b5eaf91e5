/** The group has lost where it was: what the ledger knows of it (F4 of lanes/offsets.ts), on the in-memory log. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { encodeProgress } from '../../../../src/sinks/lanes/progress-codec.ts';
import { lastProgress } from '../../../../src/sinks/runner/resume.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { memoryHouse } from '../memory-house.ts';

const GROUP = 'cn-kustomer.sink';
const PARTITIONS = 2;

async function setUp() {
  const there = await memoryHouse({ partitions: PARTITIONS });
  const { house, log } = there;
  onTestFinished(() => expect(house.failures).toEqual([]));
  const note = (operator = 'op-support') => house.command({ ...there.note, operator });
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: house.names.commands, partition }));
  const moveGroup = (to: (end: number) => number) =>
    Promise.all(
      partitions.map(async (at) => {
        const { high } = await log.admin.watermarks(at);
        await log.admin.commit(GROUP, [{ ...at, offset: to(high) }]);
      }),
    );
  const committed = () => log.admin.committed(GROUP, partitions);
  return { ...there, note, moveGroup, committed };
}

describe('a group that was reset to the earliest offset', () => {
  it('has nothing carried out or answered again; what is new is, and the group is where it was', async () => {
    const { house, org, note, receipts, moveGroup, committed } = await setUp();
    const first = await house.start();
    // Also what left no entry in the ledger by which it could be known again.
    await house.send(note(), note('op-nobody'), note(), note());
    await receipts(4);
    await house.stop(first);
    const before = await committed();
    await moveGroup(() => 0);
    await house.start();
    await house.send(note());
    await receipts(5);
    expect(house.outcomes()).toEqual({ 'ALLOW applied': 4, 'BLOCK refused': 1 });
    expect(new Set(house.receipts.map(({ command_id }) => command_id)).size).toBe(5);
    expect(org.writes.count).toBe(4);
    const after = await committed();
    expect(after.reduce((sum: number, at) => sum + (at ?? 0), 0)).toBeGreaterThan(
      before.reduce((sum: number, at) => sum + (at ?? 0), 0),
    );
  });

  it('goes on with what was unfinished, and with that alone', async () => {
    const { house, org, api, note, receipts, moveGroup } = await setUp();
    const first = await house.start();
    await house.send(note());
    await receipts(1);
    const fault = { kind: 'status', status: 503, method: 'POST', path: '/v1/conversations/*/notes' };
    await api('POST', '/_simulator/faults', { org: 'acme', requests: [fault] });
    await house.send(note(), note('op-nobody'), note());
    await waitFor(() => org.requests.list({ method: 'POST' }).length > 1, { message: 'a refused write' });
    await house.stop(first);
    await api('POST', '/_simulator/faults', { org: 'acme', requests: [] });
    await moveGroup(() => 0);
    await house.start();
    await receipts(4);
    expect(house.outcomes()).toEqual({ 'ALLOW applied': 3, 'BLOCK refused': 1 });
    expect(org.writes.count).toBe(3);
  });
});

it('a group that was moved on leaves what lies before alone', async () => {
  const { house, org, note, receipts, moveGroup } = await setUp();
  await house.stop(await house.start());
  await house.send(note(), note());
  await moveGroup((end) => end);
  await house.start();
  await house.send(note());
  await receipts(1);
  expect(org.writes.count).toBe(1);
  expect(house.receipts.map(({ outcome }) => outcome)).toEqual(['applied']);
});

it('a topic that was made anew is carried out from its beginning, longer than the old one or not', async () => {
  const { house, org, log, note, receipts, moveGroup } = await setUp();
  const first = await house.start();
  await house.send(note(), note());
  await receipts(2);
  await house.stop(first);
  await log.admin.deleteTopics([house.names.commands]);
  await log.admin.createTopics([{ name: house.names.commands, partitions: PARTITIONS, config: {} }]);
  await moveGroup(() => 0);
  await house.send(note());
  const second = await house.start();
  await receipts(3);
  await house.stop(second);
  await log.admin.deleteTopics([house.names.commands]);
  await log.admin.createTopics([{ name: house.names.commands, partitions: PARTITIONS, config: {} }]);
  await moveGroup(() => 0);
  await house.send(...Array.from({ length: 6 }, () => note()));
  await house.start();
  await receipts(9);
  expect(house.outcomes()).toEqual({ 'ALLOW applied': 9 });
  expect(org.writes.count).toBe(9);
});

describe('F4: progress is believed', () => {
  const progress = { commitOffset: 500, nextOffset: 1000, unfinished: [500, 700], groupOffset: 400, latestMs: 77 };
  const asked: number[] = [];
  const last = (left: Parameters<typeof encodeProgress>[0] | null, position: number, since = 0) => {
    asked.length = 0;
    const input = {
      position,
      offsetSince: async (timestampMs: number) => {
        asked.push(timestampMs);
        return since;
      },
    };
    return lastProgress({ get: () => (left === null ? undefined : encodeProgress(left)) }, input);
  };

  it('where the group is as it says, without asking', async () => {
    expect(await last(progress, 400)).toEqual(progress);
    expect(asked).toEqual([]);
  });

  it('where nothing below its end is later than the latest it saw', async () => {
    expect(await last(progress, 0, 1000)).toEqual(progress);
    expect(asked).toEqual([78]);
    expect(await last(progress, 600, 1001)).toEqual(progress);
  });

  it('and nowhere else: in a shorter log, one with later records, or where no time is known', async () => {
    expect(await last(progress, 0, 999)).toBeNull();
    expect(await last(progress, 0, 0)).toBeNull();
    const { latestMs: _, ...without } = progress;
    expect(await last(without, 0, 1000)).toBeNull();
    expect(asked).toEqual([]);
    expect(await last(null, 0)).toBeNull();
  });
});
