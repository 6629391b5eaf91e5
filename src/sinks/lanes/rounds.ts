/**
 * Whose turn it is: parties (tenants) take turns, and what one party has waiting goes first in, first out. Pure.
 *
 * R1 who has something waiting and may have a turn gets one after at most one turn of each other party
 * R2 a party that may not have a turn now keeps its place
 */
import { Fifo } from './fifo.ts';

export class Rounds<T> {
  /** Of those that have something waiting, whose turn it is first: a Map keeps the order of insertion. */
  readonly #lines = new Map<string, Fifo<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(party: string, item: T): void {
    let line = this.#lines.get(party);
    if (line === undefined) {
      line = new Fifo();
      this.#lines.set(party, line);
    }
    line.push(item);
    this.#size++;
  }

  take(mayHaveTurn: (party: string) => boolean): T | undefined {
    for (const [party, line] of this.#lines) {
      if (!mayHaveTurn(party)) continue;
      this.#lines.delete(party);
      const item = line.take();
      if (line.size > 0) this.#lines.set(party, line);
      this.#size--;
      return item;
    }
    return undefined;
  }

  /** For rare occasions: looks at everything. */
  remove(isGone: (item: T) => boolean): void {
    this.#size = 0;
    for (const [party, line] of this.#lines) {
      line.remove(isGone);
      this.#size += line.size;
      if (line.size === 0) this.#lines.delete(party);
    }
  }
}
