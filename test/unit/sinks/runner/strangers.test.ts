/** Commands of tenants and connections that are not known here, or not yet. */
import { expect, it } from 'vitest';
import { type SinkHouse, TENANT } from '../../../support/sinks/house.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { memoryHouse } from '../memory-house.ts';

async function setUp(newest: (house: SinkHouse) => Promise<boolean> | undefined) {
  const there = await memoryHouse({ partitions: 1, newest: () => newest(there.house) });
  const { house } = there;
  house.disconnect(TENANT, { isKnown: false });
  const note = () => house.command(there.note);
  await house.start();
  return { ...there, note };
}

it('one of a tenant whose record is on its way here is carried out, not buried', async () => {
  let asked = 0;
  const { house, org, note } = await setUp(async (soon) => {
    asked += 1;
    soon.connect(TENANT);
    return true;
  });
  await house.send(note(), note());
  await waitFor(() => house.receipts.length === 2, { message: 'both receipts' });
  expect(house.outcomes()).toEqual({ 'ALLOW applied': 2 });
  expect(org.writes.count).toBe(2);
  expect(house.dead).toEqual([]);
  expect(asked).toBe(1);
});

it('one through a connection that is on its way here is carried out, not refused', async () => {
  const { house, org, note } = await setUp(async (soon) => {
    soon.connect(TENANT);
    return true;
  });
  house.connect(TENANT);
  house.disconnect(TENANT);
  await house.send(note());
  await waitFor(() => house.receipts.length === 1, { message: 'the receipt' });
  expect(house.outcomes()).toEqual({ 'ALLOW applied': 1 });
  expect(org.writes.count).toBe(1);
});

it('one of a tenant that nobody knows is a dead letter, whether there was news or not, or nothing to wait for', async () => {
  const answers = [Promise.resolve(false), Promise.resolve(true), undefined];
  const { house, org, note } = await setUp(() => answers.shift());
  await house.send(note(), note(), note());
  await waitFor(() => house.dead.length === 3, { message: 'three dead letters' });
  expect(house.dead).toEqual(Array(3).fill('record_unattributed'));
  expect(answers).toEqual([]);
  expect(house.receipts).toEqual([]);
  expect(org.writes.count).toBe(0);
});
