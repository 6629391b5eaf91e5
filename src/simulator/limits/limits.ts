/** All rate limits of one organisation, and how they are told to callers. */
import { z } from 'zod';
import { KeyedWindow } from './keyed-window.ts';
import { type RateState, RateWindow } from './rate-window.ts';

const perMinute = z.int().min(0).max(10_000_000);

export const limitsSchema = z.strictObject({
  /** Requests a minute for the whole organisation, shared by everybody in it. */
  orgPerMinute: perMinute.default(1000),
  /** Searches a minute by machine users; they count against the organisation's budget too. */
  searchPerMinute: perMinute.default(100),
  /** Notes, messages, conversations and custom objects created per customer and minute. */
  createsPerCustomerMinute: perMinute.default(120),
  /** Writes to one object a minute; the vendor has such a limit but names no number. */
  writesPerObjectMinute: perMinute.nullable().default(null),
  /** Requests a minute of a consumer that is not us, evenly spread, against the organisation's budget. */
  greedyPerMinute: perMinute.default(0),
  /** Searches a minute of a machine user that is not us; each also costs one of the organisation's budget. */
  greedySearchesPerMinute: perMinute.default(0),
  /** `Retry-After` on a 429: absent as in the vendor's own pages, in seconds, or as a date. */
  retryAfter: z.enum(['none', 'seconds', 'date']).default('none'),
  /** `x-ratelimit-reset` on every answer, or only on a 429 as one connector found. */
  resetHeader: z.enum(['always', 'exceeded']).default('always'),
});

export type LimitSettings = z.infer<typeof limitsSchema>;
export type LimitOptions = z.input<typeof limitsSchema>;

export const WINDOW_MS = 60_000;

export type Refused = 'org' | 'search' | null;

export class Limits {
  #settings: LimitSettings;
  readonly #org: RateWindow;
  readonly #search: RateWindow;
  readonly #creates = new KeyedWindow(WINDOW_MS);
  readonly #writes = new KeyedWindow(WINDOW_MS);

  constructor(settings: LimitSettings) {
    this.#settings = settings;
    this.#org = new RateWindow(orgWindow(settings));
    this.#search = new RateWindow(searchWindow(settings));
  }

  get settings(): LimitSettings {
    return this.#settings;
  }

  configure(settings: LimitSettings): void {
    this.#settings = settings;
    this.#org.configure(orgWindow(settings));
    this.#search.configure(searchWindow(settings));
  }

  /** Takes one request; a search needs both budgets and takes from neither when one is empty. */
  take(nowMs: number, isSearch: boolean): Refused {
    if (isSearch && this.#search.look(nowMs).remaining === 0) return 'search';
    if (!this.#org.take(nowMs)) return 'org';
    if (isSearch) this.#search.take(nowMs);
    return null;
  }

  takeCreate(customerId: string, nowMs: number): boolean {
    return this.#creates.take(customerId, this.#settings.createsPerCustomerMinute, nowMs);
  }

  takeWrite(objectKey: string, nowMs: number): boolean {
    const limit = this.#settings.writesPerObjectMinute;
    return limit === null || this.#writes.take(objectKey, limit, nowMs);
  }

  org(nowMs: number): RateState {
    return this.#org.look(nowMs);
  }

  search(nowMs: number): RateState {
    return this.#search.look(nowMs);
  }

  /** What was granted in the present window, for tests: whose fault was a 429? */
  taken(nowMs: number): {
    readonly org: { readonly ours: number; readonly others: number };
    readonly search: { readonly ours: number; readonly others: number };
  } {
    this.#org.look(nowMs);
    this.#search.look(nowMs);
    return { org: this.#org.taken, search: this.#search.taken };
  }

  /** The headers of an answer. They always tell of the organisation's budget, also when another limit refused. */
  headers(nowMs: number, status: number): Readonly<Record<string, string>> {
    const { limit, remaining, resetMs } = this.#org.look(nowMs);
    const refused = status === 429;
    const { retryAfter, resetHeader } = this.#settings;
    return {
      'x-ratelimit-limit': String(limit),
      'x-ratelimit-remaining': String(remaining),
      ...(resetHeader === 'always' || refused ? { 'x-ratelimit-reset': String(Math.ceil(resetMs / 1000)) } : {}),
      ...(refused && retryAfter === 'seconds'
        ? { 'retry-after': String(Math.max(1, Math.ceil((resetMs - nowMs) / 1000))) }
        : {}),
      ...(refused && retryAfter === 'date' ? { 'retry-after': new Date(resetMs).toUTCString() } : {}),
    };
  }
}

function orgWindow({ orgPerMinute, greedyPerMinute, greedySearchesPerMinute }: LimitSettings) {
  return { limit: orgPerMinute, windowMs: WINDOW_MS, greedy: greedyPerMinute + greedySearchesPerMinute };
}

function searchWindow({ searchPerMinute, greedySearchesPerMinute }: LimitSettings) {
  return { limit: searchPerMinute, windowMs: WINDOW_MS, greedy: greedySearchesPerMinute };
}
