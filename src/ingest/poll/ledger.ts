/** One stream's cursor and what it remembers, as the owned partition has them, and the one way to move them on. */
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import type { Resource } from '../../kustomer/client/documents.ts';
import { originHeaders } from '../raw-record.ts';
import { cursorKey, type Stored, seenKey } from './cursor-record.ts';
import { type PolledChannel, polledRecord, sinceOf } from './polled-record.ts';
import type { Owned } from './ports.ts';
import { Seen } from './seen.ts';
import type { Row, StreamName } from './streams.ts';

export interface LedgerOptions<S> {
  readonly owned: Owned;
  readonly connection: ConnectionWithTokens;
  readonly rawTopic: string;
  readonly stateRetentionMs: number;
  readonly stream: StreamName;
  readonly channel: PolledChannel;
  /** Last part of the key. */
  readonly name: string;
  readonly decode: (key: string, value: Buffer) => Stored<S>;
  readonly encode: (stored: Stored<S>) => Buffer;
}

export interface Progress<S> {
  readonly state: S;
  readonly publish: readonly Row<Resource>[];
  readonly forgetBeforeMs: number;
  /** By the server's clock, and by ours. */
  readonly serverMs: number;
  readonly observedAtMs: number;
}

export class Ledger<S> {
  readonly key: string;
  readonly seen: Seen;
  /** As committed; undefined = nothing is. */
  readonly stored: S | undefined;
  readonly #options: LedgerOptions<S>;
  #record: Buffer | undefined;

  /** Throws `cursor_unreadable`. */
  constructor(options: LedgerOptions<S>) {
    const { owned, connection, name, decode } = options;
    this.#options = options;
    this.key = cursorKey(connection, name);
    this.#record = owned.get(this.key);
    const stored = this.#record === undefined ? undefined : decode(this.key, this.#record);
    this.stored = stored?.state;
    this.seen = Seen.restore(stored?.seen ?? { first: 0, next: 0 }, (slot) => owned.get(seenKey(this.key, slot)));
  }

  /** Rows and cursor in one transaction. Nothing is written when nothing has changed. Returns the rows crowded out. */
  async commit({ state, publish, forgetBeforeMs, serverMs, observedAtMs }: Progress<S>): Promise<number> {
    const { owned, connection, rawTopic, stream, channel, encode, stateRetentionMs } = this.#options;
    const change = this.seen.plan(publish, forgetBeforeMs);
    const record = encode({ state, seen: change.range });
    if (publish.length === 0 && change.slots.size === 0 && this.#record?.equals(record)) return 0;
    const origin = originHeaders(connection, channel);
    const { startedAtMs, settings } = connection;
    const bounds = { startedAtMs, backfillSinceMs: settings.backfillSinceMs, stateRetentionMs };
    const times = {
      observedAtMs: serverMs,
      receivedAtMs: observedAtMs,
      sinceMs: sinceOf(channel, bounds, observedAtMs),
    };
    const appends = publish.map((row) => polledRecord({ topic: rawTopic, origin, stream, row, ...times }));
    const changes = new Map<string, Buffer | null>([[this.key, record]]);
    for (const [slot, value] of change.slots) changes.set(seenKey(this.key, slot), value);
    await owned.commit(appends, changes);
    this.#record = record;
    this.seen.apply(change);
    return change.crowdedOut;
  }
}
