/**
 * Connections, kept in the compacted control topic and in the memory of every process that follows it.
 *
 * Open resolves when everything written before has been read. A write that turns out to have replaced another record than
 * the one it was planned on (two processes changed the same connection in the same moment) is planned again on that one:
 * both changes are kept, unless they are of the same field, where the later wins.
 */
import { randomUUID } from 'node:crypto';
import { CodedError } from '../../base/errors.ts';
import type { Connection, ConnectionWithTokens } from '../../fibric/connection.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Log, LogRecord } from '../../kafka/port.ts';
import type { TopicNames } from '../../kafka/topics.ts';
import { type ConnectionChange, planConnection } from './connection-plan.ts';
import {
  connectionKey,
  encodeConnection,
  NO_UNKNOWN_FIELDS,
  parseConnectionKey,
  type StoredConnection,
} from './connection-record.ts';
import { ConnectionTable, type Problem } from './connection-table.ts';
import { type ControlLogger, ControlTopic, type ControlTopicHealth } from './control-topic.ts';
import type { Keyring } from './seal.ts';

export interface ConnectionStoreOptions {
  readonly log: Log;
  readonly topics: Pick<TopicNames, 'control'>;
  readonly keyring: Keyring;
  readonly logger: ControlLogger;
  /** Told of each connection that cannot be used, once it is known and after each change; default: an error in the log. */
  readonly onProblem?: (problem: Problem) => void;
  /** `quiet` for those without the right to write, at the price of a wait; see ControlTopic. */
  readonly catchUp?: 'barrier' | 'quiet';
  /** Bounds opening and every write. */
  readonly timeoutMs?: number;
  readonly quietMs?: number;
}

export interface StoreHealth extends ControlTopicHealth {
  /** Following the topic. Single unreadable connections do not make the others unready. */
  readonly ready: boolean;
  readonly connections: number;
  /** Connections whose record or secrets cannot be read here. */
  readonly unreadable: number;
  /** Connections that need another master key than the newest; `reseal` mends that. */
  readonly stale: number;
  /** Why connections are not in use: unreadable ones, and those whose id is another tenant's. */
  readonly problems: readonly Problem[];
}

export interface Resealed {
  /** Connections sealed again. */
  readonly sealed: number;
  /** Of these, how many were under an older key. */
  readonly stale: number;
}

export interface ConnectionStore {
  /** The same object until the connection changes. */
  get(connectionId: string): ConnectionWithTokens | undefined;
  /** The connection without its secrets, also where those cannot be opened. The same object until it changes. */
  describe(connectionId: string): Connection | undefined;
  /** All of them without their secrets, also those whose secrets cannot be opened. */
  described(): readonly Connection[];
  /** The connection exists, but its latest record cannot be read here. */
  unreadable(connectionId: string): boolean;
  list(): readonly ConnectionWithTokens[];
  /** Adds a connection or changes one; resolves when this store shows it. */
  add(change: ConnectionChange): Promise<ConnectionWithTokens>;
  /** Throws `connection_unknown` when there is none (of this tenant, where one is named). */
  remove(connectionId: string, tenantId?: string): Promise<void>;
  /** Seals every connection that can be read again, under the newest master key; nothing else about it changes. */
  reseal(): Promise<Resealed>;
  /** Calls back after each change, with the id of the connection. Returns how to stop. */
  onChange(listener: (connectionId: string) => void): () => void;
  /** Offset after the last record of the control topic that was read here. */
  controlAt(): number;
  /** The same with what lies behind it and cannot be read, such as the marker of a transaction. */
  readTo(): number;
  health(): StoreHealth;
  close(): Promise<void>;
}

type NewRecord = Omit<StoredConnection, 'staleSeal'>;

interface Version {
  readonly offset: number;
  readonly removed: boolean;
}

interface Replaced {
  /** Of the write itself. */
  readonly own: Version;
  /** Of what it replaced. */
  readonly version: Version | undefined;
  readonly stored: StoredConnection | undefined;
}

const MAX_ATTEMPTS = 5;

export async function openConnectionStore(options: ConnectionStoreOptions): Promise<ConnectionStore> {
  const { log, keyring, logger, timeoutMs = 15_000 } = options;
  const table = new ConnectionTable(keyring);
  const listeners = new Set<(connectionId: string) => void>();
  let changing: Promise<unknown> = Promise.resolve();
  const report =
    options.onProblem ??
    ((problem) => logger.error({ event: 'control.connection_problem', ...problem }, problem.message));
  /** The latest record of each key. */
  const versions = new Map<string, Version>();
  /** What our own writes under way have replaced, by write id. */
  const replaced = new Map<string, Replaced | null>();
  /** Until then a problem may be of an older record, and over with the next. */
  let caughtUp = false;

  const received = ({ key: bytes, value, headers, offset }: LogRecord): void => {
    if (bytes === null) return;
    const key = bytes.toString('utf8');
    const writeId = headers[HEADER.writeId]?.toString() ?? '';
    const own: Version = { offset, removed: value === null };
    if (replaced.has(writeId)) replaced.set(writeId, { own, version: versions.get(key), stored: table.claimOf(key) });
    if (parseConnectionKey(key) !== undefined) versions.set(key, own);
    const change = table.apply(key, value);
    if (change === undefined) return;
    if (change.problem !== undefined && caughtUp) report(change.problem);
    for (const listener of listeners) listener(change.connectionId);
  };

  const control = await ControlTopic.open({ log, topic: options.topics.control, logger, received });
  try {
    if (options.catchUp === 'quiet') await control.catchUpByQuiet(options.quietMs ?? 2_000);
    else await control.catchUpByBarrier(timeoutMs);
  } catch (error) {
    await control.close();
    throw error;
  }
  caughtUp = true;
  for (const problem of table.problems()) report(problem);

  /** One change of this store at a time: each is planned on what the one before has led to. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = changing.then(work);
    changing = result.catch(() => undefined);
    return result;
  }

  /** Writes what `plan` makes of the record there is; again on what another process has written meanwhile. */
  async function put(key: string, plan: (now: StoredConnection | undefined) => NewRecord): Promise<NewRecord> {
    let version = versions.get(key);
    let now = table.claimOf(key);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const record = plan(now);
      const writeId = randomUUID();
      replaced.set(writeId, null);
      await control.write(key, encodeConnection(record, keyring), timeoutMs, writeId).catch((error) => {
        replaced.delete(writeId);
        throw error;
      });
      const overwritten = replaced.get(writeId);
      replaced.delete(writeId);
      if (overwritten === null || overwritten === undefined || overwritten.version === version) return record;
      if (overwritten.version?.removed === true) {
        // A change does not bring back what was removed meanwhile.
        await control.write(key, null, timeoutMs);
        throw new CodedError('connection_unknown', 'the connection was removed meanwhile');
      }
      // What cannot be read here cannot be kept either.
      if (overwritten.stored === undefined) return record;
      // Should somebody have written after us, the next write finds that out.
      version = overwritten.own;
      now = overwritten.stored;
    }
    throw new CodedError('connection_conflict', 'the connection is being changed by others again and again');
  }

  return {
    get: (connectionId) => table.get(connectionId),
    describe: (connectionId) => table.describe(connectionId),
    described: () => table.described(),
    unreadable: (connectionId) => table.unreadable(connectionId),
    list: () => table.list().map(({ connection }) => connection),
    add: (change) =>
      inTurn(async () => {
        const key = connectionKey(change.connection);
        const first = table.claimOf(key)?.connection;
        const record = await put(key, (now) => {
          const all = table.list().map(({ connection }) => connection);
          const rebased = { ...change, base: change.base ?? first };
          return {
            connection: planConnection(rebased, { existing: now?.connection, all }),
            createdAtMs: now?.createdAtMs ?? log.clock.nowMs(),
            unknown: now?.unknown ?? NO_UNKNOWN_FIELDS,
          };
        });
        return record.connection;
      }),
    remove: (connectionId, tenantId) =>
      inTurn(async () => {
        const keys = table
          .keysOf(connectionId)
          .filter((key) => tenantId === undefined || key === connectionKey({ tenantId, connectionId }));
        if (keys.length === 0)
          throw new CodedError('connection_unknown', 'no connection has this id', { connectionId });
        if (keys.length > 1) {
          throw new CodedError('connection_conflict', 'two tenants claim this id; name the tenant', { connectionId });
        }
        for (const key of keys) await control.write(key, null, timeoutMs);
      }),
    reseal: () =>
      inTurn(async () => {
        const before = table.claims();
        for (const stored of before) await put(connectionKey(stored.connection), (now) => now ?? stored);
        return { sealed: before.length, stale: before.filter(({ staleSeal }) => staleSeal).length };
      }),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    controlAt: () => control.health().nextOffset,
    readTo: () => control.readTo,
    health() {
      const health = control.health();
      return {
        ...health,
        ready: health.following,
        connections: table.list().length,
        unreadable: table.unreadableCount,
        stale: table.claims().filter(({ staleSeal }) => staleSeal).length,
        problems: table.problems(),
      };
    },
    async close() {
      await changing;
      await control.close();
    },
  };
}
