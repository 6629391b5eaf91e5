/** The sink's group has lost its offsets, on a real broker: F4 of src/sinks/lanes/offsets.ts. */
import kafkajs from 'kafkajs';
import { expect, it, onTestFinished } from 'vitest';
import { kafkaBrokers, openTestLog } from '../../support/log-fixtures.ts';
import { SinkHouse, UNHURRIED, UNHURRIED_CALLS } from '../../support/sinks/house.ts';
import { waitFor } from '../../support/wait-for.ts';
import { KEY, simulated } from '../../unit/simulator/simulated.ts';

const PARTITIONS = 2;

async function setUp() {
  const { log, connect, prefix } = openTestLog();
  const there = await simulated({}, { nowMs: Date.now });
  const house = await SinkHouse.build({
    connect,
    prefix,
    apiUrl: there.url,
    apiKey: KEY,
    machineUserId: there.org.machineUserId,
    partitions: PARTITIONS,
    sessionTimeoutMs: 6000,
    lifecycle: UNHURRIED,
    timeouts: UNHURRIED_CALLS,
  });
  onTestFinished(async () => {
    await house.close();
    expect(house.crashes).toEqual([]);
    expect(house.failures).toEqual([]);
  });
  const conversations = [...there.org.organisation.conversations.values()].map(({ id }) => id);
  const notes = (count: number, operator = 'op-support') =>
    Array.from({ length: count }, (_, index) => {
      const args = { conversation_id: conversations[index % conversations.length], body: 'Late.' };
      return house.command({ capability: 'conversation.note.write', args, operator });
    });
  const receipts = (count: number) =>
    waitFor(() => house.receipts.length >= count, { message: `${count} receipts`, deadlineMs: 30_000 });
  const groupId = `${prefix}cn-kustomer.sink`;
  const inputs = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: house.names.commands, partition }));
  const committed = () => log.admin.committed(groupId, inputs);
  const ends = async () =>
    (await Promise.all(inputs.map((input) => log.admin.watermarks(input)))).map(({ high }) => high);
  const forgetGroup = async () => {
    const admin = new kafkajs.Kafka({ brokers: [...kafkaBrokers()], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.deleteGroups([groupId]);
    await admin.disconnect();
    expect(await committed()).toEqual(inputs.map(() => null));
  };
  return { ...there, house, log, notes, receipts, committed, ends, forgetGroup };
}

it('regression: finished commands had a second receipt each when the offsets of the group had expired', async () => {
  const { house, org, notes, receipts, committed, ends, forgetGroup } = await setUp();
  const first = await house.start();
  await house.send(...notes(6), ...notes(3, 'op-nobody'));
  await receipts(9);
  await house.stop(first);
  await forgetGroup();
  await house.start();
  await house.send(...notes(6));
  await receipts(15);
  // All that there was has been passed, and is known to the group again.
  // All conversations may lie in one partition; of the other one there is nothing to commit.
  const isAtEnd = async () => `${(await committed()).map((offset) => offset ?? 0)}` === `${await ends()}`;
  await waitFor(isAtEnd, { message: 'the group at the end' });
  expect(house.outcomes()).toEqual({ 'ALLOW applied': 12, 'BLOCK refused': 3 });
  expect(new Set(house.receipts.map(({ command_position }) => command_position)).size).toBe(15);
  expect(org.writes.count).toBe(12);
});

it('a topic of commands that was made anew is carried out from its beginning', async () => {
  const { house, org, log, notes, receipts, committed } = await setUp();
  const first = await house.start();
  await house.send(...notes(3));
  await receipts(3);
  await house.stop(first);
  // The broker forgets the offsets of the group with it.
  await log.admin.deleteTopics([house.names.commands]);
  await log.admin.createTopics([{ name: house.names.commands, partitions: PARTITIONS, config: {} }]);
  await waitFor(async () => (await committed()).every((offset) => offset === null), { message: 'no offsets' });
  await house.send(...notes(9));
  await house.start();
  await receipts(12);
  expect(house.outcomes()).toEqual({ 'ALLOW applied': 12 });
  expect(org.writes.count).toBe(12);
});
