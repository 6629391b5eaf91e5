/**
 * A command is judged by nothing older than what its sender knew. Whoever grants a capability and then uses it has waited
 * for the grant; the process that carries the command out follows the same topic for itself and may be a moment behind, and
 * its BLOCK would be final.
 *
 * A place that is not reached in time is none (a header may say anything): it is waited for once, and so is what lies behind.
 */
import { HEADER } from '../../kafka/headers.ts';
import type { Clock, LogRecord } from '../../kafka/port.ts';

export interface ControlWaitOptions {
  /** Offset after the last control record that everything here has seen. */
  readonly position: () => number;
  readonly clock: Clock;
  readonly timeoutMs?: number;
}

const LOOK_EVERY_MS = 5;
const DIGITS = /^\d{1,15}$/;

export class ControlWait {
  readonly #position: () => number;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** The nearest place that was waited for in vain. */
  #beyond = Number.POSITIVE_INFINITY;

  constructor({ position, clock, timeoutMs = 3_000 }: ControlWaitOptions) {
    this.#position = position;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Undefined when there is nothing to wait for. Never rejects. */
  heard({ headers }: Pick<LogRecord, 'headers'>): Promise<void> | undefined {
    const text = headers[HEADER.controlAt]?.toString() ?? '';
    const wanted = DIGITS.test(text) ? Number(text) : 0;
    const position = this.#position();
    if (position >= this.#beyond) this.#beyond = Number.POSITIVE_INFINITY;
    return wanted <= position || wanted >= this.#beyond ? undefined : this.#wait(wanted);
  }

  async #wait(wanted: number): Promise<void> {
    const deadlineMs = this.#clock.nowMs() + this.#timeoutMs;
    while (this.#position() < wanted) {
      if (this.#clock.nowMs() >= deadlineMs) {
        this.#beyond = Math.min(this.#beyond, wanted);
        return;
      }
      await this.#clock.sleep(LOOK_EVERY_MS);
    }
  }
}
