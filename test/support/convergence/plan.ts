/** What goes wrong, and when: a pure function of the seed. Times are parts of the phase of faults, 0 to 1. */
import { createRandom } from '../../../src/simulator/model/random.ts';
import type { RequestFaultOptions } from '../../../src/simulator/requests/faults.ts';
import type { FaultOptions } from '../../../src/simulator/webhooks/faults.ts';

export interface SeedPlan {
  readonly webhooks: FaultOptions;
  /** Requests that go wrong now and then, all through the phase. */
  readonly requests: readonly RequestFaultOptions[];
  /** From then on the receiver cannot be reached, until the webhook has been switched off for it. */
  readonly unreachableAt: number;
  /** Scripted 429s with a short `Retry-After`. Only few in a row: who is refused again and again waits longer by himself. */
  readonly storms: readonly Storm[];
  /** From then on somebody else takes the whole budget of the minute, to the end of the phase. */
  readonly greedyAt: number;
  /**
   * Rows on a page, however many are asked for. Not fewer: four streams every five seconds are half of the hundred searches
   * that Kustomer allows a minute, and whoever needs several pages each time is late for want of searches.
   */
  readonly maxPageSize: number;
  /** Milliseconds between two steps of traffic, on average. */
  readonly stepEveryMs: number;
}

export interface Storm {
  readonly at: number;
  readonly refusals: number;
  readonly retryAfterS: number;
}

const DROP = 0.3;
const DUPLICATE = 0.3;
const REORDER_WINDOW_MS = 2000;

export function seedPlan(seed: string): SeedPlan {
  const random = createRandom(`convergence:${seed}`);
  const between = (low: number, high: number) => low + random.next() * (high - low);
  return {
    webhooks: { drop: DROP, duplicate: DUPLICATE, reorder: { fraction: 1, windowMs: REORDER_WINDOW_MS } },
    // Not PATCH: after a webhook could not be switched on again, the next attempt is a minute away.
    requests: (['POST', 'GET'] as const).flatMap((method) => [
      { method, kind: 'status', status: 503, probability: between(0.02, 0.08) } as const,
      { method, kind: 'truncate', probability: between(0.01, 0.05) } as const,
      { method, kind: 'cut', probability: between(0.01, 0.05) } as const,
      { method, kind: 'reset', probability: between(0.01, 0.05) } as const,
    ]),
    unreachableAt: between(0.05, 0.4),
    storms: [
      { at: between(0.1, 0.35), refusals: 1 + random.int(2), retryAfterS: 1 + random.int(2) },
      { at: between(0.35, 0.6), refusals: 1 + random.int(2), retryAfterS: 1 + random.int(3) },
    ],
    greedyAt: between(0.7, 0.9),
    maxPageSize: random.pick([60, 500]),
    stepEveryMs: between(200, 400),
  };
}

/** When the poller is killed; it takes several seconds until another owns its work. */
export function killTimes(seeds: readonly string[]): readonly number[] {
  const random = createRandom(`kills:${seeds.join(',')}`);
  return [0.08 + random.next() * 0.22, 0.38 + random.next() * 0.27];
}
