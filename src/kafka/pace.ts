/**
 * When a shard's next transaction may start. A transaction costs the same whatever it holds, so records wait a moment for
 * company; those of a party (a tenant) that sends little need not wait for the company of one that sends much. Pure.
 *
 * P1 a start is `paceMs` after the one before, but for P2 and for a full batch, which does not ask
 * P2 early, as soon as a party waits that was not in the last paced transaction
 * P3 at most every other start is early: whatever comes, there are at most twice as many transactions as by the pace alone
 */
export class Pace {
  readonly #paceMs: number;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  /** Of the last paced transaction. */
  #parties: ReadonlySet<string> = new Set();
  #mayBeEarly = true;
  #isOtherWaiting = false;

  constructor(paceMs: number) {
    this.#paceMs = paceMs;
  }

  /** A record waits; true if it may have brought the start forward. */
  arrived(party: string): boolean {
    if (this.#isOtherWaiting || !this.#mayBeEarly || this.#parties.has(party)) return false;
    this.#isOtherWaiting = true;
    return true;
  }

  /** How long what waits is still to wait. */
  waitMs(nowMs: number): number {
    const waitMs = this.#startedAtMs + this.#paceMs - nowMs;
    return this.#isOtherWaiting ? 0 : Math.max(0, waitMs);
  }

  /** A transaction with records of these parties starts; nothing that has arrived is left out of it, or it is full. */
  started(parties: Iterable<string>, nowMs: number): void {
    const isEarly = this.#isOtherWaiting && nowMs < this.#startedAtMs + this.#paceMs;
    if (!isEarly) this.#parties = new Set(parties);
    this.#mayBeEarly = !isEarly;
    this.#isOtherWaiting = false;
    this.#startedAtMs = nowMs;
  }
}
