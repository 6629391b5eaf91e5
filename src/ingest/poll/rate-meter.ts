/** Rows per second over the last half minute. Pure but for what it was told. */
const WINDOW_MS = 30_000;
const MAX_ENTRIES = 600;

export class RateMeter {
  #entries: { readonly atMs: number; readonly rows: number }[] = [];

  /** The rate with these; null while one page is all there is to judge by. */
  add(rows: number, nowMs: number): number | null {
    this.#entries.push({ atMs: nowMs, rows });
    this.#entries = this.#entries.filter(({ atMs }) => atMs >= nowMs - WINDOW_MS).slice(-MAX_ENTRIES);
    const [first] = this.#entries;
    if (first === undefined || nowMs - first.atMs < 1) return null;
    // The first page ended where the span begins.
    const counted = this.#entries.slice(1).reduce((sum, entry) => sum + entry.rows, 0);
    return Math.round((counted * 10_000) / (nowMs - first.atMs)) / 10;
  }
}
