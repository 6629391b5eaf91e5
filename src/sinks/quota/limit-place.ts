/**
 * One command and the limits it falls under: what the policy is told of them, the place it takes in each, and whether that is
 * given back. A place stays when a call left, or may have left from another owner's hands.
 */
import type { QuotaNeed } from '../../fibric/policy/compile.ts';
import type { PolicyDecision as Evaluated } from '../../fibric/policy/evaluate.ts';
import { limitMessage } from './limit-message.ts';
import type { QuotaUsage, ReserveAnswer, SinkQuota } from './port.ts';

/** From the reserving to the sending there is more to do within the time of a place (`placeMs`). */
export const RESERVE_TIMEOUT_MS = 3000;

export class LimitPlace {
  readonly #quota: SinkQuota;
  /** By key, all that was ever asked for: the policy may have changed in between. */
  readonly #taken = new Map<string, QuotaNeed>();
  #needs: readonly QuotaNeed[] = [];
  /** Keys of those in which it was last given a place. */
  #placed: readonly string[] = [];
  #attemptId: string | undefined;
  #asked: { readonly need: QuotaNeed; readonly usage: QuotaUsage | null } | undefined;
  #calls = 0;
  #hasLeft = false;

  constructor(quota: SinkQuota) {
    this.#quota = quota;
  }

  /**
   * For the policy. What is not known blocks a dry run, which asks for a verdict. A live command goes on to ask for its place,
   * and waits until it is known.
   */
  usedBy(attemptId: string, isLive: boolean): (need: QuotaNeed, nowMs: number) => number | null {
    return (need, nowMs) => {
      const usage = this.#quota.usage(need, nowMs, attemptId);
      this.#asked = { need, usage };
      return usage?.used ?? (isLive ? 0 : null);
    };
  }

  /** Keeps what must be reserved, and says when a used up limit has room again. */
  decided(evaluated: Evaluated): Evaluated {
    this.#needs = evaluated.quotas;
    const { need, usage = null } = this.#asked ?? {};
    if (evaluated.cause !== 'limit_reached' || need === undefined || usage === null) return evaluated;
    return { ...evaluated, reason: limitMessage(need, usage.freeAtMs) };
  }

  /** The policy has changed since it was given its place: that is none in these limits. */
  get moved(): boolean {
    return this.#needs.some(({ key }) => !this.#placed.includes(key));
  }

  async reserve(attemptId: string, isPatient: boolean, signal: AbortSignal): Promise<ReserveAnswer> {
    const needs = this.#needs;
    this.#attemptId = attemptId;
    for (const need of needs) this.#taken.set(need.key, need);
    const answer = await this.#quota.reserve({ needs, attemptId, signal, isPatient, timeoutMs: RESERVE_TIMEOUT_MS });
    if (answer.kind === 'granted') this.#placed = needs.map(({ key }) => key);
    return answer;
  }

  /** `left`: the write may have reached Kustomer. */
  called(left: boolean): void {
    this.#calls++;
    this.#hasLeft ||= left;
  }

  /** What is to be done once the end of the command is committed. `attempts`: its calls, over all owners. */
  atEnd(attempts: number): (() => void) | undefined {
    const attemptId = this.#attemptId;
    if (attemptId === undefined || this.#taken.size === 0 || this.#hasLeft || attempts > this.#calls) return undefined;
    return () => this.#quota.release([...this.#taken.values()], attemptId);
  }
}
