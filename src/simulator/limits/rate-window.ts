/**
 * A request budget per fixed window, shared with somebody greedy. Pure but for its counters: the time comes in.
 *
 * Invariants (test/unit/simulator/rate-window.test.ts cites them):
 * B1 In a window ours and the other's together never exceed the limit.
 * B2 Within a window `remaining` never grows.
 * B3 A request is refused exactly when nothing remains; a refused one costs nothing.
 * B4 `resetMs` is the end of the window, after the present and at most one window away; then everything is there again.
 * B5 The other takes its requests evenly through the window, at its rate, as far as something remains.
 */
export interface RateWindowOptions {
  readonly limit: number;
  readonly windowMs: number;
  /** Requests somebody else sends per window. */
  readonly greedy: number;
}

export interface RateState {
  readonly limit: number;
  readonly remaining: number;
  readonly resetMs: number;
}

export class RateWindow {
  #options: RateWindowOptions;
  #startMs = Number.NEGATIVE_INFINITY;
  #ours = 0;
  #others = 0;
  /** What the other has asked for in this window, granted or not. */
  #othersAsked = 0;

  constructor(options: RateWindowOptions) {
    this.#options = options;
  }

  /** Takes effect at once; what the window has granted stays granted. */
  configure(options: RateWindowOptions): void {
    this.#options = options;
  }

  /** Requests granted in this window so far. */
  get taken(): { readonly ours: number; readonly others: number } {
    return { ours: this.#ours, others: this.#others };
  }

  look(nowMs: number): RateState {
    this.#advance(nowMs);
    return {
      limit: this.#options.limit,
      remaining: this.#remaining(),
      resetMs: this.#startMs + this.#options.windowMs,
    };
  }

  /** True when granted. */
  take(nowMs: number): boolean {
    this.#advance(nowMs);
    if (this.#remaining() === 0) return false;
    this.#ours += 1;
    return true;
  }

  #remaining(): number {
    return Math.max(0, this.#options.limit - this.#ours - this.#others);
  }

  #advance(nowMs: number): void {
    const { windowMs, greedy } = this.#options;
    const startMs = Math.floor(nowMs / windowMs) * windowMs;
    // A clock that goes back stays in the window it had reached.
    if (startMs > this.#startMs) {
      this.#startMs = startMs;
      this.#ours = 0;
      this.#others = 0;
      this.#othersAsked = 0;
    }
    const asked = Math.floor((greedy * Math.max(0, nowMs - this.#startMs)) / windowMs);
    if (asked <= this.#othersAsked) return;
    this.#others += Math.min(asked - this.#othersAsked, this.#remaining());
    this.#othersAsked = asked;
  }
}
