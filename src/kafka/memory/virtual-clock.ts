/**
 * Time that moves only when a test says so.
 *
 * C1 Timers fire in order of their due time, then in the order they were set.
 * C2 Between two timers every promise reaction runs to its end, so the same calls give the same order every time.
 * C3 Time never runs backwards and never moves by itself.
 */
import type { Clock } from '../port.ts';

/** Fixed, so that timestamps in failing tests are comparable from run to run. */
const DEFAULT_START_MS = Date.UTC(2026, 0, 1);
const DEFAULT_LIMIT_MS = 10 * 60_000;

/** Code under test may itself give way to the event loop; this many times in a row takes no virtual time. */
const TURNS = 4;

/** Taken at load time: tests that replace the global timers must not stop this clock. */
const nextTurn = setImmediate;

interface Timer {
  readonly dueMs: number;
  fire(): void;
}

export class VirtualClock implements Clock {
  /** Ascending by due time; equal times in the order they were set. */
  readonly #timers: Timer[] = [];
  #nowMs: number;

  constructor(startMs: number = DEFAULT_START_MS) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** How many sleepers there are; a test may assert that none was left behind. */
  get pendingTimers(): number {
    return this.#timers.length;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer: Timer = {
        dueMs: this.#nowMs + Math.max(0, ms),
        fire: () => {
          signal?.removeEventListener('abort', aborted);
          resolve();
        },
      };
      const aborted = () => {
        this.#timers.splice(this.#timers.indexOf(timer), 1);
        resolve();
      };
      signal?.addEventListener('abort', aborted, { once: true });
      this.#insert(timer);
    });
  }

  /** Runs everything that can run without time passing. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => nextTurn(resolve));
  }

  /** Moves time by `ms`, firing what falls due on the way. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.settle();
    while (this.#nextDueMs() <= endMs) await this.#fireNext();
    this.#nowMs = endMs;
  }

  /** Moves time from timer to timer until the condition holds; throws after `limitMs` of virtual time. */
  async runUntil(condition: () => boolean, limitMs: number = DEFAULT_LIMIT_MS): Promise<void> {
    const endMs = this.#nowMs + limitMs;
    await this.settle();
    while (!condition()) {
      if (this.#nextDueMs() > endMs) {
        throw new Error(`the condition did not come true: ${this.#whyStuck(limitMs)}`);
      }
      await this.#fireNext();
    }
  }

  /** Moves time until the promise settles, and gives its outcome. */
  async run<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.runUntil(() => settled, limitMs);
    return promise;
  }

  #nextDueMs(): number {
    return this.#timers[0]?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  async #fireNext(): Promise<void> {
    const timer = this.#timers.shift();
    if (timer === undefined) return;
    this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
    timer.fire();
    await this.settle();
  }

  #insert(timer: Timer): void {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#timers[middle] as Timer).dueMs <= timer.dueMs) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
  }

  #whyStuck(limitMs: number): string {
    return this.#timers.length === 0 ? 'nothing is left to happen' : `${limitMs} ms of virtual time have passed`;
  }
}
