/** A house of sinks on a log in memory, with the simulator as Kustomer; closed at the end of its test, and nothing has crashed in it. */
import { afterEach, expect } from 'vitest';
import { createMemoryLog, type MemoryLog } from '../../../src/kafka/memory/index.ts';
import type { OrgOptions } from '../../../src/simulator/org.ts';
import { type HouseOptions, SinkHouse } from '../../support/sinks/house.ts';
import { waitFor } from '../../support/wait-for.ts';
import { KEY, simulated } from '../simulator/simulated.ts';

export interface MemoryHouseOptions extends Partial<HouseOptions> {
  readonly org?: Partial<OrgOptions>;
  readonly log?: MemoryLog;
}

const houses: SinkHouse[] = [];
// Before the simulators of `simulated`, which was imported first: hooks run the other way round.
afterEach(async () => {
  for (const house of houses.splice(0)) {
    await house.close();
    expect(house.crashes).toEqual([]);
  }
});

/** No process of it is started yet. `note` is what a command is made of. */
export async function memoryHouse({ org = {}, log = createMemoryLog(), ...more }: MemoryHouseOptions = {}) {
  const there = await simulated(org, { nowMs: Date.now });
  const house = await SinkHouse.build({
    connect: () => log.connect(),
    apiUrl: there.url,
    apiKey: KEY,
    machineUserId: there.org.machineUserId,
    ...more,
  });
  houses.push(house);
  const [conversation] = [...there.org.organisation.conversations.values()];
  if (conversation === undefined) throw new Error('no conversation');
  const note = { capability: 'conversation.note.write', args: { conversation_id: conversation.id, body: 'Late.' } };
  const receipts = (count: number) =>
    waitFor(() => house.receipts.length >= count && house.receipts, { message: `${count} receipts` });
  return { ...there, log, house, conversation, note, receipts };
}
