/**
 * How long what is appended to the quota topic waits for company: a request costs the same whatever it holds.
 *
 * E1 what a call waits for waits a moment at most, unless so many wait that the log has enough to do
 * E2 of such a crowd each waits longer, for none of them would be answered sooner alone
 * E3 what no call waits for yet waits as long, but no longer than until one does
 */

/** It saves two requests for each that has no company, … */
const MOMENT_MS = 2;
/** … and more with E2 and E3. */
const LONG_MS = 20;
const CROWD = 64;

export interface Waiter {
  /** No call waits for it yet. */
  readonly isPatient: boolean;
}

export class Company {
  readonly #go: () => void;
  #waiting = 0;
  /** Of them, for how many a call waits. */
  #pressing = 0;
  /** What waits now does so by E3. */
  #canHurry = false;

  /** `go`: what waits is to go at once. */
  constructor(go: () => void) {
    this.#go = go;
  }

  came({ isPatient }: Waiter): void {
    this.#waiting += 1;
    if (isPatient) return;
    this.#pressing += 1;
    this.hurry();
  }

  went({ isPatient }: Waiter): void {
    this.#waiting -= 1;
    if (!isPatient) this.#pressing -= 1;
  }

  /** For what begins to wait now. */
  waitMs(): number {
    const isCrowd = this.#waiting >= CROWD;
    this.#canHurry = !isCrowd && this.#pressing === 0;
    return isCrowd || this.#canHurry ? LONG_MS : MOMENT_MS;
  }

  /** A call waits now for what none waited for. */
  hurry(): void {
    if (!this.#canHurry) return;
    this.#canHurry = false;
    this.#go();
  }
}
