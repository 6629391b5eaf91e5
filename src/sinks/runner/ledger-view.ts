/**
 * The ledger of one partition as its owner sees it: what is committed, under what is staged for a transaction to come. Being
 * ahead of the log is safe, since transactions are committed in order: what is told because of a staged entry is committed
 * with it or after it.
 */
import type { OwnedPartition } from '../../kafka/owner-worker.ts';
import { decodeEntry, encodeEntry, isHeldEntry, settledAtMs } from '../ledger/codec.ts';
import type { LedgerChange, LedgerEntry } from '../ledger/entry.ts';
import { isForgotten } from '../ledger/retention.ts';

/** Reserved among the keys of the ledger: identities are hex. */
export const PROGRESS_KEY = '~progress';
/** Kept by the log room beside our keys. */
const IDENTITY = /^[0-9a-f]{32}$/;

export type CommittedLedger = Pick<OwnedPartition, 'get' | 'entries' | 'sweep'>;

export class LedgerView {
  readonly #owned: CommittedLedger;
  readonly #retentionMs: number;
  readonly #noted: (change: LedgerChange) => void;
  readonly #staged = new Map<string, LedgerEntry | null>();
  /** Ids of all that is known to have been written; made when first asked for, kept from then on. */
  #written: Set<string> | undefined;

  /** `noted` is told of every change when it is staged. */
  constructor(owned: CommittedLedger, retentionMs: number, noted: (change: LedgerChange) => void = () => undefined) {
    this.#owned = owned;
    this.#noted = noted;
    this.#retentionMs = retentionMs;
  }

  /** Throws `ledger_unreadable`. */
  get(identity: string, nowMs: number): LedgerEntry | null {
    const staged = this.#staged.get(identity);
    const bytes = staged === undefined ? this.#owned.get(identity) : undefined;
    const entry = staged ?? (bytes === undefined ? null : decodeEntry(bytes));
    return entry !== null && isForgotten(entry, nowMs, this.#retentionMs) ? null : entry;
  }

  /** Returns the value for the log. */
  stage({ identity, entry }: LedgerChange): Buffer | null {
    this.#staged.set(identity, entry);
    this.#noted({ identity, entry });
    if (entry?.kind === 'done' && entry.vendorId !== null) this.#written?.add(entry.vendorId);
    return entry === null ? null : encodeEntry(entry);
  }

  /** What is committed as waiting for its approval. */
  *held(): Iterable<readonly [identity: string, entry: LedgerEntry]> {
    for (const [key, value] of this.#owned.entries()) {
      if (IDENTITY.test(key) && isHeldEntry(value)) yield [key, decodeEntry(value)];
    }
  }

  /** All that was staged until then is committed. */
  committed(identities: Iterable<string>, staged: ReadonlyMap<string, LedgerEntry | null>): void {
    for (const identity of identities) {
      if (this.#staged.get(identity) === staged.get(identity)) this.#staged.delete(identity);
    }
  }

  /** As it is now, for `committed`. */
  snapshot(): ReadonlyMap<string, LedgerEntry | null> {
    return new Map(this.#staged);
  }

  /** Of the next so many entries those that are to be forgotten; round and round. What is staged is left alone. */
  forgettable(nowMs: number, looks: number): readonly string[] {
    const isOld = (value: Buffer): boolean => {
      const atMs = settledAtMs(value);
      return atMs !== null && nowMs - atMs > this.#retentionMs;
    };
    const found = this.#owned.sweep(looks, isOld).filter((key) => IDENTITY.test(key) && !this.#staged.has(key));
    for (const key of found) {
      const entry = decodeEntry(this.#owned.get(key) as Buffer);
      if (entry.kind === 'done' && entry.vendorId !== null) this.#written?.delete(entry.vendorId);
    }
    return found;
  }

  written(): ReadonlySet<string> {
    this.#written ??= this.#collect();
    return this.#written;
  }

  #collect(): Set<string> {
    const ids = new Set<string>();
    const add = (entry: LedgerEntry | null): void => {
      if (entry?.kind === 'done' && entry.vendorId !== null) ids.add(entry.vendorId);
    };
    for (const [key, value] of this.#owned.entries()) if (IDENTITY.test(key)) add(decodeEntry(value));
    for (const entry of this.#staged.values()) add(entry);
    return ids;
  }
}
