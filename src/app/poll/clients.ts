/**
 * The clients of this process, one per connection, for whatever calls Kustomer: polls, health checks, orders. A connection
 * whose key or address changed gets another; the old one is closed, which ends its calls.
 */

import type { Clock } from '../../base/clock.ts';
import { CodedError } from '../../base/errors.ts';
import { type ConnectionWithTokens, sameAccess } from '../../fibric/connection.ts';
import type { BudgetGate } from '../../kustomer/client/budget-gate.ts';
import { createKustomerClient, type KustomerClient } from '../../kustomer/client/client.ts';

export interface ClientsOptions {
  /** The same gate for all connections of an organisation. */
  readonly gateOf: (connection: ConnectionWithTokens) => BudgetGate;
  readonly clock?: Clock;
}

interface Held {
  readonly connection: ConnectionWithTokens;
  readonly client: KustomerClient;
}

export class Clients {
  readonly #options: ClientsOptions;
  readonly #held = new Map<string, Held>();
  readonly #closing = new Set<Promise<void>>();
  #closed = false;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** Throws `config_invalid` when the connection has no key, or one or an address that nothing can be sent with. */
  of(connection: ConnectionWithTokens): KustomerClient {
    const { connectionId, subdomain, apiBaseUrl, apiKey } = connection;
    if (this.#closed) throw new CodedError('shutting_down', 'the clients are closed', { connectionId });
    const held = this.#held.get(connectionId);
    if (held !== undefined && sameAccess(held.connection, connection)) return held.client;
    if (apiKey === null) throw new CodedError('config_invalid', 'the connection has no API key', { connectionId });
    const { gateOf, clock } = this.#options;
    const client = createKustomerClient({
      subdomain,
      ...(apiBaseUrl === null ? {} : { baseUrl: apiBaseUrl }),
      apiKey,
      gate: gateOf(connection),
      ...(clock === undefined ? {} : { clock }),
    });
    this.#drop(connectionId);
    this.#held.set(connectionId, { connection, client });
    return client;
  }

  /** Lets go of the clients of connections that are no more. */
  keepOnly(connectionIds: ReadonlySet<string>): void {
    for (const connectionId of [...this.#held.keys()]) if (!connectionIds.has(connectionId)) this.#drop(connectionId);
  }

  health(): readonly { readonly connectionId: string; readonly client: ReturnType<KustomerClient['health']> }[] {
    return [...this.#held].map(([connectionId, { client }]) => ({ connectionId, client: client.health() }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.keepOnly(new Set());
    await Promise.all(this.#closing);
  }

  #drop(connectionId: string): void {
    const held = this.#held.get(connectionId);
    if (held === undefined) return;
    this.#held.delete(connectionId);
    const closing = held.client.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
