/**
 * The writes of one transaction, over the committed state.
 *
 * O1 reads see the overlay's writes first, then the table
 * O2 the table does not change before `apply`, and not at all after `discard`
 * O3 `changes` holds the last write of each key, once, in the order in which the keys were first written
 * O4 what `set` has taken, the table can hold, its total bound aside
 */
import { checkValueSize, type StateTable } from './state-table.ts';
import type { StateView } from './task.ts';

/** What the state partition must be told: a value, or null for "gone" (a tombstone). */
export interface StateChange {
  /** Input partition the deciding record came from; the change goes to the twin partition of that number. */
  readonly partition: number;
  readonly key: string;
  readonly value: Buffer | null;
}

export class StateOverlay implements StateView {
  readonly #table: StateTable;
  readonly #writes = new Map<string, StateChange>();

  constructor(table: StateTable) {
    this.#table = table;
  }

  get size(): number {
    return this.#writes.size;
  }

  get(key: string): Buffer | undefined {
    const write = this.#writes.get(key);
    return write === undefined ? this.#table.get(key) : (write.value ?? undefined);
  }

  /**
   * Copies `value`: it may be a scratch buffer or a view from `get`, both of which change under our feet. Throws
   * `state_value_too_large` here, while the record can still be set aside: after the commit it would be too late (O4).
   */
  set(partition: number, key: string, value: Buffer): void {
    checkValueSize(value);
    this.#writes.set(key, { partition, key, value: Buffer.from(value) });
  }

  delete(partition: number, key: string): void {
    this.#writes.set(key, { partition, key, value: null });
  }

  changes(): Iterable<StateChange> {
    return this.#writes.values();
  }

  /** The transaction has committed: into the table with it. `state_full` here is fatal; the log has the rest. */
  apply(nowMs: number): void {
    for (const { key, value } of this.#writes.values()) {
      if (value === null) this.#table.delete(key);
      else this.#table.set(key, value, nowMs);
    }
    this.#writes.clear();
  }

  /** The transaction was not committed: as if nothing had been written. */
  discard(): void {
    this.#writes.clear();
  }
}
