/**
 * The connections as the control topic has them: a fold over its records, in log order. No I/O.
 *
 * T1  What is held depends only on the latest record of each key, so a process that followed the topic and one that
 *     read it compacted hold the same.
 * T2  A record that cannot be read makes its connection unreadable, whatever its earlier records said: an old token
 *     must not stay alive because the record that revoked it cannot be opened.
 *     Its settings are no secret and are told all the same: a processor takes nothing in, and to process a connection's
 *     records without them would drop its extended events for good.
 * T3  A connection id that two tenants claim belongs to the one whose claim is older; the other is a problem, and its
 *     turn comes when the first is removed.
 */
import { CodedError } from '../../base/errors.ts';
import type { Connection, ConnectionWithTokens } from '../../fibric/connection.ts';
import {
  type DescribedConnection,
  describeConnection,
  openSecrets,
  parseConnectionKey,
  type StoredConnection,
} from './connection-record.ts';
import type { Keyring } from './seal.ts';

export interface Problem {
  readonly tenantId: string;
  readonly connectionId: string;
  readonly code: string;
  readonly message: string;
}

type Entry = {
  readonly key: string;
  /** Undefined for a record that is not understood. */
  readonly described: DescribedConnection | undefined;
} & (
  | { readonly kind: 'open'; readonly stored: StoredConnection }
  | { readonly kind: 'unreadable'; readonly problem: Problem }
);

export class ConnectionTable {
  readonly #keyring: Keyring;
  /** Claims on a connection id, one per tenant that has it; nearly always one. */
  readonly #claims = new Map<string, readonly Entry[]>();

  constructor(keyring: Keyring) {
    this.#keyring = keyring;
  }

  /** Returns what the record did; undefined for a record that is no connection's. */
  apply(key: string, value: Buffer | null): { readonly connectionId: string; readonly problem?: Problem } | undefined {
    const id = parseConnectionKey(key);
    if (id === undefined) return undefined;
    const others = (this.#claims.get(id.connectionId) ?? []).filter((entry) => entry.key !== key);
    const entry = value === null ? undefined : this.#read(key, id, value);
    const claims = entry === undefined ? others : [...others, entry].sort(byClaim);
    if (claims.length === 0) this.#claims.delete(id.connectionId);
    else this.#claims.set(id.connectionId, claims);
    const problem = entry?.kind === 'unreadable' ? entry.problem : this.#disputes(id.connectionId)[0];
    return problem === undefined ? { connectionId: id.connectionId } : { connectionId: id.connectionId, problem };
  }

  get(connectionId: string): ConnectionWithTokens | undefined {
    return this.stored(connectionId)?.connection;
  }

  stored(connectionId: string): StoredConnection | undefined {
    const owner = this.#claims.get(connectionId)?.[0];
    return owner?.kind === 'open' ? owner.stored : undefined;
  }

  /** The claim of one key, if it can be read. */
  claimOf(key: string): StoredConnection | undefined {
    const connectionId = parseConnectionKey(key)?.connectionId ?? '';
    const entry = this.#claims.get(connectionId)?.find((one) => one.key === key);
    return entry?.kind === 'open' ? entry.stored : undefined;
  }

  /** The connection without its secrets, whether they can be opened here or not; of several claims the oldest. */
  describe(connectionId: string): Connection | undefined {
    let oldest: DescribedConnection | undefined;
    for (const { described } of this.#claims.get(connectionId) ?? []) {
      if (described !== undefined && (oldest === undefined || described.createdAtMs < oldest.createdAtMs)) {
        oldest = described;
      }
    }
    return oldest?.connection;
  }

  /** Every connection without its secrets, whether they can be opened here or not. */
  described(): readonly Connection[] {
    return [...this.#claims.keys()].flatMap((connectionId) => this.describe(connectionId) ?? []);
  }

  /** Exists, but its latest record cannot be read here. */
  unreadable(connectionId: string): boolean {
    return this.#claims.get(connectionId)?.[0]?.kind === 'unreadable';
  }

  list(): readonly StoredConnection[] {
    return [...this.#claims.values()].flatMap(([owner]) => (owner?.kind === 'open' ? [owner.stored] : []));
  }

  /** Every claim that could be read, those that lost their id to another included. */
  claims(): readonly StoredConnection[] {
    return [...this.#claims.values()].flat().flatMap((entry) => (entry.kind === 'open' ? [entry.stored] : []));
  }

  /** Claims whose latest record cannot be read here. */
  get unreadableCount(): number {
    return [...this.#claims.values()].flat().filter((entry) => entry.kind === 'unreadable').length;
  }

  problems(): readonly Problem[] {
    return [...this.#claims].flatMap(([connectionId, claims]) => [
      ...claims.flatMap((entry) => (entry.kind === 'unreadable' ? [entry.problem] : [])),
      ...this.#disputes(connectionId),
    ]);
  }

  /** Keys of every record about this connection id, readable or not. */
  keysOf(connectionId: string): readonly string[] {
    return (this.#claims.get(connectionId) ?? []).map((entry) => entry.key);
  }

  #read(key: string, id: { tenantId: string; connectionId: string }, value: Buffer): Entry {
    let described: DescribedConnection | undefined;
    try {
      described = describeConnection(id, value);
      return { key, described, kind: 'open', stored: openSecrets(described, this.#keyring) };
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      return { key, described, kind: 'unreadable', problem: { ...id, code: error.code, message: error.message } };
    }
  }

  #disputes(connectionId: string): readonly Problem[] {
    const [owner, ...rest] = this.#claims.get(connectionId) ?? [];
    if (owner === undefined) return [];
    return rest.map((entry) => ({
      tenantId: parseConnectionKey(entry.key)?.tenantId ?? '',
      connectionId,
      code: 'connection_conflict',
      message: `the connection id belongs to ${connectionKeyTenant(owner.key)} already`,
    }));
  }
}

function connectionKeyTenant(key: string): string {
  return parseConnectionKey(key)?.tenantId ?? '';
}

/** Unreadable claims first: whether theirs is the older claim is not sure, and nothing may be served on a guess. */
function byClaim(a: Entry, b: Entry): number {
  const at = (entry: Entry) => (entry.kind === 'open' ? entry.stored.createdAtMs : Number.NEGATIVE_INFINITY);
  if (at(a) !== at(b)) return at(a) < at(b) ? -1 : 1;
  return a.key < b.key ? -1 : 1;
}
