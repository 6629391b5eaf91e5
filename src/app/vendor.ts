/**
 * The vendor's side of one unit, shared by all its roles that call Kustomer: one gate for each organisation, so that one
 * budget holds for polls, writes and reads alike, and one client for each connection.
 */
import type { BudgetGate } from '../kustomer/client/budget-gate.ts';
import { type Budgets, type BudgetsOptions, budgetKeyOf, createBudgets } from './budget/index.ts';
import type { ConnectionStore } from './control/store.ts';
import { Clients } from './poll/clients.ts';

export interface VendorOptions extends BudgetsOptions {
  readonly connections: Pick<ConnectionStore, 'list' | 'onChange'>;
}

export interface Vendor {
  readonly clients: Clients;
  readonly budgets: Pick<Budgets, 'gateFor'>;
  health(): { readonly ready: boolean; readonly detail: unknown };
  /** After every role that calls: ends what is still being called. */
  close(): Promise<void>;
}

export async function openVendor(options: VendorOptions): Promise<Vendor> {
  const budgets = await createBudgets(options);
  const { clients, close } = openClients(options.connections, (organisation) => budgets.gateFor(organisation));
  return {
    clients,
    budgets,
    health: () => budgets.health(),
    close: async () => {
      await close();
      await budgets.close();
    },
  };
}

/** Clients by gates of whatever kind; those of connections that are removed are let go. */
export function openClients(
  connections: VendorOptions['connections'],
  createGate: (organisation: string) => BudgetGate,
): { readonly clients: Clients; close(): Promise<void> } {
  const gates = new Map<string, BudgetGate>();
  const clients = new Clients({
    gateOf: (connection) => {
      const key = budgetKeyOf(connection);
      const gate = gates.get(key) ?? createGate(key);
      gates.set(key, gate);
      return gate;
    },
  });
  const stopPruning = connections.onChange(() =>
    clients.keepOnly(new Set(connections.list().map(({ connectionId }) => connectionId))),
  );
  const close = async (): Promise<void> => {
    stopPruning();
    await clients.close();
  };
  return { clients, close };
}
