/** What Kustomer showed, for tests of actions. */
import type { PlanContext, ReadBackContext, Sight, Sights } from '../../../../src/sinks/actions/action.ts';
import { NOW_MS } from '../../fibric/commands/samples.ts';

export const MACHINE = '5f00000000000000000000f0';
export const EXTERNAL_ID = 'fibric-0123456789abcdef0123456789abcdef';

export const iso = (ms: number): string => new Date(ms).toISOString();

export function one(type: string, id: string, attributes: object, relationships: object = {}): Sight {
  return { kind: 'one', resource: { type, id, attributes, relationships } };
}

export const seen = (sights: Readonly<Record<string, Sight>>): Sights => new Map(Object.entries(sights));

export function planning(sights: Readonly<Record<string, Sight>> = {}): PlanContext {
  return { externalId: EXTERNAL_ID, nowMs: NOW_MS, seen: seen(sights) };
}

export function readingBack(
  sights: Readonly<Record<string, Sight>> = {},
  more: Partial<ReadBackContext> = {},
): ReadBackContext {
  return {
    externalId: EXTERNAL_ID,
    machineUserId: MACHINE,
    sinceMs: NOW_MS,
    basis: null,
    claimed: new Set(),
    seen: seen(sights),
    ...more,
  };
}
