/**
 * When what is held in one partition expires: built from the ledger when the partition is opened, and told of every change
 * from then on.
 *
 * X1 every entry that is held is here, with its time; nothing else is
 * X2 what is due is told until it is held no more: whoever ends it says so with a change
 */
import { DueQueue } from '../lanes/due-queue.ts';
import type { LedgerChange, LedgerEntry } from '../ledger/entry.ts';

/** Of what is held no more, beside as many as are. */
const MOST_GONE = 1000;

interface Hold {
  readonly identity: string;
  readonly receiptId: string;
}

export class Holds {
  readonly #held = new Map<string, Hold>();
  readonly #due = new DueQueue<Hold>();

  constructor(entries: Iterable<readonly [identity: string, entry: LedgerEntry]>) {
    for (const [identity, entry] of entries) this.note({ identity, entry });
  }

  get size(): number {
    return this.#held.size;
  }

  /** Held, or held once: bounded by what is held. */
  get pending(): number {
    return this.#due.size;
  }

  /** Of the first; it may be one that is held no more. */
  get nextAtMs(): number | null {
    return this.#due.firstAtMs;
  }

  note({ identity, entry }: LedgerChange): void {
    if (entry?.kind !== 'held') {
      this.#held.delete(identity);
      return;
    }
    if (this.#held.get(identity)?.receiptId === entry.receiptId) return;
    const hold = { identity, receiptId: entry.receiptId };
    this.#held.set(identity, hold);
    this.#due.push(entry.expiresAtMs, hold);
    if (this.#due.size > 2 * this.#held.size + MOST_GONE) this.#due.remove((hold) => !this.#isHeld(hold));
  }

  /** One that is due, each told once; `later` has it told again. */
  take(nowMs: number): string | undefined {
    for (let hold = this.#due.take(nowMs); hold !== undefined; hold = this.#due.take(nowMs)) {
      if (this.#isHeld(hold)) return hold.identity;
    }
    return undefined;
  }

  /** It could not be ended now. */
  later(identity: string, atMs: number): void {
    const hold = this.#held.get(identity);
    if (hold !== undefined) this.#due.push(atMs, hold);
  }

  #isHeld(hold: Hold): boolean {
    return this.#held.get(hold.identity) === hold;
  }
}
