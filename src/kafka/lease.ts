/**
 * How long a member of a group may act without asking again: a session from the sending of the last heartbeat that was accepted.
 *
 * A1 it ends a session after that by the wall clock and by one that nobody sets, whichever comes first: a machine that sleeps
 *    stops the one, and whoever sets the time moves the other
 * A2 a heartbeat that lies in the future says that the wall clock was set back since: there is no lease until the next one
 */
import type { Clock } from '../base/clock.ts';

export interface LeaseOptions {
  readonly clock: Pick<Clock, 'nowMs' | 'steadyMs'>;
  readonly sessionTimeoutMs: number;
}

export class Lease {
  readonly #clock: LeaseOptions['clock'];
  readonly #sessionTimeoutMs: number;
  /** Of the heartbeat, by both clocks. */
  #sentAt = NEVER;

  constructor({ clock, sessionTimeoutMs }: LeaseOptions) {
    this.#clock = clock;
    this.#sessionTimeoutMs = sessionTimeoutMs;
  }

  /** A heartbeat that was sent at `atMs` of the wall clock was accepted. */
  renew(atMs: number): void {
    const now = this.#now;
    const agedMs = now.wallMs - atMs;
    this.#sentAt = agedMs < 0 ? NEVER : { wallMs: atMs, steadyMs: now.steadyMs - agedMs }; // A2
  }

  lapse(): void {
    this.#sentAt = NEVER;
  }

  /** By the wall clock as it is now; the past when there is none. To be asked anew each time. */
  get untilMs(): number {
    const now = this.#now;
    const { wallMs, steadyMs } = this.#sentAt;
    if (now.wallMs < wallMs) return Number.NEGATIVE_INFINITY; // A2
    const agedMs = Math.max(now.wallMs - wallMs, now.steadyMs - steadyMs); // A1
    return Math.floor(now.wallMs + this.#sessionTimeoutMs - agedMs);
  }

  get #now() {
    const wallMs = this.#clock.nowMs();
    return { wallMs, steadyMs: this.#clock.steadyMs?.() ?? wallMs };
  }
}

const NEVER = { wallMs: Number.NEGATIVE_INFINITY, steadyMs: Number.NEGATIVE_INFINITY };
