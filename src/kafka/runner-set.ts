/**
 * The runners of one group member, one for each thing (a shard, a partition) the group has given it.
 *
 * W1 what is kept across a rebalance keeps its runner
 * W2 what is lost is stopped; should it come back, its new runner starts only after the old one let go
 */
export interface Runner {
  /** Resolves when the runner has let go of everything. Never rejects. */
  readonly done: Promise<void>;
  heartbeat(atMs: number): void;
  stop(): void;
}

export class RunnerSet<R extends Runner> {
  readonly #runners = new Map<number, R>();
  readonly #leaving = new Map<number, Promise<void>>();

  get(id: number): R | undefined {
    return this.#runners.get(id);
  }

  values(): readonly R[] {
    return [...this.#runners.values()];
  }

  heartbeat(atMs: number): void {
    for (const runner of this.#runners.values()) runner.heartbeat(atMs);
  }

  /** Exactly these are ours now. `start` is called for the new ones; those kept are returned. */
  assign(ids: Iterable<number>, start: (id: number, after: Promise<void> | undefined) => R): readonly R[] {
    const wanted = new Set(ids);
    for (const id of [...this.#runners.keys()]) if (!wanted.has(id)) this.#release(id);
    const kept = this.values();
    for (const id of wanted) {
      if (!this.#runners.has(id)) this.#runners.set(id, start(id, this.#leaving.get(id)));
    }
    return kept;
  }

  /** Stops all of them; resolves when everything is let go. */
  async close(): Promise<void> {
    for (const id of [...this.#runners.keys()]) this.#release(id);
    await Promise.all(this.#leaving.values());
  }

  #release(id: number): void {
    const runner = this.#runners.get(id);
    if (runner === undefined) return;
    this.#runners.delete(id);
    runner.stop();
    const gone = runner.done.finally(() => {
      if (this.#leaving.get(id) === gone) this.#leaving.delete(id);
    });
    this.#leaving.set(id, gone);
  }
}
