/** What is remembered of connections between batches. Bounded: what concerns too many is forgotten, oldest first. */
import type { Lane } from '../../kustomer/budget/lanes.ts';
import type { OrdersState } from './body.ts';
import type { Remembered } from './plan.ts';

const MAX_ENTRIES = 10_000;

export interface Refusal {
  readonly connectionId: string;
  readonly state: Extract<OrdersState, 'forbidden' | 'unavailable'>;
  readonly reason: string;
  readonly untilMs: number;
}

export class EnrichMemory implements Remembered {
  readonly #refusals = new Map<string, Refusal>();
  readonly #congestedUntilMs = new Map<string, number>();

  /** Those that hold, and those that will be tried again. */
  get refusals(): readonly Refusal[] {
    return [...this.#refusals.values()];
  }

  refusal(connectionId: string, nowMs: number): Refusal | null {
    const refusal = this.#refusals.get(connectionId);
    return refusal === undefined || refusal.untilMs <= nowMs ? null : refusal;
  }

  isCongested(connectionId: string, lane: Lane, nowMs: number): boolean {
    return (this.#congestedUntilMs.get(`${connectionId}/${lane}`) ?? 0) > nowMs;
  }

  /** True when nobody has been told of it yet: it is new, or for another reason than before. */
  refuse(refusal: Refusal): boolean {
    const before = this.#refusals.get(refusal.connectionId);
    put(this.#refusals, refusal.connectionId, refusal);
    return before === undefined || before.state !== refusal.state || before.reason !== refusal.reason;
  }

  /** It has read. True when it had been refused before. */
  allow(connectionId: string): boolean {
    return this.#refusals.delete(connectionId);
  }

  congested(connectionId: string, lane: Lane, untilMs: number): void {
    put(this.#congestedUntilMs, `${connectionId}/${lane}`, untilMs);
  }

  uncongested(connectionId: string, lane: Lane): void {
    this.#congestedUntilMs.delete(`${connectionId}/${lane}`);
  }
}

function put<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= MAX_ENTRIES) return;
  const [oldest] = map.keys();
  map.delete(oldest as string);
}
