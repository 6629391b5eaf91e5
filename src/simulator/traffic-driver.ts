/** Drives an organisation's own traffic at a steady rate of events a second. */
import type { Org } from './org.ts';

/** Coarse on purpose: the simulator paces a whole organisation, not single events. The flood is the precise one. */
const TICK_MS = 20;

export interface TrafficClock {
  readonly nowMs: () => number;
}

export class TrafficDriver {
  readonly #org: Org;
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | null = null;
  #eventsPerSecond = 0;
  #owed = 0;
  #lastMs = 0;

  constructor(org: Org, clock: TrafficClock) {
    this.#org = org;
    this.#nowMs = clock.nowMs;
  }

  get eventsPerSecond(): number {
    return this.#eventsPerSecond;
  }

  /** 0 stops it. */
  setRate(eventsPerSecond: number): void {
    this.stop();
    this.#eventsPerSecond = eventsPerSecond;
    if (eventsPerSecond === 0) return;
    this.#lastMs = this.#nowMs();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#eventsPerSecond = 0;
    this.#owed = 0;
  }

  #tick(): void {
    const nowMs = this.#nowMs();
    // After a stall at most a second is made up for.
    this.#owed += (Math.min(1000, nowMs - this.#lastMs) / 1000) * this.#eventsPerSecond;
    this.#lastMs = nowMs;
    // A step may find nothing to change, as when everything is deleted; it must not be tried for ever.
    while (this.#owed >= 1) this.#owed -= Math.max(1, this.#org.act(nowMs));
  }
}
