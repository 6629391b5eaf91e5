/**
 * Which partitions have been read to their end, and since when. Pure bookkeeping over what the reader says.
 *
 * E1 A topic is *followed* from when the last of its partitions was first at its end: what became visible after that was
 *    watched. Before, a live record of one partition may have stood behind the backlog of another.
 * E2 `readSince(t)` holds when every topic has been looked for and every partition of it either stands at its end or
 *    has been there at t or later.
 */
interface Partition {
  atEnd: boolean;
  firstEndMs: number | null;
  lastEndMs: number | null;
}

export class PartitionEnds {
  readonly #topics: Map<string, Partition[] | null>;

  constructor(topics: readonly string[]) {
    this.#topics = new Map(topics.map((topic) => [topic, null]));
  }

  /** 0 partitions = looked for, does not exist (yet). */
  topic(topic: string, partitions: number): void {
    this.#topics.set(
      topic,
      Array.from({ length: partitions }, () => ({ atEnd: false, firstEndMs: null, lastEndMs: null })),
    );
  }

  record(topic: string, partition: number): void {
    const at = this.#topics.get(topic)?.[partition];
    if (at !== undefined) at.atEnd = false;
  }

  end(topic: string, partition: number, nowMs: number): void {
    const at = this.#topics.get(topic)?.[partition];
    if (at === undefined) return;
    at.atEnd = true;
    at.firstEndMs ??= nowMs;
    at.lastEndMs = nowMs;
  }

  /** E1. Null while it is not. */
  followedSinceMs(topic: string): number | null {
    const partitions = this.#topics.get(topic) ?? [];
    const firstEnds = partitions.map(({ firstEndMs }) => firstEndMs).filter((ms) => ms !== null);
    return partitions.length > 0 && firstEnds.length === partitions.length ? Math.max(...firstEnds) : null;
  }

  /** Every partition has been at its end at least once. */
  get backlogRead(): boolean {
    return this.readSince(Number.NEGATIVE_INFINITY);
  }

  /** E2 */
  readSince(sinceMs: number): boolean {
    return this.#everyPartition(({ atEnd, lastEndMs }) => atEnd || (lastEndMs !== null && lastEndMs >= sinceMs));
  }

  /** Partitions at their end, of all known. */
  get tally(): { readonly atEnd: number; readonly all: number } {
    const all = [...this.#topics.values()].flatMap((partitions) => partitions ?? []);
    return { atEnd: all.filter(({ atEnd }) => atEnd).length, all: all.length };
  }

  #everyPartition(test: (partition: Partition) => boolean): boolean {
    return [...this.#topics.values()].every((partitions) => partitions?.every(test) ?? false);
  }
}
