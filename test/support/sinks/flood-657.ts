/**
 * The incident on the whole write path: one note commanded 657 times by several producers, while the sinks that carry it out
 * are replaced at random and Kustomer's answers get lost.
 */
import { expect } from 'vitest';
import type { Log } from '../../../src/kafka/port.ts';
import { KEY, simulated } from '../../unit/simulator/simulated.ts';
import { seeded } from '../../unit/sinks/lifecycle/vendor.ts';
import { waitFor } from '../wait-for.ts';
import { type HouseOptions, SinkHouse, type SinkProcess } from './house.ts';

export const COPIES = 657;
const PRODUCERS = 4;
const CRASHES = 3;
const BATCH = 10;

/** What carries the commands out: in this process, or as one of its own. */
export interface FloodSinks<S> {
  start(house: SinkHouse, options: HouseOptions): Promise<S>;
  /** Whatever becomes of the one before, the one returned goes on. */
  replace(house: SinkHouse, before: S, random: () => number): Promise<S>;
  stop(house: SinkHouse, last: S): Promise<void>;
}

export interface FloodOptions<S> extends Pick<HouseOptions, 'lifecycle' | 'timeouts'> {
  readonly seed: number;
  readonly connect: () => Log;
  readonly prefix?: string;
  readonly sessionTimeoutMs: number;
  readonly sinks: FloodSinks<S>;
  /** For a receipt, while a sink may just have been taken away. */
  readonly deadlineMs?: number;
}

const at = (path: string) => ({ method: 'POST', path }) as const;
const NOTES = at('/v1/conversations/*/notes');
/** The first that acts wins. */
const LOST = [
  { ...NOTES, kind: 'reset', when: 'after', probability: 0.4 },
  { ...NOTES, kind: 'reset', when: 'before', probability: 0.2 },
  { ...NOTES, kind: 'status', status: 502, when: 'after', probability: 0.3 },
  { ...NOTES, kind: 'status', status: 503, when: 'before', probability: 0.3 },
] as const;

export async function flood657<S>({ seed, prefix = '', sinks, deadlineMs = 15_000, ...rest }: FloodOptions<S>) {
  const random = seeded(seed);
  const upTo = (most: number) => Math.floor(random() * most);
  const there = await simulated({}, { nowMs: Date.now, seed });
  const options = { ...rest, prefix, apiUrl: there.url, apiKey: KEY, machineUserId: there.org.machineUserId };
  const house = await SinkHouse.build(options);
  await there.api('POST', '/_simulator/faults', { org: 'acme', requests: LOST });
  const [conversation] = [...there.org.organisation.conversations.values()];
  const note = {
    capability: 'conversation.note.write',
    args: { conversation_id: conversation?.id, body: 'This order is at risk.' },
    idempotencyKey: 'order-risk:657:note',
  };
  let here = await sinks.start(house, options);
  const share = Math.ceil(COPIES / PRODUCERS);
  let sent = 0;
  const sending = Array.from({ length: PRODUCERS }, async (_, producer) => {
    const copies = Array.from({ length: Math.min(share, COPIES - producer * share) }, () => house.command(note));
    for (let at = 0; at < copies.length; at += BATCH) {
      // Or all would be over before the first crash.
      const isTime = () => house.receipts.length >= sent - 2 * PRODUCERS * BATCH;
      await waitFor(isTime, { message: `receipts of ${sent} commands`, everyMs: 2, deadlineMs });
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
    deadlineMs,
  });
  here = await sinks.replace(house, here, random);
  for (const place of places) {
    await waitFor(() => house.receipts.length >= place, { message: `receipt ${place}`, everyMs: 1, deadlineMs });
    here = await sinks.replace(house, here, random);
  }
  await Promise.all(sending);
  await waitFor(() => house.receipts.length >= COPIES, { message: 'a receipt for each', deadlineMs });
  await sinks.stop(house, here);
  const { receipts, crashes } = house;
  const outcomes = house.outcomes();
  await house.close();
  return { receipts, crashes, outcomes, writes: there.org.writes.list() };
}

/** In this process. */
export const HERE: Omit<FloodSinks<SinkProcess>, 'replace'> = {
  start: (house) => house.start(),
  stop: (house, last) => house.stop(last),
};

/** One note, one receipt each, and all of them tell of the same one. */
export function expectOneNote({ receipts, outcomes, writes, crashes }: Awaited<ReturnType<typeof flood657>>): void {
  expect(crashes).toEqual([]);
  expect(writes).toHaveLength(1);
  expect(outcomes).toEqual({ 'ALLOW applied': 1, 'DEDUP deduplicated': COPIES - 1 });
  expect(new Set(receipts.map(({ receipt_id }) => receipt_id)).size).toBe(COPIES);
  expect(new Set(receipts.map(({ command_id }) => command_id)).size).toBe(COPIES);
  const applied = receipts.find(({ outcome }) => outcome === 'applied');
  expect(applied?.vendor?.id).toBe(writes[0]?.objectId);
  const firsts = receipts.flatMap(({ first_receipt_id }) => (first_receipt_id === null ? [] : [first_receipt_id]));
  expect(new Set(firsts)).toEqual(new Set([applied?.receipt_id]));
}
