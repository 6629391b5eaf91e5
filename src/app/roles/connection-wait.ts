/**
 * Waits for connections that records name and this process has not heard of yet: the receiver that took a webhook in may
 * follow the control topic a moment ahead of us, and to process it without the connection's settings would drop its
 * extended events for good.
 *
 * A connection that does not turn up in time was removed; it is waited for once, so that its backlog is not held up.
 */
import type { Connection } from '../../fibric/connection.ts';
import type { Clock } from '../../kafka/port.ts';

export interface ConnectionWaitOptions {
  readonly connections: { get(connectionId: string): Connection | undefined };
  readonly clock: Clock;
  readonly timeoutMs?: number;
  readonly maxRemembered?: number;
}

const LOOK_EVERY_MS = 50;

export class ConnectionWait {
  readonly #connections: ConnectionWaitOptions['connections'];
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #maxRemembered: number;
  readonly #waiting = new Map<string, Promise<void>>();
  readonly #missing = new Set<string>();

  constructor({ connections, clock, timeoutMs = 3_000, maxRemembered = 10_000 }: ConnectionWaitOptions) {
    this.#connections = connections;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#maxRemembered = maxRemembered;
  }

  /** Undefined when there is nothing to wait for. Never rejects. */
  wait(connectionId: string): Promise<void> | undefined {
    if (this.#connections.get(connectionId) !== undefined || this.#missing.has(connectionId)) return undefined;
    let waiting = this.#waiting.get(connectionId);
    if (waiting === undefined) {
      waiting = this.#watch(connectionId);
      this.#waiting.set(connectionId, waiting);
    }
    return waiting;
  }

  async #watch(connectionId: string): Promise<void> {
    const deadlineMs = this.#clock.nowMs() + this.#timeoutMs;
    while (this.#connections.get(connectionId) === undefined && this.#clock.nowMs() < deadlineMs) {
      await this.#clock.sleep(LOOK_EVERY_MS);
    }
    this.#waiting.delete(connectionId);
    if (this.#connections.get(connectionId) !== undefined) return;
    if (this.#missing.size >= this.#maxRemembered) this.#missing.clear();
    this.#missing.add(connectionId);
  }
}
