/**
 * What is under way and must end by a time. One sleeper for all: there is a deadline for every call, and hardly ever one that
 * passes.
 *
 * E1 the signal of what is run aborts at its time and not before, unless everything is given up
 * E2 after `giveUp` every signal is aborted, those of what is run later too
 */
import type { Clock } from '../../base/clock.ts';

interface UnderWay {
  readonly atMs: number;
  readonly controller: AbortController;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #underWay = new Set<UnderWay>();
  #sleeping: { readonly untilMs: number; readonly cancel: AbortController } | undefined;
  #isGivenUp = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async within<T>(atMs: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const one: UnderWay = { atMs, controller: new AbortController() };
    if (this.#isGivenUp) one.controller.abort();
    this.#underWay.add(one);
    this.#wakeBy(atMs);
    try {
      return await run(one.controller.signal);
    } finally {
      this.#underWay.delete(one);
    }
  }

  giveUp(): void {
    this.#isGivenUp = true;
    this.#sleeping?.cancel.abort();
    this.#sleeping = undefined;
    for (const { controller } of this.#underWay) controller.abort();
  }

  #wakeBy(atMs: number): void {
    if (this.#isGivenUp || (this.#sleeping !== undefined && this.#sleeping.untilMs <= atMs)) return;
    this.#sleeping?.cancel.abort();
    const sleep = { untilMs: atMs, cancel: new AbortController() };
    this.#sleeping = sleep;
    void this.#clock.sleep(atMs - this.#clock.nowMs(), sleep.cancel.signal).then(() => {
      if (this.#sleeping !== sleep) return;
      this.#sleeping = undefined;
      this.#look();
    });
  }

  #look(): void {
    const nowMs = this.#clock.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { atMs, controller } of this.#underWay) {
      if (atMs <= nowMs) controller.abort();
      else nextMs = Math.min(nextMs, atMs);
    }
    if (Number.isFinite(nextMs)) this.#wakeBy(nextMs);
  }
}
