/**
 * What to do about a batch of customers that wait for their orders. Pure.
 *
 * E1 Who asks for the same customer in one batch shares one reading: it begins after all of them asked, so it is news to all.
 * E2 Nobody waits longer than `maxWaitMs` for Kustomer, counted from when the body was sent here; then it goes on without.
 * E3 A connection whose readings do not get done in time (no budget, no answer) is congested: for a while each batch
 *    spends no more than `graceMs` on it, and nothing at all on what has waited too long. What others ask is not held up.
 * E4 A connection that may not read its orders is not asked again for `refusedMs`.
 * E5 Backfill is congested by itself: history has no claim on what the present needs.
 */
import type { Lane } from '../../kustomer/budget/lanes.ts';
import type { OrdersState } from './body.ts';

export interface EnrichSettings {
  readonly maxWaitMs: number;
  readonly graceMs: number;
  readonly congestedMs: number;
  readonly refusedMs: number;
  /** Readings under way at once, per shard. */
  readonly concurrency: number;
  readonly retryMinMs: number;
}

export const ENRICH_SETTINGS: EnrichSettings = {
  maxWaitMs: 30_000,
  graceMs: 1000,
  congestedMs: 30_000,
  refusedMs: 600_000,
  concurrency: 8,
  retryMinMs: 500,
};

export interface Wish {
  readonly tenantId: string;
  readonly connectionId: string;
  readonly customerId: string;
  readonly lane: Extract<Lane, 'poll' | 'backfill'>;
  readonly askedAtMs: number;
}

/** What is remembered of connections, see memory.ts. */
export interface Remembered {
  refusal(connectionId: string, nowMs: number): { readonly state: OrdersState } | null;
  isCongested(connectionId: string, lane: Lane, nowMs: number): boolean;
}

export type Errand = Omit<Wish, 'askedAtMs'> & {
  /** Places of the wishes in the batch. */
  readonly wishes: readonly number[];
} & (
    | { readonly kind: 'answered'; readonly state: OrdersState }
    /** Whatever has not been read by then is not read. */
    | { readonly kind: 'read'; readonly deadlineMs: number }
  );

export function planErrands(
  wishes: readonly Wish[],
  remembered: Remembered,
  settings: EnrichSettings,
  nowMs: number,
): readonly Errand[] {
  const shared = new Map<string, { readonly first: Wish; readonly lane: Wish['lane']; readonly wishes: number[] }>();
  for (const [index, wish] of wishes.entries()) {
    const key = JSON.stringify([wish.tenantId, wish.connectionId, wish.customerId]);
    const known = shared.get(key);
    if (known === undefined) shared.set(key, { first: wish, lane: wish.lane, wishes: [index] });
    else {
      known.wishes.push(index);
      // One of them is of the present.
      if (wish.lane === 'poll') shared.set(key, { ...known, lane: 'poll' });
    }
  }
  return [...shared.values()].map(({ first, lane, wishes: places }) => {
    const { tenantId, connectionId, customerId } = first;
    const errand = { tenantId, connectionId, customerId, lane, wishes: places };
    const refusal = remembered.refusal(connectionId, nowMs);
    if (refusal !== null) return { ...errand, kind: 'answered', state: refusal.state };
    const latestMs = first.askedAtMs + settings.maxWaitMs;
    const isCongested = remembered.isCongested(connectionId, lane, nowMs);
    if (isCongested && latestMs <= nowMs) return { ...errand, kind: 'answered', state: 'skipped' };
    const graceEndMs = nowMs + settings.graceMs;
    return { ...errand, kind: 'read', deadlineMs: isCongested ? graceEndMs : Math.max(latestMs, graceEndMs) };
  });
}
