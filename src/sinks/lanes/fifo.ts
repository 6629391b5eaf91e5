/** First in, first out. */
export class Fifo<T> {
  #items: T[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  /** Without the first `skipped`, at most so many. */
  next(skipped: number, most: number): readonly T[] {
    const from = this.#head + skipped;
    return this.#items.slice(from, from + most);
  }

  push(item: T): void {
    this.#items.push(item);
  }

  take(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head++;
    // Amortised; what has been taken is not kept alive for long.
    if (this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** For rare occasions: looks at everything. */
  remove(isGone: (item: T) => boolean): void {
    this.#items = this.#items.slice(this.#head).filter((item) => !isGone(item));
    this.#head = 0;
  }
}
