/**
 * Which deadlines of a conversation passed while somebody was waiting. Told from the copies alone: between two copies only
 * time passes, so a deadline is breached when it falls between them, its clock is running and its target not met.
 */
import type { Attributes, Resource } from '../model/resource.ts';
import { about, type TrueChange } from './change.ts';

interface Clock {
  readonly status: string;
  readonly breached: boolean;
  readonly breach: { readonly metric?: string; readonly at?: string };
  readonly metrics: Readonly<Record<string, { readonly breachAt?: string; readonly satisfiedAt?: string }>>;
}

const clockOf = ({ attributes }: Resource): Clock | undefined => attributes['sla'] as Clock | undefined;

export function slaBreaches(copies: readonly Resource[]): readonly TrueChange[] {
  const found = new Map<string, TrueChange>();
  copies.forEach((copy, index) => {
    const next = copies[index + 1];
    const clock = clockOf(copy);
    if (clock?.status !== 'pending') return;
    for (const [metric, { breachAt, satisfiedAt }] of Object.entries(clock.metrics)) {
      if (breachAt === undefined || satisfiedAt !== undefined) continue;
      const atMs = Date.parse(breachAt);
      // The copy after a deadline is the vendor noting it, or whatever else came; one that is still ahead of the last copy
      // has not passed for anybody who asks.
      if (next === undefined || atMs > next.updatedAtMs) continue;
      const payload: Attributes = { resource_id: copy.id, metric, breach_at: breachAt };
      const change = about(copy, 'conversation.sla.breached', payload);
      if (found.has(change.identity)) continue;
      const shown = copies.filter((one) => shows(one, metric, breachAt));
      const last = shown.at(-1);
      const untilRev = copies.find(({ rev }) => last !== undefined && rev > last.rev)?.rev ?? null;
      // No webhook tells of the time that passed.
      found.set(change.identity, { ...change, atMs, rev: shown[0]?.rev ?? null, untilRev, told: false });
    }
  });
  return [...found.values()];
}

/** `breach.at` alone is a forecast. */
function shows(copy: Resource, metric: string, breachAt: string): boolean {
  const clock = clockOf(copy);
  return clock?.breached === true && clock.breach.metric === metric && clock.breach.at === breachAt;
}
