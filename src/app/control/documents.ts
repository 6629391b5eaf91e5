/**
 * JSON documents in the compacted control topic: policies, grants, tenants, API tokens. Every process that follows the topic
 * holds them in memory; one follow serves all kinds.
 *
 * Each change is planned on what it replaces, whichever process wrote that: D1 to D4 of writer.ts.
 */
import { CodedError } from '../../base/errors.ts';
import type { Log, LogRecord } from '../../kafka/port.ts';
import { type ControlLogger, ControlTopic, type ControlTopicHealth } from './control-topic.ts';
import { DocumentFold, type DocumentKind, type KindFold, type UnreadableDocument } from './document-fold.ts';
import { ControlWriter } from './writer.ts';

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
/** So many keys are named in health; the count says the rest. */
const MAX_NAMED = 20;

/** Resolves when everything written before has been read. */
export async function openDocuments(options: DocumentsOptions): Promise<Documents> {
  const { log, topic, logger, timeoutMs = 15_000 } = options;
  const fold = new DocumentFold();
  const report = (prefix: string, { key, code, message }: UnreadableDocument): void => {
    const document = `${prefix}/${key}`;
    logger.error({ event: 'control.document_unreadable', document, code }, `${document}: ${message}`);
  };
  const writer = new ControlWriter({
    ...{ log, topic, timeoutMs, transactionalId: `${topic}.documents` },
    catchUp: (withinMs) => control.catchUpByBarrier(withinMs),
    ...(options.random !== undefined && { random: options.random }),
  });
  const received = (record: LogRecord): void => {
    const { key, value } = record;
    if (key === null) return;
    const applied = fold.apply(key.toString('utf8'), value);
    if (applied?.problem !== undefined) report(applied.prefix, applied.problem);
    writer.read(record);
  };

  const control = await ControlTopic.open({ log, topic, logger, received });
  try {
    await control.catchUpByBarrier(timeoutMs);
  } catch (error) {
    await control.close();
    throw error;
  }

  function tableOf<T>(kindFold: KindFold<T>): DocumentTable<T> {
    const { kind } = kindFold;
    const whole = (key: string) => `${kind.prefix}/${key}`;
    return {
      get: (key) => kindFold.get(key),
      list: (prefix = '') => kindFold.list(prefix),
      unreadable: (prefix = '') => kindFold.unreadable(prefix),
      update: async (key, plan) => {
        await writer.change(whole(key), () => {
          const problem = kindFold.problemOf(key);
          if (problem !== undefined) throw new CodedError('document_unreadable', problem.message, { key });
          const now = kindFold.get(key);
          const next = plan(now);
          if (next === undefined || next === now || (next === null && now === undefined)) return undefined;
          return next === null ? null : encode(whole(key), kind.encode(next));
        });
        return kindFold.get(key);
      },
      discard: async (key) => {
        let found = false;
        await writer.change(whole(key), () => {
          found ||= kindFold.has(key);
          return kindFold.has(key) ? null : undefined;
        });
        return found;
      },
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
      await writer.close();
      await control.close();
    },
  };
}

function encode(key: string, value: unknown): Buffer {
  const bytes = Buffer.from(JSON.stringify(value));
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    const message = `${key} would have ${bytes.length} bytes, more than the ${MAX_DOCUMENT_BYTES} a document may have`;
    throw new CodedError('document_too_large', message);
  }
  return bytes;
}
