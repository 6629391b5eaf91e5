/**
 * O1–O5, N1, L1 and W1–W2 at once: every owner adds one to the counters of its partitions, over and over, and tells each
 * number to another topic in the same transaction. A commit lost, doubled or made on wrong state shows as a gap or a
 * repeat, whatever is killed, frozen, lost on the way, and however often the owners change.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { OwnedPartition } from '../../../src/kafka/owner-worker.ts';
import { append, changes, type Joined, OwnerHouse, stateOf, untilAborted } from '../../support/owner-house.ts';

const KEYS = Array.from({ length: 7 }, (_, i) => `key-${i}`);
const FAULTS = [
  'join',
  'leave',
  'kill',
  'freeze',
  'thaw',
  'usurp',
  'compact',
  'unknown',
  'lost',
  'unavailable',
  'outage',
] as const;

const step = fc.oneof(
  fc.record({ kind: fc.constantFrom(...FAULTS), ms: fc.constantFrom(0, 1, 2, 3, 5, 8) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(3, 40, 700, 12_000) }),
);

/** Adds one to every counter of the partition, `paceMs` apart. A careless one does not look at what its commits reject with. */
function counting(house: OwnerHouse, { isCareless, paceMs }: { isCareless: boolean; paceMs: number }) {
  const increment = (owned: OwnedPartition, key: string): Promise<void> => {
    const next = Number(owned.get(key) ?? 0) + 1;
    return owned.commit([append(`${key}#${next}`)], changes({ [key]: `${next}` }));
  };
  return async (owned: OwnedPartition): Promise<void> => {
    const mine = KEYS.filter((key) => owned.partitionOf(key) === owned.partition);
    while (!owned.signal.aborted) {
      const increments = mine.map((key) => increment(owned, key)); // these queue
      if (isCareless) await Promise.allSettled(increments);
      else await Promise.all(increments);
      await house.clock.sleep(paceMs, owned.signal);
    }
    await untilAborted(owned.signal);
  };
}

async function play(steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[], isCareless: boolean) {
  const house = await OwnerHouse.build();
  const running: Joined[] = [];
  const frozen: Joined[] = [];
  let joins = 0;
  const join = async () => {
    running.push(await house.join(`w${joins++}`, counting(house, { isCareless, paceMs: 400 })));
  };
  await join();
  for (const { kind, ms } of steps) {
    if (kind === 'join' && running.length < 3) await join();
    else if (kind === 'leave' && running.length > 1) await house.clock.run((running.shift() as Joined).worker.close());
    else if (kind === 'kill') running.shift()?.log.kill();
    else if (kind === 'compact') house.log.compact('cursors');
    else if (kind === 'unknown') house.log.faults.commitUnknown('committed');
    else if (kind === 'lost') house.log.faults.commitUnknown('lost');
    else if (kind === 'unavailable') house.log.faults.unavailable('commit', 2);
    else if (kind === 'usurp') {
      // Asleep for longer than its session, while another takes over: a zombie when it wakes up.
      const victim = running.shift();
      victim?.log.freeze();
      await join();
      await house.clock.advance(12_000);
      victim?.log.thaw();
      if (victim !== undefined) running.push(victim);
    } else if (kind === 'outage') {
      house.log.faults.down();
      await house.clock.advance(4000);
      house.log.faults.up();
    } else if (kind === 'freeze') {
      const victim = running.shift();
      victim?.log.freeze();
      if (victim !== undefined) frozen.push(victim);
    } else if (kind === 'thaw') {
      const back = frozen.shift();
      back?.log.thaw();
      if (back !== undefined) running.push(back);
    }
    await house.clock.advance(ms);
  }
  await join();
  await house.clock.advance(60_000);
  for (const { worker } of running) await house.clock.run(worker.close());
  return house;
}

test.each([
  ['one that looks at its rejections', false],
  ['one that does not', true],
])(
  'no increment is lost or doubled by %s',
  async (_who, isCareless) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 18 }), async (steps) => {
        const house = await play(steps, isCareless);
        const told = (await house.read('out')).map((record) => record.slice(1).split('#') as [string, string]);
        const counts = new Map(KEYS.map((key) => [key, 0]));
        for (const [key, number] of told) {
          expect(Number(number)).toBe((counts.get(key) as number) + 1);
          counts.set(key, Number(number));
        }
        for (const count of counts.values()) expect(count).toBeGreaterThan(30); // it went on in the end
        const last = await house.join('last');
        await house.clock.advance(30_000);
        await house.ready(last);
        const state = [0, 1, 2, 3].flatMap((partition) => stateOf(last.owned(partition))).sort();
        expect(state).toEqual([...counts].map(([key, count]) => `${key}=${count}`).sort());
        expect(house.crashes).toEqual([]);
      }),
      { numRuns: 25 },
    );
  },
  60_000,
);
