/**
 * The poller of one process: over each partition it owns it polls the connections that belong there.
 *
 * D1 A connection is polled by the owner of the partition its name falls into, and its cursors lie there: one owner at a
 *    time, and one that is no longer the owner cannot commit.
 * D2 A connection that changes is stopped, and begun anew from its cursors once it has stopped.
 * D3 A commit that fails ends the partition's polling: what is committed decides where its next owner goes on.
 */
import { aborted } from '../../base/aborted.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import { pollConnection } from './connection-poller.ts';
import { scopeKey } from './cursor-record.ts';
import { type ConnectionPollHealth, PollHealthBook } from './health.ts';
import type { ClientSource, Owned, PollEnvironment, PolledConnections } from './ports.ts';

export interface PollerOptions extends PollEnvironment {
  readonly connections: PolledConnections;
  readonly clients: ClientSource;
}

interface Running {
  readonly connection: ConnectionWithTokens;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

export class Poller {
  readonly #options: PollerOptions;
  readonly #book = new PollHealthBook();

  constructor(options: PollerOptions) {
    this.#options = options;
  }

  get health(): readonly ConnectionPollHealth[] {
    return this.#book.health(this.#options.clock.nowMs());
  }

  /** For the owner worker. */
  async serve(owned: Owned): Promise<void> {
    const { connections } = this.#options;
    const running = new Map<string, Running>();
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined); // when nobody waits for it any more
    let closing = false;
    const reconcile = (): void => {
      if (closing) return;
      const mine = new Map(
        connections
          .list()
          .filter((connection) => owned.partitionOf(scopeKey(connection)) === owned.partition)
          .map((connection) => [scopeKey(connection), connection]),
      );
      for (const [scope, { connection, stop }] of running) if (mine.get(scope) !== connection) stop.abort();
      for (const [scope, connection] of mine) {
        if (running.has(scope)) continue; // D2: when it has stopped we come here again
        const stop = new AbortController();
        const done = this.#poll(owned, connection, stop.signal)
          .catch(failed.reject)
          .finally(() => {
            running.delete(scope);
            reconcile();
          });
        running.set(scope, { connection, stop, done });
      }
    };
    const stopListening = connections.onChange(reconcile);
    try {
      reconcile();
      await Promise.race([aborted(owned.signal), failed.promise]);
    } finally {
      closing = true;
      stopListening();
      const all = [...running.values()];
      for (const { stop } of all) stop.abort();
      await Promise.all(all.map(({ done }) => done));
    }
  }

  async #poll(owned: Owned, connection: ConnectionWithTokens, stop: AbortSignal): Promise<void> {
    const notes = this.#book.open(connection);
    const signal = AbortSignal.any([owned.signal, stop]);
    const client = () => this.#options.clients.of(connection);
    try {
      await pollConnection({ environment: this.#options, owned, connection, client, notes, signal });
    } finally {
      this.#book.close(notes);
    }
  }
}
