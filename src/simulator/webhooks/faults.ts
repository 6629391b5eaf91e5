/**
 * What goes wrong on the way from an event to its deliveries. Pure and seeded: the same events give the same faults.
 *
 * Invariants (test/unit/simulator/faults.test.ts cites them):
 * X1 Without faults every event is delivered once, at once.
 * X2 A dropped event has no delivery; any other has one, or two when duplicated, and none is due before `nowMs`.
 * X3 `reorder` and `delay` hold a delivery for at most `windowMs` and `maxMs`; `burst` for at most `everyMs` more.
 */
import { z } from 'zod';
import type { Random } from '../model/random.ts';

const fraction = z.number().min(0).max(1);
const span = z.number().positive().max(3_600_000);

export const faultsSchema = z.strictObject({
  /** Fraction of the events delivered twice. */
  duplicate: fraction.default(0),
  /** Fraction never delivered. */
  drop: fraction.default(0),
  /** A fraction is held for a random part of the window, so later events overtake it. */
  reorder: z.strictObject({ fraction, windowMs: span }).nullable().default(null),
  /** A fraction comes late by up to `maxMs`. */
  delay: z.strictObject({ fraction, maxMs: span }).nullable().default(null),
  /** Everything is collected and let go together, every so often. */
  burst: z.strictObject({ everyMs: span }).nullable().default(null),
});

export type Faults = z.infer<typeof faultsSchema>;
/** As configured: what is left out does not happen. */
export type FaultOptions = z.input<typeof faultsSchema>;

/** When the deliveries of one event are due, in order of time. */
export function deliveryTimes(faults: Faults, nowMs: number, random: Random): readonly number[] {
  // Every draw is made for every event, so that changing one fault leaves the draws of the others as they were.
  const dropped = random.chance(faults.drop);
  const first = dueMs(faults, nowMs, random);
  const duplicated = random.chance(faults.duplicate);
  const second = dueMs(faults, nowMs, random);
  if (dropped) return [];
  return duplicated ? [Math.min(first, second), Math.max(first, second)] : [first];
}

function dueMs(faults: Faults, nowMs: number, random: Random): number {
  const draws = [random.next(), random.next(), random.next(), random.next()] as const;
  const { reorder, delay, burst } = faults;
  const heldMs = reorder !== null && draws[0] < reorder.fraction ? draws[1] * reorder.windowMs : 0;
  const delayedMs = delay !== null && draws[2] < delay.fraction ? draws[3] * delay.maxMs : 0;
  const due = nowMs + heldMs + delayedMs;
  return burst === null ? due : Math.ceil(due / burst.everyMs) * burst.everyMs;
}
