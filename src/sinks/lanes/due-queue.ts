/** What is to happen at a time, earliest first; of the same time, first put in first out. A binary heap. */
interface Due<T> {
  readonly atMs: number;
  readonly order: number;
  readonly value: T;
}

export class DueQueue<T> {
  #heap: Due<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  get firstAtMs(): number | null {
    return this.#heap[0]?.atMs ?? null;
  }

  push(atMs: number, value: T): void {
    const due = { atMs, order: this.#order++, value };
    let at = this.#heap.push(due) - 1;
    while (at > 0) {
      const above = (at - 1) >>> 1;
      if (!isBefore(due, this.#heap[above] as Due<T>)) break;
      this.#heap[at] = this.#heap[above] as Due<T>;
      at = above;
    }
    this.#heap[at] = due;
  }

  /** The first one if it is due, else undefined. */
  take(nowMs: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    const last = this.#heap.pop() as Due<T>;
    if (this.#heap.length > 0) this.#sink(last);
    return first.value;
  }

  /** For rare occasions: looks at everything. */
  remove(isGone: (value: T) => boolean): void {
    // Sorted, an array is a heap.
    this.#heap = this.#heap.filter(({ value }) => !isGone(value)).sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  #sink(due: Due<T>): void {
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= this.#heap.length) break;
      const right = this.#heap[below + 1];
      if (right !== undefined && isBefore(right, this.#heap[below] as Due<T>)) below++;
      if (!isBefore(this.#heap[below] as Due<T>, due)) break;
      this.#heap[at] = this.#heap[below] as Due<T>;
      at = below;
    }
    this.#heap[at] = due;
  }
}

function isBefore<T>(a: Due<T>, b: Due<T>): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs;
}
