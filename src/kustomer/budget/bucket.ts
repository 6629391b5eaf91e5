/**
 * One limit of "N calls in 60 s" as we keep it: a sliding window over what we sent, so that no knowledge of where the
 * server's windows begin, nor of its clock, is needed.
 *
 * B1 A call occupies a slot from its grant until 60 s after it is known to have ended. The server counted it at some
 *    moment between, so whatever 60 s window that moment fell into, the slot is free only after that window: in no
 *    window of the server can more than `limit` of our calls be counted, however slow they were.
 * B2 Whatever is refused to a lane is refused to every lane below it: less room, and less of a burst.
 * B3 Lower lanes are paced a little faster than the limit allows in the long run. A burst would fill the window and then
 *    leave a hole of up to 60 s in which an urgent call finds nothing; paced, a slot comes free every 60 s / limit.
 * B4 The state is bounded: slots that come free within one tick are one entry, whatever the limit.
 */
import { LANES, type Lane } from './lanes.ts';

export interface Bucket {
  /** Calls of ours in any 60 s. */
  readonly limit: number;
  /** Granted and not yet ended. */
  readonly open: number;
  /** Ended but still counted; ascending in time. */
  readonly held: readonly Held[];
  readonly heldCount: number;
  /** When everything granted so far would have been granted at an even pace. */
  readonly paceMs: number;
}

interface Held {
  readonly freeAtMs: number;
  readonly count: number;
}

export const WINDOW_MS = 60_000;
/** Two clocks do not run equally fast; 100 ms in a minute is more than any that is worth the name. */
const GUARD_MS = 100;
const TICK_MS = 200;
/** A call given up without an answer may still lie in a queue of the server's. */
const UNANSWERED_MS = 10_000;
/** All slots are open calls: nothing is due, only an end can free one. */
const RECHECK_MS = 1000;
const PACE_FACTOR = 1.01;
const RESERVED_FOR_WRITES = 0.005;
/** How far a lane may run ahead of the even pace, as a part of the limit. Most urgent first (B2). */
const AHEAD: Readonly<Record<Lane, number>> = {
  writes: Number.POSITIVE_INFINITY,
  probes: Number.POSITIVE_INFINITY,
  poll: 0.1,
  backfill: 0.01,
};

export function emptyBucket(limit: number): Bucket {
  return { limit, open: 0, held: [], heldCount: 0, paceMs: 0 };
}

/**
 * Slots the lane leaves to those above it: enough for a few writes in the moment before the next slot comes free. Of a
 * small limit even one would be a large part.
 */
export function reserveOf(limit: number, lane: Lane): number {
  if (lane === LANES[0]) return 0;
  return Math.max(Math.min(2, Math.floor(limit / 50)), Math.floor(limit * RESERVED_FOR_WRITES));
}

export function used(bucket: Bucket): number {
  return bucket.open + bucket.heldCount;
}

/** Forgets what no window can count any more. */
export function elapse(bucket: Bucket, nowMs: number): Bucket {
  let gone = 0;
  let count = 0;
  for (const held of bucket.held) {
    if (held.freeAtMs > nowMs) break;
    gone += 1;
    count += held.count;
  }
  return gone === 0 ? bucket : { ...bucket, held: bucket.held.slice(gone), heldCount: bucket.heldCount - count };
}

export interface Asking {
  readonly lane: Lane;
  /** Slots the lane leaves to those above it. */
  readonly kept: number;
  readonly nowMs: number;
}

/** Null when the lane may have a slot now; else when it is worth asking again. The bucket must have been `elapse`d. */
export function waitFor(bucket: Bucket, { lane, kept, nowMs }: Asking): number | null {
  const room = bucket.limit - kept - used(bucket);
  if (room < 1) return freedAt(bucket, 1 - room) ?? nowMs + RECHECK_MS;
  const aheadMs = Math.max(1, Math.floor(AHEAD[lane] * bucket.limit)) * interval(bucket.limit);
  const pacedMs = bucket.paceMs - aheadMs;
  return pacedMs >= nowMs ? Math.floor(pacedMs) + 1 : null;
}

export function take(bucket: Bucket, nowMs: number): Bucket {
  return { ...bucket, open: bucket.open + 1, paceMs: Math.max(bucket.paceMs, nowMs) + interval(bucket.limit) };
}

/** How a call ended: `answered`, `unanswered` (it may have been counted, or may be later) or `not_sent`. */
export type Ending = 'answered' | 'unanswered' | 'not_sent';

export interface Ended {
  readonly ending: Ending;
  readonly atMs: number;
}

/** Calls that ended: all in one go, since a whole lease comes back at once. */
export function end(bucket: Bucket, ends: readonly Ended[]): Bucket {
  const held = [...bucket.held];
  let { paceMs, heldCount } = bucket;
  for (const { ending, atMs } of ends) {
    if (ending === 'not_sent') {
      // The pace too: else a storm of refused connections would keep the lower lanes waiting long after it.
      paceMs -= interval(bucket.limit);
      continue;
    }
    const exactMs = atMs + WINDOW_MS + GUARD_MS + (ending === 'unanswered' ? UNANSWERED_MS : 0);
    addSlot(held, Math.ceil(exactMs / TICK_MS) * TICK_MS);
    heldCount += 1;
  }
  return { ...bucket, open: bucket.open - ends.length, held, heldCount, paceMs };
}

export function withLimit(bucket: Bucket, limit: number): Bucket {
  return limit === bucket.limit ? bucket : { ...bucket, limit };
}

function interval(limit: number): number {
  return WINDOW_MS / limit / PACE_FACTOR;
}

function freedAt(bucket: Bucket, wanted: number): number | null {
  let freed = 0;
  for (const held of bucket.held) {
    freed += held.count;
    if (freed >= wanted) return held.freeAtMs;
  }
  return null;
}

/** Nearly always at the end; calls without an answer are released a little out of order. */
function addSlot(held: Held[], freeAtMs: number): void {
  let at = held.length;
  while (at > 0 && (held[at - 1] as Held).freeAtMs > freeAtMs) at -= 1;
  const before = held[at - 1];
  if (before?.freeAtMs === freeAtMs) held[at - 1] = { freeAtMs, count: before.count + 1 };
  else held.splice(at, 0, { freeAtMs, count: 1 });
}
