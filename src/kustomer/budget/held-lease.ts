/**
 * One lease as its borrower holds it. Its grants have the numbers from `leaseId` on, so that those not used yet are a span; what
 * ended is a list with the latest first, which the next one shares. A call costs the same however large the lease is.
 */
import type { Ending } from './bucket.ts';
import type { CallKind, Lane } from './lanes.ts';
import type { LeaseReturn } from './lease-forms.ts';

export interface HeldLease {
  readonly leaseId: number;
  readonly lane: Lane;
  readonly kind: CallKind;
  readonly startUntilMs: number;
  /** Not used yet: from `next` to before `end`, and `unsent`, whose calls provably never left. */
  readonly next: number;
  readonly end: number;
  readonly unsent: readonly number[];
  readonly open: readonly number[];
  readonly ended: EndedCall | null;
  readonly lapsing: readonly number[];
}

interface EndedCall {
  readonly grantId: number;
  readonly atMs: number;
  readonly before: EndedCall | null;
}

export function newLease(
  lease: Pick<HeldLease, 'leaseId' | 'lane' | 'kind' | 'startUntilMs'>,
  count: number,
): HeldLease {
  const { leaseId } = lease;
  return { ...lease, next: leaseId, end: leaseId + count, unsent: [], open: [], ended: null, lapsing: [] };
}

export function freeGrants({ next, end, unsent }: HeldLease): number {
  return end - next + unsent.length;
}

/** There must be a free one. */
export function useGrant(lease: HeldLease): { readonly lease: HeldLease; readonly grantId: number } {
  const { next, end, unsent, open } = lease;
  if (next < end) return { grantId: next, lease: { ...lease, next: next + 1, open: [...open, next] } };
  const [grantId, ...others] = unsent;
  if (grantId === undefined) throw new TypeError('The lease has no grant left');
  return { grantId, lease: { ...lease, unsent: others, open: [...open, grantId] } };
}

/** Whether it is the grant of a call under way. */
export function isOpen({ leaseId, end, open }: HeldLease, grantId: number): boolean {
  return leaseId <= grantId && grantId < end && open.includes(grantId);
}

/** What provably never left can be used again. */
export function endGrant(lease: HeldLease, grantId: number, ending: Ending, nowMs: number): HeldLease {
  const { unsent, ended, lapsing } = lease;
  const open = lease.open.filter((other) => other !== grantId);
  if (ending === 'not_sent') return { ...lease, open, unsent: [...unsent, grantId] };
  if (ending === 'unanswered') return { ...lease, open, lapsing: [...lapsing, grantId] };
  return { ...lease, open, ended: { grantId, atMs: nowMs, before: ended } };
}

/** It can start nothing more, and its calls have all ended (H2 of lease-holder.ts). */
export function isOver(lease: HeldLease, nowMs: number): boolean {
  return lease.open.length === 0 && (freeGrants(lease) === 0 || nowMs >= lease.startUntilMs);
}

/** Of one that is over; -Infinity where no answer tells it. */
export function overSinceMs(lease: HeldLease): number {
  if (freeGrants(lease) > 0) return lease.startUntilMs;
  return lease.ended?.atMs ?? Number.NEGATIVE_INFINITY;
}

export function returnOf({ leaseId, ended, lapsing }: HeldLease, nowMs: number): LeaseReturn {
  const spans: [number, number][] = [];
  for (let call = ended; call !== null; call = call.before) spans.push([call.grantId, Math.max(0, nowMs - call.atMs)]);
  return { leaseId, ended: spans.reverse(), lapsing: [...lapsing] };
}
