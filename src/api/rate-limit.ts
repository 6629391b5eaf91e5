/**
 * A token bucket for each tenant and class of routes: as many requests in a burst as in a minute, refilled evenly. Pure but
 * for its own memory. Each process counts for itself: the limit guards the process, not a bill.
 */

export interface RateDecision {
  readonly allowed: boolean;
  /** Per minute. */
  readonly limit: number;
  readonly remaining: number;
  /** Until the bucket is full again. */
  readonly resetMs: number;
  /** Until one more is allowed; 0 when one is. */
  readonly retryAfterMs: number;
}

interface Bucket {
  level: number;
  atMs: number;
}

/** Buckets that are full say nothing and go first; there are never more than this. */
const MAX_BUCKETS = 10_000;

export class RateLimiter {
  readonly #perMinute: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  take(key: string, nowMs: number): RateDecision {
    const limit = this.#perMinute;
    const perMs = limit / 60_000;
    const bucket = this.#buckets.get(key) ?? this.#add(key, nowMs);
    const sinceMs = Math.max(0, nowMs - bucket.atMs);
    bucket.level = Math.min(limit, bucket.level + sinceMs * perMs);
    bucket.atMs = Math.max(bucket.atMs, nowMs);
    const allowed = bucket.level >= 1;
    if (allowed) bucket.level -= 1;
    return {
      allowed,
      limit,
      remaining: Math.floor(bucket.level),
      resetMs: Math.ceil((limit - bucket.level) / perMs),
      retryAfterMs: bucket.level >= 1 ? 0 : Math.ceil((1 - bucket.level) / perMs),
    };
  }

  #add(key: string, nowMs: number): Bucket {
    if (this.#buckets.size >= MAX_BUCKETS) this.#makeRoom(nowMs);
    const bucket = { level: this.#perMinute, atMs: nowMs };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #makeRoom(nowMs: number): void {
    for (const [key, { atMs }] of this.#buckets) if (nowMs - atMs >= 60_000) this.#buckets.delete(key);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= MAX_BUCKETS && oldest !== undefined) this.#buckets.delete(oldest);
  }
}
