/** What a stream does about a page it did not get: how it stands, and when it asks again. Pure. */
import type { Failure } from '../../kustomer/client/outcome.ts';

export type StreamState =
  /** Nothing has been read yet. */
  | 'starting'
  /** In the middle of a window that takes more than a page. */
  | 'reading'
  /** The last window was read to its end. */
  | 'current'
  /** For the rate budget, or the end of a 429. */
  | 'waiting'
  /** Kustomer did not answer, or not usably. */
  | 'retrying'
  /** The search is not sorted: see poll_out_of_order. */
  | 'disordered'
  /** The key is bad, or lacks the role the reason names. */
  | 'forbidden'
  /** The wrong host or pod. */
  | 'misconfigured'
  /** Kustomer does not take the search. */
  | 'refused'
  /** The cursor cannot be read. */
  | 'unreadable'
  /** The connection has no API key. */
  | 'no_key';

export interface Reaction {
  readonly state: Extract<StreamState, 'waiting' | 'retrying' | 'forbidden' | 'misconfigured' | 'refused'>;
  readonly waitMs: number;
}

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 30_000;
const WAIT_MIN_MS = 250;
const WAIT_MAX_MS = 60_000;
/** What only a person mends is not asked for again and again; a change of the connection is noticed at once. */
const HOPELESS_WAIT_MS = 300_000;

export interface ReactionInput {
  readonly failure: Pick<Failure, 'kind' | 'code' | 'retryAtMs'>;
  /** This one included. */
  readonly failuresInARow: number;
  /** No backoff is longer: when the fault is over, the next poll is no later than it would have been. */
  readonly intervalMs: number;
  /** In [0, 1). */
  readonly random: number;
  readonly nowMs: number;
}

export function reactTo({ failure, failuresInARow, intervalMs, random, nowMs }: ReactionInput): Reaction {
  const { kind, code, retryAtMs } = failure;
  const hopelessMs = HOPELESS_WAIT_MS * (0.9 + 0.2 * random);
  if (kind === 'permission') return { state: 'forbidden', waitMs: hopelessMs };
  if (kind === 'config') return { state: 'misconfigured', waitMs: hopelessMs };
  if (kind === 'refuse' || kind === 'conflict') return { state: 'refused', waitMs: hopelessMs };
  const maxMs = Math.max(BACKOFF_MIN_MS, Math.min(BACKOFF_MAX_MS, intervalMs));
  const backoffMs = Math.min(maxMs, BACKOFF_MIN_MS * 2 ** Math.min(failuresInARow - 1, 16)) * (0.5 + 0.5 * random);
  if (kind !== 'wait' && code !== 'budget_exhausted') return { state: 'retrying', waitMs: backoffMs };
  const toldMs = retryAtMs === null ? backoffMs : retryAtMs - nowMs + WAIT_MIN_MS * random;
  return { state: 'waiting', waitMs: Math.min(WAIT_MAX_MS, Math.max(WAIT_MIN_MS, toldMs)) };
}
