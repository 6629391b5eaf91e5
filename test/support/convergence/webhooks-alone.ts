/** A run without a poller and without losses: proves that truth and harness agree with what is known to work. */
import { expect } from 'vitest';
import { formatComparison } from '../../../src/simulator/truth/compare.ts';
import { faultsSchema } from '../../../src/simulator/webhooks/faults.ts';
import { waitFor } from '../wait-for.ts';
import { seedPlan } from './plan.ts';
import { type Place, World } from './world.ts';

const EVENTS = 150;
const STEP_EVERY_MS = 40;
const DEADLINE_MS = 30_000;
/** Told by no webhook. */
const POLLED = 'conversation.sla.breached';

export async function webhooksAlone(seeds: readonly string[]) {
  const world = await World.open({ seeds, polls: false });
  for (const { org, startTraffic, seed } of world.places) {
    org.faults = faultsSchema.parse({ ...seedPlan(seed).webhooks, drop: 0 });
    startTraffic(STEP_EVERY_MS);
  }
  const enough = () => world.places.every(({ org }) => org.published >= EVENTS);
  await waitFor(enough, { message: 'traffic', deadlineMs: DEADLINE_MS });
  for (const { stopTraffic } of world.places) stopTraffic();
  const endMs = Date.now();
  await world.simulator.idle();
  await world.site.caughtUp();
  const compare = (place: Place) => {
    const { defects, counts } = world.compare(place, endMs);
    return {
      defects: defects.filter(({ eventType }) => eventType !== POLLED),
      counts: Object.fromEntries(Object.entries(counts).filter(([eventType]) => eventType !== POLLED)),
    };
  };
  const settled = () => world.places.every((place) => compare(place).defects.length === 0);
  await waitFor(settled, { message: 'the truth', deadlineMs: DEADLINE_MS, everyMs: 100 }).catch(() => undefined);
  return world.places.map((place) => {
    const comparison = compare(place);
    if (comparison.defects.length > 0) expect.fail(`seed ${place.seed}:\n${formatComparison(comparison)}`);
    const counts = Object.values(comparison.counts);
    const sum = (name: 'changes' | 'published') => counts.reduce((total, count) => total + count[name], 0);
    return { seed: place.seed, changes: sum('changes'), published: sum('published') };
  });
}
