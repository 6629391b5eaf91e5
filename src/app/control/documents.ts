/**
 * JSON documents in the compacted control topic: policies, grants, tenants, API tokens. Every process that follows the topic
 * holds them in memory; one follow serves all kinds.
 *
 * Whoever writes holds the transactional.id of the topic's documents. Taking it over fences the writer before, and a barrier
 * then shows all it has written; so a change is always planned on what it replaces, and of two processes that change the
 * same document in the same moment neither loses the other's change nor shows a state that was never meant.
 *
 * D1  Only the holder's records get into the topic, and it has read every record of the holders before.
 * D2  `update` resolves after its own record was read back here, so whoever asks this process next sees it.
 * D3  One change at a time in one process: each is planned on what the one before has led to.
 * D4  A commit of unknown outcome is settled by taking over from oneself: after the barrier it was read, or never will be.
 */
import { randomUUID } from 'node:crypto';
import { CodedError, hasCode } from '../../base/errors.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Log, LogRecord, TransactionalProducer } from '../../kafka/port.ts';
import { type ControlLogger, ControlTopic, type ControlTopicHealth } from './control-topic.ts';
import { DocumentFold, type DocumentKind, type KindFold, type UnreadableDocument } from './document-fold.ts';

export type { DocumentKind, UnreadableDocument } from './document-fold.ts';

export interface DocumentsOptions {
  readonly log: Log;
  /** The control topic. */
  readonly topic: string;
  readonly logger: ControlLogger;
  /** Bounds opening and every change. */
  readonly timeoutMs?: number;
  readonly random?: () => number;
}

export interface DocumentTable<T> {
  /** Undefined also where the document cannot be read. The same object until it changes. */
  get(key: string): T | undefined;
  /** Those whose key begins with `prefix`, by key. */
  list(prefix?: string): readonly (readonly [string, T])[];
  /** Documents that are there and cannot be read; whoever must fail closed asks. */
  unreadable(prefix?: string): readonly UnreadableDocument[];
  /**
   * Plans a change on the document there is; again if another process wrote before it. `null` removes; the very object given,
   * or undefined, writes nothing. Resolves to what stands then, once it can be read here. Throws `document_unreadable`
   * rather than write over what it does not understand.
   */
  update(key: string, plan: (now: T | undefined) => T | null | undefined): Promise<T | undefined>;
  /** Removes a document whether it can be read or not; false when there is none. */
  discard(key: string): Promise<boolean>;
  /** After each change of a document of this kind, with its key. Returns how to stop. */
  onChange(listener: (key: string) => void): () => void;
}

export interface DocumentsHealth {
  /** Following the topic. Single unreadable documents do not make the others unready. */
  readonly ready: boolean;
  readonly detail: ControlTopicHealth & {
    readonly documents: number;
    readonly unreadable: readonly string[];
  };
}

export interface Documents {
  /** The same table for the same kind, before or after its records came. */
  table<T>(kind: DocumentKind<T>): DocumentTable<T>;
  /** Offset after the last record of the control topic that was read here. */
  controlAt(): number;
  /** The same with what lies behind it and cannot be read, such as the marker of a transaction. */
  readTo(): number;
  health(): DocumentsHealth;
  close(): Promise<void>;
}

/** Below what every broker takes as a message by default, with room for key and headers. */
export const MAX_DOCUMENT_BYTES = 900_000;
const TRANSACTION_TIMEOUT_MS = 10_000;
const MAX_ATTEMPTS = 10;
const BACKOFF_MS = 20;
/** So many keys are named in health; the count says the rest. */
const MAX_NAMED = 20;

/** Resolves when everything written before has been read. */
export async function openDocuments(options: DocumentsOptions): Promise<Documents> {
  const { log, topic, logger, timeoutMs = 15_000, random = Math.random } = options;
  const fold = new DocumentFold();
  /** Resolved when the record of that write id is read. */
  const awaited = new Map<string, () => void>();
  const stop = new AbortController();
  let changing: Promise<unknown> = Promise.resolve();
  let writer: TransactionalProducer | undefined;

  const report = (prefix: string, { key, code, message }: UnreadableDocument): void => {
    const document = `${prefix}/${key}`;
    logger.error({ event: 'control.document_unreadable', document, code }, `${document}: ${message}`);
  };
  const received = ({ key, value, headers }: LogRecord): void => {
    if (key === null) return;
    const applied = fold.apply(key.toString('utf8'), value);
    if (applied?.problem !== undefined) report(applied.prefix, applied.problem);
    awaited.get(headers[HEADER.writeId]?.toString() ?? '')?.();
  };

  const control = await ControlTopic.open({ log, topic, logger, received });
  try {
    await control.catchUpByBarrier(timeoutMs);
  } catch (error) {
    await control.close();
    throw error;
  }

  /** D3. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = changing.then(work);
    changing = result.catch(() => undefined);
    return result;
  }

  async function within<T>(work: Promise<T>, deadlineMs: number, late: (value: T) => void = () => {}): Promise<T> {
    const timer = new AbortController();
    let isLate = false;
    const expired = log.clock
      .sleep(Math.max(0, deadlineMs - log.clock.nowMs()), AbortSignal.any([timer.signal, stop.signal]))
      .then(() => {
        isLate = true;
        throw new CodedError('log_unavailable', 'the control topic did not take a document in time', { timeoutMs });
      });
    work.then((value) => isLate && late(value)).catch(() => undefined);
    try {
      return await Promise.race([work, expired]);
    } finally {
      timer.abort();
      expired.catch(() => undefined);
    }
  }

  /** D1. */
  async function hold(deadlineMs: number): Promise<TransactionalProducer> {
    if (writer !== undefined) return writer;
    const opening = log.transactional({
      transactionalId: `${topic}.documents`,
      transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
    });
    const opened = await within(opening, deadlineMs, (late) => void late.close().catch(() => undefined));
    writer = opened;
    await control.catchUpByBarrier(Math.max(1, deadlineMs - log.clock.nowMs())).catch((error) => {
      release();
      throw error;
    });
    return opened;
  }

  function release(): void {
    const spent = writer;
    writer = undefined;
    void spent?.close().catch(() => undefined);
  }

  /** `plan` gives the bytes to write, null to remove, undefined to leave it. */
  async function change(key: string, plan: () => Buffer | null | undefined): Promise<void> {
    const deadlineMs = log.clock.nowMs() + timeoutMs;
    const writeId = randomUUID();
    let isRead = false;
    const read = Promise.withResolvers<void>();
    awaited.set(writeId, () => {
      isRead = true;
      read.resolve();
    });
    try {
      for (let attempt = 0; ; attempt += 1) {
        try {
          const holder = await hold(deadlineMs);
          if (isRead) return; // D4
          const value = plan();
          if (value === undefined) return;
          const headers = { [HEADER.writeId]: writeId };
          const appends = [{ topic, partition: 0, key: Buffer.from(key), value, headers }];
          await within(holder.commit({ appends }), deadlineMs);
          await within(read.promise, deadlineMs);
          return;
        } catch (error) {
          if (error instanceof PlanError) throw error.cause;
          release();
          const passing = hasCode(error, 'fenced', 'commit_unknown', 'log_unavailable');
          if (!passing || stop.signal.aborted || log.clock.nowMs() >= deadlineMs) throw error;
          if (attempt + 1 >= MAX_ATTEMPTS) throw conflict(error);
          // Two that take over from one another must not do so in step.
          await log.clock.sleep(random() * BACKOFF_MS * 2 ** Math.min(attempt, 5), stop.signal);
        }
      }
    } finally {
      awaited.delete(writeId);
    }
  }

  function tableOf<T>(kindFold: KindFold<T>): DocumentTable<T> {
    const { kind } = kindFold;
    const whole = (key: string) => `${kind.prefix}/${key}`;
    return {
      get: (key) => kindFold.get(key),
      list: (prefix = '') => kindFold.list(prefix),
      unreadable: (prefix = '') => kindFold.unreadable(prefix),
      update: (key, plan) =>
        inTurn(async () => {
          await change(whole(key), () =>
            planned(() => {
              const problem = kindFold.problemOf(key);
              if (problem !== undefined) throw new CodedError('document_unreadable', problem.message, { key });
              const now = kindFold.get(key);
              const next = plan(now);
              if (next === undefined || next === now || (next === null && now === undefined)) return undefined;
              return next === null ? null : encode(whole(key), kind.encode(next));
            }),
          );
          return kindFold.get(key);
        }),
      discard: (key) =>
        inTurn(async () => {
          let found = false;
          await change(whole(key), () => {
            found ||= kindFold.has(key);
            return kindFold.has(key) ? null : undefined;
          });
          return found;
        }),
      onChange(listener) {
        kindFold.listeners.add(listener);
        return () => void kindFold.listeners.delete(listener);
      },
    };
  }

  const tables = new Map<KindFold<unknown>, DocumentTable<unknown>>();
  return {
    table<T>(kind: DocumentKind<T>) {
      const { fold: kindFold, problems } = fold.kind(kind);
      for (const problem of problems) report(kind.prefix, problem);
      const known = tables.get(kindFold as KindFold<unknown>) as DocumentTable<T> | undefined;
      const table = known ?? tableOf(kindFold);
      tables.set(kindFold as KindFold<unknown>, table as DocumentTable<unknown>);
      return table;
    },
    controlAt: () => control.health().nextOffset,
    readTo: () => control.readTo,
    health() {
      const health = control.health();
      const kinds = fold.kinds();
      const unreadable = kinds.flatMap((one) => one.unreadable('').map(({ key }) => `${one.kind.prefix}/${key}`));
      return {
        ready: health.following,
        detail: {
          ...health,
          documents: kinds.reduce((sum, one) => sum + one.size, 0),
          unreadable:
            unreadable.length > MAX_NAMED
              ? [...unreadable.slice(0, MAX_NAMED), `and ${unreadable.length - MAX_NAMED} more`]
              : unreadable,
        },
      };
    },
    async close() {
      stop.abort();
      await changing;
      await writer?.close().catch(() => undefined);
      writer = undefined;
      await control.close();
    },
  };
}

/** What a plan itself throws is the caller's, and is not tried again. */
class PlanError extends Error {}

function planned<T>(plan: () => T): T {
  try {
    return plan();
  } catch (error) {
    throw new PlanError('the plan of a change failed', { cause: error });
  }
}

function encode(key: string, value: unknown): Buffer {
  const bytes = Buffer.from(JSON.stringify(value));
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    const message = `${key} would have ${bytes.length} bytes, more than the ${MAX_DOCUMENT_BYTES} a document may have`;
    throw new CodedError('document_too_large', message);
  }
  return bytes;
}

function conflict(cause: unknown): CodedError {
  const message = 'documents are being changed by others again and again; try again';
  return new CodedError('document_conflict', message, {}, { cause });
}
