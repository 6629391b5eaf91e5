/**
 * Commands whose connection is gone, or has another in its name. What has been in flight through it may have happened, and nobody
 * can ask: it is settled as what cannot be read back, in its lane, and is not refused. Pure.
 */
import type { CommandFacts } from '../../fibric/commands/command.ts';
import { CONNECTION_SETTINGS, type Connection } from '../../fibric/connection.ts';
import type { InFlight, LedgerEntry } from '../ledger/entry.ts';
import type { CommandWork } from './admit.ts';

/** What the ledger knows of an identity. */
export type LookUp = (identity: string) => LedgerEntry | null;

/** A call of the very command with this receipt, by an owner that is gone. Its copies have none. */
export function callOf(entry: LedgerEntry | null, receiptId: string): InFlight | null {
  return entry?.kind === 'in_flight' && entry.receiptId === receiptId ? entry : null;
}

/** For a copy: nobody knows what became of the first, or will before a person has said so. */
export function isDoubted(entry: LedgerEntry | null): boolean {
  return entry?.kind === 'parked' || (entry?.kind === 'in_flight' && entry.sendable);
}

/** It is bound to what its entry is bound to: the id of its connection is known there only. */
export function disconnected(work: CommandWork, { fingerprint }: InFlight): CommandWork {
  return {
    ...work,
    connection: removedConnection(work.command),
    live: { ...work.live, fingerprint, disconnected: true },
  };
}

/** Nothing is known of it but how it was called. */
export function removedConnection({ tenantId, connection }: Pick<CommandFacts, 'tenantId' | 'connection'>): Connection {
  return {
    ...{ tenantId, connectionId: connection, name: connection, subdomain: '', hasApiKey: false, startedAtMs: 0 },
    ...{ resellerId: null, workspaceId: null, orgId: null, apiBaseUrl: null, webhookId: null, previousWebhookId: null },
    settings: CONNECTION_SETTINGS,
  };
}
