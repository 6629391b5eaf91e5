/** D6: the places that commands of one partition have in the pace of their customers, as long as they may create something. */
import type { Ticket } from '../lanes.ts';
import type { Phase } from '../lifecycle/life.ts';
import type { CallOutcome } from '../lifecycle/outcome.ts';
import { createdFor } from '../pace/creates.ts';
import type { Place } from '../pace/customer-pace.ts';
import type { CommandWork } from './admit.ts';
import type { Partition } from './partition.ts';

export class CreatePlaces {
  readonly #partition: Partition;
  /** By offset. */
  readonly #places = new Map<number, Place>();

  constructor(partition: Partition) {
    this.#partition = partition;
  }

  /** Until when its lane must wait for one; null when it has one, or calls nothing now, such as a copy or a reading back. */
  waitUntilMs(work: CommandWork, { partition, offset }: Ticket, phase: Phase['kind'] | null): number | null {
    const { ledger, nowMs, shared } = this.#partition;
    const { live, command, connection } = work;
    const target = createdFor(command, connection.connectionId);
    if (target === null || live.mode !== 'live' || this.#places.has(offset)) return null;
    if (phase !== null && phase !== 'deferred') return null;
    if (live.deadlineMs !== null && nowMs > live.deadlineMs) return null;
    const kind = ledger.get(live.identity, nowMs)?.kind;
    if (kind === 'done' || kind === 'parked' || kind === 'held') return null;
    const asked = shared.pace.take(target, `${partition}/${offset}`, nowMs);
    if (asked.kind === 'place') {
      this.#places.set(offset, asked.place);
      return null;
    }
    // At its deadline it is told that it has passed.
    return Math.min(asked.untilMs, (live.deadlineMs ?? Infinity) + 1);
  }

  /** A create was handed over. */
  used(work: CommandWork, { offset }: Ticket): void {
    const { nowMs, shared } = this.#partition;
    const place = this.#places.get(offset);
    const target = createdFor(work.command, work.connection.connectionId);
    if (place !== undefined) place.used(nowMs);
    else if (target !== null) shared.pace.count(target, nowMs);
  }

  /** Nothing was created, or is going to be before it asks again. */
  leave({ offset }: Ticket): void {
    this.#places.get(offset)?.unused();
    this.#places.delete(offset);
  }

  /** Kustomer tells with the same 429 of all its limits; who waits a little for another's is not wrong by much. */
  heed(work: CommandWork, outcome: CallOutcome): void {
    const isLimit = outcome.kind === 'retry_later' && outcome.code === 'kustomer_rate_limited';
    const target = createdFor(work.command, work.connection.connectionId);
    if (!isLimit || outcome.retryAtMs === null || target === null) return;
    this.#partition.shared.pace.refused(target, outcome.retryAtMs);
  }

  /** Other partitions of this process go on, and nobody knows what came of these. */
  giveUp(): void {
    for (const place of this.#places.values()) place.used(this.#partition.nowMs);
    this.#places.clear();
  }
}
