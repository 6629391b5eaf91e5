/**
 * The incident on the whole write path: one note commanded 657 times by several producers, while the sinks that carry it out
 * are killed, stopped and fenced at random, and Kustomer's answers get lost.
 */
import { expect, it } from 'vitest';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { SinkHouse, type SinkProcess } from '../../../support/sinks/house.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { KEY, simulated } from '../../simulator/simulated.ts';
import { seeded } from '../lifecycle/vendor.ts';

const COPIES = 657;
const PRODUCERS = 4;
/** `make soak` asks for more. */
const SEEDS = Number(process.env['FLOOD_SEEDS'] ?? 5);
const CRASHES = 3;
const BATCH = 10;

const at = (path: string) => ({ method: 'POST', path }) as const;
const NOTES = at('/v1/conversations/*/notes');
/** The first that acts wins. */
const LOST = [
  { ...NOTES, kind: 'reset', when: 'after', probability: 0.4 },
  { ...NOTES, kind: 'reset', when: 'before', probability: 0.2 },
  { ...NOTES, kind: 'status', status: 502, when: 'after', probability: 0.3 },
  { ...NOTES, kind: 'status', status: 503, when: 'before', probability: 0.3 },
] as const;

async function flood(seed: number) {
  const random = seeded(seed);
  const upTo = (most: number) => Math.floor(random() * most);
  const there = await simulated({}, { nowMs: Date.now, seed });
  const broker = createMemoryLog();
  const house = await SinkHouse.build({
    connect: () => broker.connect(),
    apiUrl: there.url,
    apiKey: KEY,
    machineUserId: there.org.machineUserId,
    sessionTimeoutMs: 500,
  });
  await there.api('POST', '/_simulator/faults', { org: 'acme', requests: LOST });
  const [conversation] = [...there.org.organisation.conversations.values()];
  const note = {
    capability: 'conversation.note.write',
    args: { conversation_id: conversation?.id, body: 'This order is at risk.' },
    idempotencyKey: 'order-risk:657:note',
  };
  let here = await house.start();
  const share = Math.ceil(COPIES / PRODUCERS);
  let sent = 0;
  const sending = Array.from({ length: PRODUCERS }, async (_, producer) => {
    const copies = Array.from({ length: Math.min(share, COPIES - producer * share) }, () => house.command(note));
    for (let at = 0; at < copies.length; at += BATCH) {
      // Or all would be over before the first crash.
      const isTime = () => house.receipts.length >= sent - 2 * PRODUCERS * BATCH;
      await waitFor(isTime, { message: `receipts of ${sent} commands`, everyMs: 2 });
      const batch = copies.slice(at, at + BATCH);
      sent += batch.length;
      await house.send(...batch);
    }
  });
  // The first while the note is being written, the others while its copies come.
  const places = Array.from({ length: CRASHES - 1 }, () => upTo(COPIES)).sort((a, b) => a - b);
  const calls = 1 + upTo(4);
  await waitFor(() => there.org.requests.received >= calls || house.receipts.length > 0, {
    message: 'the first call',
    everyMs: 1,
  });
  here = await replace(house, here, random() < 0.7);
  for (const place of places) {
    await waitFor(() => house.receipts.length >= place, { message: `receipt ${place}`, everyMs: 1 });
    here = await replace(house, here, random() < 0.7);
  }
  await Promise.all(sending);
  await waitFor(() => house.receipts.length >= COPIES, { message: 'a receipt for each' });
  await house.stop(here);
  const { receipts, crashes } = house;
  const outcomes = house.outcomes();
  await house.close();
  return { receipts, crashes, outcomes, writes: there.org.writes.list() };
}

/** The next owner is there before the last has gone, or after. */
async function replace(house: SinkHouse, before: SinkProcess, kill: boolean): Promise<SinkProcess> {
  if (!kill) {
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
    const { receipts, outcomes, writes, crashes } = await flood(seed);
    expect(crashes).toEqual([]);
    expect(writes).toHaveLength(1);
    expect(outcomes).toEqual({ 'ALLOW applied': 1, 'DEDUP deduplicated': COPIES - 1 });
    expect(new Set(receipts.map(({ receipt_id }) => receipt_id)).size).toBe(COPIES);
    expect(new Set(receipts.map(({ command_id }) => command_id)).size).toBe(COPIES);
    const applied = receipts.find(({ outcome }) => outcome === 'applied');
    expect(applied?.vendor?.id).toBe(writes[0]?.objectId);
    const firsts = receipts.flatMap(({ first_receipt_id }) => (first_receipt_id === null ? [] : [first_receipt_id]));
    expect(new Set(firsts)).toEqual(new Set([applied?.receipt_id]));
  },
);
