/** Documents in memory, as the control topic would keep them: encoded and parsed on their way, one change at a time. */
import type { Table, TableKind } from '../../../src/api/ports.ts';

export class MemoryTable<T> implements Table<T> {
  readonly #kind: TableKind<T>;
  readonly #documents = new Map<string, T>();
  readonly #listeners = new Set<(key: string) => void>();
  #turn: Promise<unknown> = Promise.resolve();
  writes = 0;
  /** While set, every change fails with it. */
  failing: Error | null = null;

  constructor(kind: TableKind<T>) {
    this.#kind = kind;
  }

  get(key: string): T | undefined {
    return this.#documents.get(key);
  }

  list(prefix = ''): readonly (readonly [string, T])[] {
    return [...this.#documents].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
  }

  update(key: string, plan: (now: T | undefined) => T | null | undefined): Promise<T | undefined> {
    const work = this.#turn.then(() => {
      if (this.failing !== null) throw this.failing;
      const now = this.#documents.get(key);
      const next = plan(now);
      if (next === undefined || next === now || (next === null && now === undefined)) return now;
      this.writes += 1;
      if (next === null) this.#documents.delete(key);
      else this.#documents.set(key, this.#kind.parse(JSON.parse(JSON.stringify(this.#kind.encode(next)))));
      for (const listener of this.#listeners) listener(key);
      return this.#documents.get(key);
    });
    this.#turn = work.catch(() => undefined);
    return work;
  }

  onChange(listener: (key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** All documents as they would stand in the topic. */
  bytes(): string {
    return JSON.stringify([...this.#documents].map(([key, one]) => [key, this.#kind.encode(one)]));
  }
}
