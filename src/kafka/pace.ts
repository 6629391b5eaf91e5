/**
 * When a shard's next transaction may start. A transaction costs the same whatever it holds, so records wait a moment for
 * company; those of a party (a tenant) that sends little need not wait for the company of one that sends much. Pure.
 *
 * P1 a start is `paceMs` after the one before, but for P2 and for a full batch, which does not ask
 * P2 early, as soon as a record waits of a party that had, of late, less than a quarter of what parties had on average. Where
 *    all send alike nobody is early, however many they are
 * P3 no more starts are early than are not, but for a few that were saved up: whatever comes, there are at most about twice as
 *    many transactions as by the pace alone
 */
const LITTLE = 0.25;
const MOST_SAVED = 4;
/** What was of late: in this time, and in the one before it. */
const WINDOW_MS = 1000;

export class Pace {
  readonly #paceMs: number;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #saved = MOST_SAVED;
  #isOtherWaiting = false;
  #windowAtMs = 0;
  /** Records by party, of all parties that had any. */
  #counts = new Map<string, number>();
  #before: ReadonlyMap<string, number> = new Map();
  #records = 0;
  #recordsBefore = 0;

  constructor(paceMs: number) {
    this.#paceMs = paceMs;
  }

  /** A record waits. */
  arrived(party: string): void {
    if (!this.#isOtherWaiting && this.#saved > 0) this.#isOtherWaiting = this.#sendsLittle(party);
  }

  /** How long what waits is still to wait. */
  waitMs(nowMs: number): number {
    return this.#isOtherWaiting ? 0 : Math.max(0, this.#startedAtMs + this.#paceMs - nowMs);
  }

  /** A transaction of records of these parties, one for each record, starts; nothing that has arrived is left out, or it is full. */
  started(parties: Iterable<string>, nowMs: number): void {
    const isEarly = nowMs < this.#startedAtMs + this.#paceMs;
    this.#saved = isEarly && this.#isOtherWaiting ? this.#saved - 1 : Math.min(MOST_SAVED, this.#saved + 1);
    this.#isOtherWaiting = false;
    this.#startedAtMs = nowMs;
    this.#turnWindow(nowMs);
    for (const party of parties) {
      this.#counts.set(party, (this.#counts.get(party) ?? 0) + 1);
      this.#records++;
    }
  }

  #sendsLittle(party: string): boolean {
    // Nearly: a party that was in both windows is counted once in one of them and once in the other.
    const parties = Math.max(this.#counts.size, this.#before.size);
    const own = (this.#counts.get(party) ?? 0) + (this.#before.get(party) ?? 0);
    return own * parties < LITTLE * (this.#records + this.#recordsBefore);
  }

  #turnWindow(nowMs: number): void {
    if (nowMs < this.#windowAtMs + WINDOW_MS) return;
    const isNext = nowMs < this.#windowAtMs + 2 * WINDOW_MS;
    this.#before = isNext ? this.#counts : new Map();
    this.#recordsBefore = isNext ? this.#records : 0;
    this.#counts = new Map();
    this.#records = 0;
    this.#windowAtMs = nowMs;
  }
}
