/** One run: faults, their end, and how long it takes until what was published equals the truth. */
import { expect } from 'vitest';
import { formatComparison } from '../../../src/simulator/truth/compare.ts';
import { waitFor } from '../wait-for.ts';
import { sufferFaults } from './faults.ts';
import { type Place, POLL_INTERVAL_MS, World } from './world.ts';

/** After the last fault: one poll interval, and this. */
const GRACE_MS = 5000;
const STREAMS = 4;
const LAST_STEPS = 10;
const LOG_LINES = 20;
const LOOK_EVERY_MS = 100;

export interface Converged {
  readonly seed: string;
  readonly changes: number;
  readonly published: number;
  readonly collapsed: number;
  readonly tookMs: number;
  /** Published of what a poll was the first to see. */
  readonly byPoll: number;
  /** Requests answered 429, and those that went wrong otherwise. */
  readonly refused: number;
  readonly spoiled: number;
  /** How long the webhook was off. That it is on again, nobody but the service can have done; NaN = it is not. */
  readonly webhookOffMs: number;
}

/** Fails with what differs, seed by seed. */
export async function converge(seeds: readonly string[]): Promise<readonly Converged[]> {
  const world = await World.open({ seeds, polls: true });
  const endMs = await sufferFaults(world);
  const waiting = new Set(world.places);
  const took = new Map<Place, number>();
  const look = () => {
    for (const place of waiting) {
      if (world.compare(place, endMs).defects.length > 0) continue;
      waiting.delete(place);
      took.set(place, Date.now() - endMs);
    }
    return waiting.size === 0;
  };
  const deadlineMs = endMs + POLL_INTERVAL_MS + GRACE_MS - Date.now();
  await waitFor(look, { message: 'convergence', deadlineMs, everyMs: LOOK_EVERY_MS }).catch(() => undefined);
  if (waiting.size > 0) expect.fail(await reportOf(world, [...waiting], endMs));

  // What is there twice may come late: everything pending is delivered, and every stream polled once more.
  await world.simulator.idle();
  const before = world.places.map(({ sightings }) => sightings.searches);
  const polledAgain = () =>
    world.places.every(({ sightings }, index) => sightings.searches >= (before[index] ?? 0) + 2 * STREAMS);
  await waitFor(polledAgain, {
    message: 'two more polls of every stream',
    deadlineMs: 4 * POLL_INTERVAL_MS,
    everyMs: LOOK_EVERY_MS,
  });
  // And all of it still works: what happens now is published too, behind everything that came before.
  for (const { org } of world.places) for (let step = 0; step < LAST_STEPS; step += 1) org.act(Date.now());
  const lastMs = Date.now();
  const isSettled = () => world.places.every((place) => world.compare(place, lastMs).defects.length === 0);
  const settling = { message: 'the last changes', deadlineMs: 4 * POLL_INTERVAL_MS, everyMs: LOOK_EVERY_MS };
  await waitFor(isSettled, settling).catch(() => undefined);
  const spoiled = world.places.filter((place) => world.compare(place, lastMs).defects.length > 0);
  if (spoiled.length > 0) expect.fail(`after convergence:\n${await reportOf(world, spoiled, lastMs)}`);
  return world.places.map((place) => resultOf(world, place, endMs, took.get(place) ?? Number.NaN));
}

async function reportOf(world: World, places: readonly Place[], endMs: number): Promise<string> {
  const failure = world.tail.failure();
  const reports = places.map((place) => {
    const said = world.pollerLog(place.connectionId).slice(-LOG_LINES);
    return [`seed ${place.seed}:`, formatComparison(world.compare(place, endMs)), 'the pollers said:', ...said].join(
      '\n',
    );
  });
  const health = await world.pollerHealth().catch(String);
  return [
    ...reports,
    `the poller's health: ${health}`,
    ...(failure === null ? [] : [`the reader failed: ${failure}`]),
  ].join('\n\n');
}

function resultOf(world: World, place: Place, endMs: number, tookMs: number): Converged {
  const { counts } = world.compare(place, endMs);
  const sum = (name: 'changes' | 'published' | 'collapsed') =>
    Object.values(counts).reduce((total, count) => total + count[name], 0);
  const { seed, switches, sightings, topic } = place;
  return {
    seed,
    changes: sum('changes'),
    published: sum('published'),
    collapsed: sum('collapsed'),
    tookMs,
    byPoll: world.tail.of(topic).filter(({ payload }) => payload['observed_via'] === 'poll').length,
    refused: sightings.refused,
    spoiled: sightings.spoiled,
    webhookOffMs: offMs(switches),
  };
}

function offMs(switches: Place['switches']): number {
  if (switches.length === 0 || switches.at(-1)?.enabled === false) return Number.NaN;
  return switches.reduce((sum, { atMs, enabled }) => sum + (enabled ? atMs : -atMs), 0);
}
