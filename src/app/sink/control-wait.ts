/**
 * A command is judged by nothing older than what its sender knew. Whoever grants a capability and then uses it has waited
 * for the grant; the process that carries the command out follows the same topic for itself and may be a moment behind, and
 * its BLOCK would be final. So would be the dead letter of a command whose tenant is not known here yet.
 *
 * Anybody who may produce commands can claim a place, or a tenant. What that costs the partition is bounded:
 *
 * H1 a place beyond the end of the topic is nobody's knowledge: it is not waited for
 * H2 one that is not reached in time is waited for once, and so is what lies behind it
 * H3 the end is asked for again at once after an answer that was of use, else not before a pause; meanwhile what is known decides
 */
import { HEADER } from '../../kafka/headers.ts';
import type { Clock, LogRecord } from '../../kafka/port.ts';

export interface ControlWaitOptions {
  /** Offset after the last control record that everything here has seen, what can never be seen left out. */
  readonly position: () => number;
  /** Of the control topic, as it is now. */
  readonly end: () => Promise<number>;
  readonly clock: Clock;
  readonly timeoutMs?: number;
  readonly pauseMs?: number;
}

const LOOK_EVERY_MS = 5;
const DIGITS = /^\d{1,15}$/;

export class ControlWait {
  readonly #options: Required<ControlWaitOptions>;
  /** The nearest place that was waited for in vain. */
  #beyond = Number.POSITIVE_INFINITY;
  /** The topic is at least as long. */
  #end = 0;
  #mayAskAtMs = Number.NEGATIVE_INFINITY;

  constructor({ timeoutMs = 3_000, pauseMs = 250, ...options }: ControlWaitOptions) {
    this.#options = { ...options, timeoutMs, pauseMs };
  }

  /** Undefined when there is nothing to wait for. Never rejects. */
  heard({ headers }: Pick<LogRecord, 'headers'>): Promise<void> | undefined {
    const text = headers[HEADER.controlAt]?.toString() ?? '';
    const wanted = DIGITS.test(text) ? Number(text) : 0;
    if (wanted <= this.#options.position() || this.#isBeyond(wanted)) return undefined;
    if (wanted > this.#end && !this.#mayAsk) return undefined; // H3
    return this.#reach(wanted);
  }

  /**
   * Until everything is seen that there was when this was called, for whom something is not known. False when it brought
   * nothing; undefined when there is nothing to wait for. Never rejects.
   */
  newest(): Promise<boolean> | undefined {
    return this.#mayAsk ? this.#catchUp() : undefined;
  }

  async #reach(wanted: number): Promise<void> {
    if (wanted > this.#end && !(await this.#ask((end) => end >= wanted))) return; // H1
    await this.#wait(wanted);
  }

  async #catchUp(): Promise<boolean> {
    const before = this.#options.position();
    const isNew = await this.#ask((end) => end > before && !this.#isBeyond(end));
    if (isNew) await this.#wait(this.#end);
    return this.#options.position() > before;
  }

  /** H3. True also when nobody answers: it may be so. */
  async #ask(isOfUse: (end: number) => boolean): Promise<boolean> {
    const { clock, pauseMs } = this.#options;
    const asked = await this.#askedEnd();
    if (asked !== undefined) this.#end = Math.max(this.#end, asked);
    if (asked !== undefined && isOfUse(asked)) return true;
    this.#mayAskAtMs = clock.nowMs() + pauseMs;
    return asked === undefined;
  }

  /** Undefined when nobody answers in time. */
  async #askedEnd(): Promise<number | undefined> {
    const { end, clock, timeoutMs } = this.#options;
    const over = new AbortController();
    const late = clock.sleep(timeoutMs, over.signal).then(() => undefined);
    return Promise.race([end().catch(() => undefined), late]).finally(() => over.abort());
  }

  get #mayAsk(): boolean {
    return this.#options.clock.nowMs() >= this.#mayAskAtMs;
  }

  /** H2. */
  #isBeyond(wanted: number): boolean {
    if (this.#options.position() >= this.#beyond) this.#beyond = Number.POSITIVE_INFINITY;
    return wanted >= this.#beyond;
  }

  async #wait(wanted: number): Promise<void> {
    const { position, clock, timeoutMs } = this.#options;
    const deadlineMs = clock.nowMs() + timeoutMs;
    while (position() < wanted) {
      if (clock.nowMs() >= deadlineMs) {
        this.#beyond = Math.min(this.#beyond, wanted); // H2
        return;
      }
      await clock.sleep(LOOK_EVERY_MS);
    }
  }
}
