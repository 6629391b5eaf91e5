/**
 * Bounds how often callers without a valid token are answered that they have none. A valid token never comes here: however many
 * guesses come from its own address, it is let in.
 */
import { ApiError } from '../errors.ts';
import { RateLimiter } from '../rate-limit.ts';

export interface RefusalRates {
  /** Per minute, from one address (of IPv6 one network of 64 bits). */
  readonly perAddress: number;
  /** Per minute, from everywhere. */
  readonly overall: number;
}

export class Refusals {
  readonly #perAddress: RateLimiter;
  readonly #overall: RateLimiter;

  constructor({ perAddress, overall }: RefusalRates) {
    this.#perAddress = new RateLimiter(perAddress);
    this.#overall = new RateLimiter(overall);
  }

  /** What to answer: the refusal itself, or that there were too many. */
  answer(refusal: unknown, address: string, nowMs: number): unknown {
    if (!(refusal instanceof ApiError) || refusal.status !== 401) return refusal;
    const here = this.#perAddress.take(networkOf(address), nowMs);
    // One address that is over its own rate takes nothing of everybody's.
    const all = here.allowed ? this.#overall.take('', nowMs) : here;
    if (all.allowed) return refusal;
    const retryAfterS = Math.max(1, Math.ceil(all.retryAfterMs / 1000));
    return new ApiError('rate_limited', 'too many requests without a valid token', { retryAfterS });
  }
}

/** Whoever has one address of such a network has all of them. */
export function networkOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('%', 1)[0]?.split('::') ?? [];
  const [left, right] = [head.split(':').filter(Boolean), (tail ?? '').split(':').filter(Boolean)];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return [...left, ...Array<string>(zeros).fill('0'), ...right].slice(0, 4).join(':');
}
