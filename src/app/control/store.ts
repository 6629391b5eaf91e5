/**
 * Connections, kept in the compacted control topic and in the memory of every process that follows it.
 *
 * Open resolves when everything written before has been read. A change is planned on the record it replaces, whichever process
 * wrote that (D1 to D4 of writer.ts): of any number that change the same connection in the same moment all changes are kept,
 * unless they are of the same field, where the later wins; and a name is given once.
 */
import { CodedError } from '../../base/errors.ts';
import type { Connection, ConnectionWithTokens } from '../../fibric/connection.ts';
import type { Log, LogRecord } from '../../kafka/port.ts';
import type { TopicNames } from '../../kafka/topics.ts';
import { type Claim, type ClaimOptions, Claims } from './claims.ts';
import { type ConnectionChange, planConnection } from './connection-plan.ts';
import { connectionKey, encodeConnection, NO_UNKNOWN_FIELDS } from './connection-record.ts';
import { ConnectionTable, type Problem } from './connection-table.ts';
import { type ControlLogger, ControlTopic, type ControlTopicHealth } from './control-topic.ts';
import type { Keyring } from './seal.ts';
import { ControlWriter } from './writer.ts';

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
  /** Alone among all processes, for one tenant: for what has steps at Kustomer. See claims.ts. */
  exclusively<T>(tenantId: string, work: (claim: Claim) => Promise<T>, options?: ClaimOptions): Promise<T>;
  /** Calls back after each change, with the id of the connection. Returns how to stop. */
  onChange(listener: (connectionId: string) => void): () => void;
  /** Offset after the last record of the control topic that was read here. */
  controlAt(): number;
  /** The same with what lies behind it and cannot be read, such as the marker of a transaction. */
  readTo(): number;
  health(): StoreHealth;
  close(): Promise<void>;
}

export async function openConnectionStore(options: ConnectionStoreOptions): Promise<ConnectionStore> {
  const { log, keyring, logger, timeoutMs = 15_000 } = options;
  const table = new ConnectionTable(keyring);
  const listeners = new Set<(connectionId: string) => void>();
  const report =
    options.onProblem ??
    ((problem) => logger.error({ event: 'control.connection_problem', ...problem }, problem.message));
  /** Until then a problem may be of an older record, and over with the next. */
  let caughtUp = false;

  const writer = new ControlWriter({
    ...{ log, topic: options.topics.control, timeoutMs, transactionalId: `${options.topics.control}.connections` },
    catchUp: (withinMs) => control.catchUpByBarrier(withinMs),
  });
  const claims = new Claims({ clock: log.clock, writer });

  const received = (record: LogRecord): void => {
    const { key: bytes, value } = record;
    if (bytes === null) return;
    const key = bytes.toString('utf8');
    claims.apply(key, value);
    const change = table.apply(key, value);
    writer.read(record);
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

  return {
    get: (connectionId) => table.get(connectionId),
    describe: (connectionId) => table.describe(connectionId),
    described: () => table.described(),
    unreadable: (connectionId) => table.unreadable(connectionId),
    list: () => table.list().map(({ connection }) => connection),
    async add(change) {
      const key = connectionKey(change.connection);
      const base = change.base ?? table.claimOf(key)?.connection;
      let planned: ConnectionWithTokens | undefined;
      await writer.change(key, () => {
        const now = table.claimOf(key);
        // A change does not bring back what was removed meanwhile.
        if (base !== undefined && !table.keysOf(base.connectionId).includes(key)) throw unknown(base.connectionId);
        const all = table.list().map(({ connection }) => connection);
        planned = planConnection({ ...change, base }, { existing: now?.connection, all });
        const createdAtMs = now?.createdAtMs ?? log.clock.nowMs();
        return encodeConnection(
          { connection: planned, createdAtMs, unknown: now?.unknown ?? NO_UNKNOWN_FIELDS },
          keyring,
        );
      });
      return planned as ConnectionWithTokens;
    },
    async remove(connectionId, tenantId) {
      const keys = table
        .keysOf(connectionId)
        .filter((key) => tenantId === undefined || key === connectionKey({ tenantId, connectionId }));
      if (keys.length === 0) throw unknown(connectionId);
      if (keys.length > 1) {
        throw new CodedError('connection_conflict', 'two tenants claim this id; name the tenant', { connectionId });
      }
      for (const key of keys) {
        await writer.change(key, () => (table.keysOf(connectionId).includes(key) ? null : undefined));
      }
    },
    async reseal() {
      const before = table.claims();
      for (const { connection } of before) {
        const key = connectionKey(connection);
        await writer.change(key, () => {
          const now = table.claimOf(key);
          return now === undefined ? undefined : encodeConnection(now, keyring);
        });
      }
      return { sealed: before.length, stale: before.filter(({ staleSeal }) => staleSeal).length };
    },
    exclusively: (tenantId, work, asked) => claims.exclusively(tenantId, work, asked),
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
      await writer.close();
      await control.close();
    },
  };
}

function unknown(connectionId: string): CodedError {
  return new CodedError('connection_unknown', 'no connection has this id', { connectionId });
}
