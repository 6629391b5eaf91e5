/**
 * What Kustomer said of connections as a whole when commands were carried out: a key that is refused, a role it lacks, an
 * address that is wrong. Told from the first such answer to the next one that is none.
 */
import type { Connection } from '../../fibric/connection.ts';
import type { ConnectionFault } from '../../sinks/outcome.ts';

export interface FaultyConnection {
  readonly tenantId: string;
  readonly connectionId: string;
  readonly fault: ConnectionFault;
  /** Kustomer's own words among it. */
  readonly message: string;
  readonly sinceMs: number;
}

/** There are no more than connections; this is against those that were removed. */
const MAX_REMEMBERED = 1000;

export class ConnectionFaults {
  readonly #faults = new Map<string, FaultyConnection>();

  /** True when this is news. */
  note({ tenantId, connectionId }: Connection, fault: ConnectionFault, message: string, nowMs: number): boolean {
    const before = this.#faults.get(connectionId);
    const isNews = before?.fault !== fault;
    this.#faults.delete(connectionId);
    if (this.#faults.size >= MAX_REMEMBERED) this.#faults.delete(this.#faults.keys().next().value as string);
    this.#faults.set(connectionId, {
      ...{ tenantId, connectionId, fault, message },
      sinceMs: isNews ? nowMs : before.sinceMs,
    });
    return isNews;
  }

  /** True when there was a fault. */
  clear(connectionId: string): boolean {
    return this.#faults.delete(connectionId);
  }

  get(connectionId: string): FaultyConnection | undefined {
    return this.#faults.get(connectionId);
  }

  list(): readonly FaultyConnection[] {
    return [...this.#faults.values()];
  }
}
