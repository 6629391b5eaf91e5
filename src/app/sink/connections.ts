/**
 * Connections as commands name them: within a tenant, by id or name. Also those whose secrets cannot be opened here: that
 * such a connection is unknown would be a final answer, and a wrong one.
 */
import { CodedError } from '../../base/errors.ts';
import type { Connection } from '../../fibric/connection.ts';
import type { SinkConnections } from '../../sinks/runner/ports.ts';
import type { ConnectionStore } from '../control/store.ts';
import type { Clients } from '../poll/clients.ts';

export interface CommandConnectionsOptions {
  readonly store: Pick<ConnectionStore, 'get' | 'described' | 'onChange'>;
  readonly clients: Pick<Clients, 'of'>;
  /** Receipts of this tenant have nowhere to go; its commands become dead letters until they have. */
  readonly refused: (tenantId: string) => boolean;
  /** Tenants there are beside those with connections. */
  readonly isTenant?: (tenantId: string) => boolean;
}

export interface CommandConnections extends SinkConnections {
  close(): void;
}

/** By id and by name; made anew after changes, which are rare. */
type Tenants = ReadonlyMap<
  string,
  { readonly byId: Map<string, Connection>; readonly byName: Map<string, Connection> }
>;

export function openCommandConnections(options: CommandConnectionsOptions): CommandConnections {
  const { store, clients, refused, isTenant = () => false } = options;
  let tenants: Tenants | undefined;
  const close = store.onChange(() => {
    tenants = undefined;
  });
  const of = (tenantId: string) => {
    tenants ??= arrange(store.described());
    return tenants.get(tenantId);
  };
  return {
    knows: (tenantId) => (of(tenantId) !== undefined || isTenant(tenantId)) && !refused(tenantId),
    canBeTold: (tenantId) => !refused(tenantId),
    find(tenantId, idOrName) {
      const tenant = of(tenantId);
      return tenant?.byId.get(idOrName) ?? tenant?.byName.get(idOrName);
    },
    client({ tenantId, connectionId }) {
      const connection = store.get(connectionId);
      if (connection?.tenantId === tenantId) return clients.of(connection);
      const isThere = of(tenantId)?.byId.has(connectionId) === true;
      throw isThere
        ? new CodedError('secret_unreadable', "the connection's API key cannot be opened here", { connectionId })
        : new CodedError('connection_unknown', 'the connection was removed', { connectionId });
    },
    close,
  };
}

function arrange(connections: readonly Connection[]): Tenants {
  const tenants = new Map<string, { byId: Map<string, Connection>; byName: Map<string, Connection> }>();
  for (const connection of connections) {
    const { tenantId, connectionId, name } = connection;
    const tenant = tenants.get(tenantId) ?? { byId: new Map(), byName: new Map() };
    tenant.byId.set(connectionId, connection);
    tenant.byName.set(name, connection);
    tenants.set(tenantId, tenant);
  }
  return tenants;
}
