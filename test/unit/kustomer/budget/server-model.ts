/** Kustomer's limits as documented: fixed windows of 60 s, one count for everybody, 429 until the window resets. */
import type { AnswerHeaders } from '../../../../src/kustomer/budget/rate-headers.ts';

export interface ModelOptions {
  readonly limit: number;
  readonly searchLimit: number;
  /** Where the windows begin, by true time. */
  readonly offsetMs: number;
  /** The server's clock less the true time. */
  readonly skewMs: number;
  readonly reset: 'always' | 'when_exceeded' | 'never';
  readonly retryAfter: boolean;
  readonly date: boolean;
}

export interface WindowCount {
  ours: number;
  ourSearches: number;
  theirs: number;
  ourRefusals: number;
  /** From then to the window's end everybody is refused. */
  exhaustedAtMs: number;
}

const WINDOW_MS = 60_000;

export class ServerModel {
  /** One per window, in order; the first may be cut. */
  readonly windows = new Map<number, WindowCount>();
  limit: number;
  readonly #options: ModelOptions;

  constructor(options: ModelOptions) {
    this.#options = options;
    this.limit = options.limit;
  }

  windowOf(atMs: number): WindowCount {
    const index = Math.floor((atMs - this.#options.offsetMs) / WINDOW_MS);
    let window = this.windows.get(index);
    if (window === undefined) {
      window = { ours: 0, ourSearches: 0, theirs: 0, ourRefusals: 0, exhaustedAtMs: Number.POSITIVE_INFINITY };
      this.windows.set(index, window);
    }
    return window;
  }

  endOfWindow(atMs: number): number {
    const { offsetMs } = this.#options;
    return (Math.floor((atMs - offsetMs) / WINDOW_MS) + 1) * WINDOW_MS + offsetMs;
  }

  /** False: refused. */
  theirs(atMs: number): boolean {
    const window = this.windowOf(atMs);
    if (window.ours + window.theirs >= this.limit) return false;
    window.theirs += 1;
    this.#note(window, atMs);
    return true;
  }

  ours(atMs: number, search: boolean): { readonly status: number; readonly headers: AnswerHeaders } {
    const window = this.windowOf(atMs);
    const full = window.ours + window.theirs >= this.limit;
    const refused = full || (search && window.ourSearches >= this.#options.searchLimit);
    if (refused) window.ourRefusals += 1;
    else {
      window.ours += 1;
      if (search) window.ourSearches += 1;
      this.#note(window, atMs);
    }
    return { status: refused ? 429 : 200, headers: this.#headers(atMs, window, refused) };
  }

  /** How much of a span the server would have answered 429, whoever had asked. */
  exhaustedMs(fromMs: number, toMs: number): number {
    let total = 0;
    for (let atMs = fromMs; atMs < toMs; atMs = this.endOfWindow(atMs)) {
      const untilMs = Math.min(toMs, this.endOfWindow(atMs));
      total += Math.max(0, untilMs - Math.max(atMs, this.windowOf(atMs).exhaustedAtMs));
    }
    return total;
  }

  #note(window: WindowCount, atMs: number): void {
    if (window.ours + window.theirs >= this.limit) window.exhaustedAtMs = Math.min(window.exhaustedAtMs, atMs);
  }

  #headers(atMs: number, window: WindowCount, refused: boolean): AnswerHeaders {
    const { skewMs, reset, retryAfter, date } = this.#options;
    const endMs = this.endOfWindow(atMs);
    const told = reset === 'always' || (reset === 'when_exceeded' && refused);
    return {
      'x-ratelimit-limit': String(this.limit),
      'x-ratelimit-remaining': String(Math.max(0, this.limit - window.ours - window.theirs)),
      ...(told ? { 'x-ratelimit-reset': String(Math.floor((endMs + skewMs) / 1000)) } : {}),
      ...(refused && retryAfter ? { 'retry-after': String(Math.ceil((endMs - atMs) / 1000)) } : {}),
      ...(date ? { date: new Date(atMs + skewMs).toUTCString() } : {}),
    };
  }
}
