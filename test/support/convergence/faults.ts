/** The phase of faults: everything that can go wrong between Kustomer and its poller does, until the minute is over. */
import { setTimeout as at } from 'node:timers/promises';
import { limitsSchema } from '../../../src/simulator/limits/limits.ts';
import { requestFaultsSchema } from '../../../src/simulator/requests/faults.ts';
import { faultsSchema } from '../../../src/simulator/webhooks/faults.ts';
import { waitFor } from '../wait-for.ts';
import { killTimes, type SeedPlan, type Storm, seedPlan } from './plan.ts';
import type { Place, World } from './world.ts';

const MINUTE_MS = 60_000;
/** Time for two kills, each with the seconds until somebody else owns the work, and for what comes before and after. */
const SHORTEST_MS = 40_000;
const GREEDY_PER_MINUTE = 10_000_000;
const SWITCHED_OFF_DEADLINE_MS = 10_000;

/**
 * Resolves with the moment in which the last fault ended. That is the end of a minute: a 429 of an empty budget tells
 * everybody to wait for it, so nobody can be blamed for what was not polled before.
 */
export async function sufferFaults(world: World): Promise<number> {
  const startMs = Date.now();
  const endMs = Math.ceil((startMs + SHORTEST_MS) / MINUTE_MS) * MINUTE_MS;
  const when = (part: number) => at(Math.max(0, startMs + part * (endMs - startMs) - Date.now()));
  const seeds = world.places.map(({ seed }) => seed);
  await Promise.all([
    ...world.places.map((place) => suffer(world, place, seedPlan(place.seed), when)),
    killAndKill(world, killTimes(seeds), when),
  ]);
  await when(1);
  for (const place of world.places) heal(place);
  return Date.now();
}

async function suffer(
  world: World,
  place: Place,
  plan: SeedPlan,
  when: (part: number) => Promise<unknown>,
): Promise<void> {
  const { org, connectionId } = place;
  org.faults = faultsSchema.parse(plan.webhooks);
  org.requestFaults.configure(requestFaultsSchema.parse(plan.requests));
  place.startTraffic(plan.stepEveryMs);
  await Promise.all([
    when(plan.unreachableAt).then(() => untilSwitchedOff(world, place, connectionId)),
    ...plan.storms.map((storm) => when(storm.at).then(() => rage(place, plan, storm))),
    when(plan.greedyAt).then(() => {
      org.limits.configure({ ...org.limits.settings, greedyPerMinute: GREEDY_PER_MINUTE });
    }),
  ]);
}

/** The webhook is switched off for its failures; that the receiver can be reached again does not bring it back. */
async function untilSwitchedOff({ gate }: World, place: Place, connectionId: string): Promise<void> {
  const { org, seed } = place;
  gate.close(connectionId);
  const isOff = () => org.webhooks.list().some(({ queue }) => queue.isError);
  await waitFor(isOff, {
    message: `the webhook of seed ${seed} to be switched off`,
    deadlineMs: SWITCHED_OFF_DEADLINE_MS,
  });
  gate.open(connectionId);
}

async function rage({ org }: Place, plan: SeedPlan, { refusals, retryAfterS }: Storm): Promise<void> {
  const storm = { kind: 'status', status: 429, retryAfterS, count: refusals } as const;
  org.requestFaults.configure(requestFaultsSchema.parse([storm, ...plan.requests]));
}

async function killAndKill(
  world: World,
  times: readonly number[],
  when: (part: number) => Promise<unknown>,
): Promise<void> {
  for (const time of times) {
    await when(time);
    await world.killPoller();
    await world.startPoller();
  }
}

function heal(place: Place): void {
  const { org } = place;
  place.stopTraffic();
  org.faults = faultsSchema.parse({});
  org.requestFaults.configure([]);
  org.limits.configure(limitsSchema.parse({ ...org.limits.settings, greedyPerMinute: 0 }));
}
