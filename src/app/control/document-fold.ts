/**
 * Documents of the control topic as a process holds them: a fold over its records, in log order. No I/O.
 *
 * F1  What is held depends only on the latest record of each key, so a process that followed the topic and one that read
 *     it compacted hold the same.
 * F2  A record that cannot be read makes its document unreadable, whatever earlier ones said: what a policy forbids must not
 *     be allowed because the record that forbids it is not understood.
 * F3  Kinds may be named before or after their records came.
 */
import { CodedError, type ErrorCode } from '../../base/errors.ts';
import { parseConnectionKey } from './connection-record.ts';

/** One kind of document. Its keys are the prefix, a slash, and the key below it. */
export interface DocumentKind<T> {
  readonly prefix: string;
  /** Throws for what it does not fully understand. */
  parse(value: unknown): T;
  /** Plain data for JSON. */
  encode(document: T): unknown;
}

export interface UnreadableDocument {
  /** Below the prefix. */
  readonly key: string;
  readonly code: ErrorCode;
  readonly message: string;
}

type Entry<T> =
  | { readonly kind: 'read'; readonly document: T }
  | { readonly kind: 'unreadable'; readonly problem: UnreadableDocument };

/** The documents of one kind. */
export class KindFold<T> {
  readonly kind: DocumentKind<T>;
  readonly #entries = new Map<string, Entry<T>>();
  readonly listeners = new Set<(key: string) => void>();

  constructor(kind: DocumentKind<T>) {
    this.kind = kind;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry?.kind === 'read' ? entry.document : undefined;
  }

  problemOf(key: string): UnreadableDocument | undefined {
    const entry = this.#entries.get(key);
    return entry?.kind === 'unreadable' ? entry.problem : undefined;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  list(prefix: string): readonly (readonly [string, T])[] {
    const found: (readonly [string, T])[] = [];
    for (const [key, entry] of this.#entries) {
      if (entry.kind === 'read' && key.startsWith(prefix)) found.push([key, entry.document]);
    }
    return found.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  unreadable(prefix: string): readonly UnreadableDocument[] {
    return [...this.#entries.values()].flatMap((entry) =>
      entry.kind === 'unreadable' && entry.problem.key.startsWith(prefix) ? [entry.problem] : [],
    );
  }

  /** Returns the problem where the record cannot be read. */
  apply(key: string, value: Buffer | null): UnreadableDocument | undefined {
    if (value === null) this.#entries.delete(key);
    else this.#entries.set(key, this.#read(key, value));
    return this.problemOf(key);
  }

  #read(key: string, value: Buffer): Entry<T> {
    try {
      return { kind: 'read', document: this.kind.parse(JSON.parse(value.toString('utf8'))) };
    } catch (error) {
      // Whatever a parser throws is about the data; what it says of a value is not repeated, the value may be a secret.
      const code = error instanceof CodedError ? error.code : 'document_unreadable';
      const message = error instanceof CodedError ? error.message : 'the record is damaged or of a newer version';
      return { kind: 'unreadable', problem: { key, code, message } };
    }
  }
}

export interface Applied {
  readonly prefix: string;
  readonly key: string;
  readonly problem: UnreadableDocument | undefined;
}

export class DocumentFold {
  readonly #kinds = new Map<string, KindFold<unknown>>();
  /** F3. The latest records of kinds nobody has named yet, by their whole key. */
  readonly #unnamed = new Map<string, Buffer>();

  /** Throws when another kind has the prefix: two readings of one record would not agree. */
  kind<T>(kind: DocumentKind<T>): { readonly fold: KindFold<T>; readonly problems: readonly UnreadableDocument[] } {
    const known = this.#kinds.get(kind.prefix);
    if (known !== undefined) {
      if (known.kind !== kind) throw new Error(`two kinds of document have the prefix ${kind.prefix}`);
      return { fold: known as KindFold<T>, problems: [] };
    }
    const fold = new KindFold(kind);
    this.#kinds.set(kind.prefix, fold as KindFold<unknown>);
    const problems: UnreadableDocument[] = [];
    for (const [whole, value] of this.#unnamed) {
      const at = split(whole);
      if (at?.prefix !== kind.prefix) continue;
      this.#unnamed.delete(whole);
      const problem = fold.apply(at.key, value);
      if (problem !== undefined) problems.push(problem);
    }
    return { fold, problems };
  }

  /** Undefined for records of kinds that nobody has named, and of what is no document. */
  apply(whole: string, value: Buffer | null): Applied | undefined {
    const at = split(whole);
    // Connections have a store of their own (store.ts), which opens their secrets.
    if (at === undefined || parseConnectionKey(whole) !== undefined) return undefined;
    const fold = this.#kinds.get(at.prefix);
    if (fold === undefined) {
      if (value === null) this.#unnamed.delete(whole);
      else this.#unnamed.set(whole, value);
      return undefined;
    }
    const problem = fold.apply(at.key, value);
    for (const listener of fold.listeners) listener(at.key);
    return { ...at, problem };
  }

  kinds(): readonly KindFold<unknown>[] {
    return [...this.#kinds.values()];
  }
}

function split(whole: string): { readonly prefix: string; readonly key: string } | undefined {
  const slash = whole.indexOf('/');
  if (slash <= 0 || slash === whole.length - 1) return undefined;
  return { prefix: whole.slice(0, slash), key: whole.slice(slash + 1) };
}
