/**
 * Notices a shard that stands still although there is something to read: a fetcher that sleeps for ever shows in nothing
 * else, as heartbeats go on. Pure; the caller asks the broker for the ends of the partitions from time to time.
 *
 * L1 progress is a position that moved; a shard that is not running is nobody's stall (its phase tells)
 * L2 a stall is reported once per `stallMs` for as long as it lasts, so that whoever reacts does not do so in a loop
 * L3 one offset may remain unread for ever: the marker of a transaction is never seen, so one offset is no lag either
 * L4 a position beyond the end is a stall as well: the log was cut, and nothing below that position will ever be taken
 */
export interface PartitionProgress {
  readonly partition: number;
  readonly running: boolean;
  /** Next offset to process. */
  readonly position: number;
  /** Next offset to be written. */
  readonly end: number;
}

export interface LagVerdict {
  readonly lag: number;
  /** Partitions that have not moved for `stallMs` although there is something to read. */
  readonly stalled: readonly number[];
}

const UNSEEN_MARKER = 1;

export class LagWatch {
  readonly #stallMs: number;
  readonly #since = new Map<number, { position: number; sinceMs: number }>();

  constructor({ stallMs }: { readonly stallMs: number }) {
    this.#stallMs = stallMs;
  }

  observe(partitions: readonly PartitionProgress[], nowMs: number): LagVerdict {
    const stalled: number[] = [];
    let lag = 0;
    const present = new Set<number>();
    for (const { partition, running, position, end } of partitions) {
      present.add(partition);
      lag += end - position > UNSEEN_MARKER ? end - position : 0;
      const last = this.#since.get(partition);
      const hasWork = running && (end - position > UNSEEN_MARKER || position > end);
      if (last === undefined || last.position !== position || !hasWork) {
        this.#since.set(partition, { position, sinceMs: nowMs });
      } else if (nowMs - last.sinceMs >= this.#stallMs) {
        stalled.push(partition);
        last.sinceMs = nowMs; // L2
      }
    }
    for (const partition of this.#since.keys()) if (!present.has(partition)) this.#since.delete(partition);
    return { lag, stalled };
  }
}
