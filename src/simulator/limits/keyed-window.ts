/** A budget per key and window, such as 120 creates a minute for each customer. Holds the keys of one window only. */
export class KeyedWindow {
  readonly #windowMs: number;
  readonly #taken = new Map<string, number>();
  #startMs = Number.NEGATIVE_INFINITY;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** When the present window ends. */
  resetMs(nowMs: number): number {
    return Math.floor(nowMs / this.#windowMs) * this.#windowMs + this.#windowMs;
  }

  /** True when granted; refused ones cost nothing. */
  take(key: string, limit: number, nowMs: number): boolean {
    const startMs = Math.floor(nowMs / this.#windowMs) * this.#windowMs;
    if (startMs > this.#startMs) {
      this.#startMs = startMs;
      this.#taken.clear();
    }
    const taken = this.#taken.get(key) ?? 0;
    if (taken >= limit) return false;
    this.#taken.set(key, taken + 1);
    return true;
  }
}
