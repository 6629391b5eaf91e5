/**
 * Which deadlines of a conversation's SLA have passed.
 *
 * The vendor's trap: `breach.at`, `summary.firstBreachAt` and every `metrics.*.breachAt` are deadlines, set long before
 * anything is breached. Real is what Kustomer says is breached, and what has run out before our eyes: unsatisfied, its
 * clock running. A clock that is paused moves its deadlines, one that is done has none.
 */
import type { KustomerEvent, Polled } from '../../kustomer/event.ts';
import type { Candidate } from '../change.ts';
import { slaIdentity } from '../identity.ts';
import { objectOf, textOf, timeOf } from '../read.ts';
import { millisOf } from './time.ts';

type Sla = Readonly<Record<string, unknown>>;

/**
 * A search shows copies of some seconds ago, and clocks differ: before an open deadline counts as missed, the answer that
 * may have come in time must have had time to show. What Kustomer itself calls breached does not wait.
 */
export const SLA_SETTLE_MS = 60_000;

/** Further ahead of us than any clock may be, `breach.at` is a forecast, whatever `breached` says. */
const MAX_AHEAD_MS = 600_000;

/** All breaches that a polled conversation shows, one per metric and deadline. */
export function breachesShown(event: KustomerEvent, { observedAtMs }: Polled): readonly Candidate[] {
  const sla = objectOf(event.attributes['sla']);
  const told = toldBreach(sla, observedAtMs);
  const breaches = told === null ? [] : [breachOf(event, told.metric, told.at)];
  if (sla['status'] !== 'pending') return breaches;
  const metrics = objectOf(sla['metrics']);
  for (const name of Object.keys(metrics)) {
    const metric = textOf(name);
    const { breachAt, satisfiedAt } = objectOf(metrics[name]);
    const at = timeOf(breachAt);
    if (metric === null || at === null || timeOf(satisfiedAt) !== null) continue;
    // Of this one Kustomer says itself when it was breached; a pause since then may have moved the deadline.
    if (told?.metric === metric) continue;
    if (Date.parse(at) + SLA_SETTLE_MS <= observedAtMs) breaches.push(breachOf(event, metric, at));
  }
  return breaches;
}

/** What a webhook says of it: a bonus, since Kustomer promises none when a deadline passes. */
export function breachOfChange(event: KustomerEvent): Candidate | null {
  const change = event.changedAttributes['sla'];
  if (change === undefined) return null;
  const aheadOfMs = Date.parse(event.createdAt ?? '');
  const after = toldBreach(objectOf(change.after), aheadOfMs);
  if (after === null) return null;
  const before = toldBreach(objectOf(change.before), aheadOfMs);
  const isNew = before === null || before.metric !== after.metric || before.at !== after.at;
  return isNew ? breachOf(event, after.metric, after.at) : null;
}

/** What Kustomer calls breached. Of several breaches it names the latest. */
function toldBreach(sla: Sla, observedAtMs: number): { readonly metric: string; readonly at: string } | null {
  if (sla['breached'] !== true) return null;
  const breach = objectOf(sla['breach']);
  const metric = textOf(breach['metric']);
  const at = timeOf(breach['at']);
  return metric === null || at === null || Date.parse(at) > observedAtMs + MAX_AHEAD_MS ? null : { metric, at };
}

function breachOf({ id }: KustomerEvent, metric: string, at: string): Candidate {
  return {
    eventType: 'conversation.sla.breached',
    identity: slaIdentity(id, metric, at),
    basis: 'once',
    occurredAt: at,
    breach: { metric, at, atMs: millisOf(at) },
  };
}
