/** What the sink tells beside its receipts: of connections, of lost answers, of a ledger that is full. */
import { describe, expect, it } from 'vitest';
import { HEADER } from '../../../../src/kafka/headers.ts';
import { MAX_ENTRY_BYTES } from '../../../../src/sinks/ledger/codec.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { type MemoryHouseOptions, memoryHouse } from '../memory-house.ts';

const NOTES = { method: 'POST', path: '/v1/conversations/*/notes' } as const;

async function setUp(more: MemoryHouseOptions = {}) {
  const told: string[] = [];
  const there = await memoryHouse({
    observer: {
      ambiguous: ({ connectionId }) => told.push(`ambiguous ${connectionId}`),
      faulted: ({ connectionId }, fault, message) => told.push(`${fault} ${connectionId} ${message}`),
      succeeded: ({ connectionId }) => told.push(`succeeded ${connectionId}`),
      full: (partition, isFull) => told.push(`${isFull ? 'full' : 'room'} ${partition}`),
    },
    ...more,
  });
  const fail = (fault: object) =>
    there.api('POST', '/_simulator/faults', { org: 'acme', requests: [{ ...NOTES, count: 1, ...fault }] });
  return { ...there, told, fail };
}

describe('of a connection', () => {
  it.each([
    [401, 'key_refused', 'kustomer_unauthorized'],
    [403, 'role_missing', 'kustomer_permission'],
  ])(
    'a %d is told as %s with the permission that is missing, and the next write that is done as well',
    async (status, fault, code) => {
      const { house, note, receipts, told, fail } = await setUp();
      await house.start();
      await fail({ kind: 'status', status });
      await house.send(house.command(note));
      const [failed] = await receipts(1);
      expect(failed?.error).toMatchObject({
        code,
        message: expect.stringContaining('org.permission.note.create'),
      });
      expect(told).toEqual([expect.stringMatching(new RegExp(`^${fault} cn_acme .*org\\.permission\\.note\\.create`))]);
      await house.send(house.command(note));
      await receipts(2);
      expect(told.slice(1)).toEqual(['succeeded cn_acme']);
    },
  );

  it('nothing is told for what is wrong with one command only', async () => {
    const { house, note, receipts, told } = await setUp();
    await house.start();
    await house.send(house.command({ ...note, args: { ...note.args, conversation_id: 'f'.repeat(24) } }));
    expect((await receipts(1))[0]?.error?.code).toBe('target_not_found');
    expect(told).toEqual([]);
  });
});

it('a lost answer is told when it is lost', async () => {
  const { house, note, receipts, told, fail } = await setUp();
  await house.start();
  await fail({ kind: 'reset', when: 'after' });
  await house.send(house.command(note));
  expect((await receipts(1))[0]).toMatchObject({ outcome: 'applied', reconciled: true });
  expect(told[0]).toBe('ambiguous cn_acme');
});

it('a full ledger is told, takes nothing more, and goes on by itself when entries are forgotten', async () => {
  // Room for one command at a time beside a few that are remembered.
  const stateMaxBytes = MAX_ENTRY_BYTES + 5000;
  const { house, note, receipts, told, org } = await setUp({
    partitions: 1,
    sink: { stateMaxBytes, retentionMs: 2500 },
  });
  await house.start();
  await house.send(...Array.from({ length: 40 }, () => house.command(note)));
  await waitFor(() => told.includes('full 0'), { message: 'the ledger to be full' });
  const before = org.writes.list().length;
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(40);
  expect(house.receipts.length).toBeLessThan(40);
  await receipts(40);
  expect(told.filter((one) => !one.startsWith('succeeded')).slice(0, 2)).toEqual(['full 0', 'room 0']);
  expect(org.writes.list()).toHaveLength(40);
  expect(house.failures).toEqual([]);
});

it('a dead command keeps its own key, for whoever replays it', async () => {
  const { house, log, note } = await setUp();
  await house.start();
  const command = house.command({ ...note, tenantId: 't_nobody' });
  await house.send(command);
  await waitFor(() => house.dead.length > 0, { message: 'a dead letter' });
  const reader = await log.reader({ clientId: 'test', topics: [house.names.dead] });
  const keys: string[] = [];
  for (let partition = 0; partition < 4; partition += 1) {
    reader.follow({
      ...{ topic: house.names.dead, partition, fromOffset: 0 },
      failed: (error) => expect.unreachable(String(error)),
      records: ({ records }) => {
        for (const { headers } of records) keys.push(headers[HEADER.sourceKey]?.toString() ?? '-');
      },
    });
  }
  await waitFor(() => keys.length > 0, { message: 'its record' });
  expect(keys).toEqual([command.key?.toString()]);
  await reader.close();
});
