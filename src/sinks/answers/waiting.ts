/**
 * The list of what waits for a person, in any process: follows the ledger, read committed, and keeps nothing but that.
 *
 * W1 caught up means that everything committed before the opening has been read: by a barrier in each partition
 * W2 a follow that fails is opened again behind the last record it handed over
 * W3 the memory is bounded (WaitingTable); where something found no room it is read again when there is room
 */
import { randomUUID } from 'node:crypto';
import { CodedError, hasCode } from '../../base/errors.ts';
import type { WireCommand } from '../../fibric/commands/command.ts';
import type { Follow, Log, LogRecord, PartitionReader } from '../../kafka/port.ts';
import { BARRIER_KEY, barrierRecord } from '../../kafka/restore.ts';
import type { TopicNames } from '../../kafka/topics.ts';
import { decodeEntry } from '../ledger/codec.ts';
import { type Place, type Waiting, type WaitingBounds, WaitingTable } from './waiting-table.ts';

export type { Waiting } from './waiting-table.ts';

/** As pino's. */
export interface WaitingLogger {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface WaitingOptions {
  readonly log: Log;
  readonly topics: Pick<TopicNames, 'ledger'>;
  readonly logger: WaitingLogger;
  /** Of commands. */
  readonly decoder: { prepare(record: Buffer): Promise<void> | undefined; decode(record: Buffer): unknown };
  readonly bounds?: WaitingBounds;
}

export interface WaitingHealth {
  /** Caught up once, following every partition, and nothing left out. */
  readonly ready: boolean;
  readonly detail: {
    readonly caughtUp: boolean;
    readonly partitions: number;
    readonly following: number;
    readonly entries: number;
    readonly bytes: number;
    /** Wait, and are not in the list: it is full. */
    readonly missing: number;
    /** Entries that a newer version wrote, or that are damaged; they are not in the list. */
    readonly unreadable: number;
    readonly failures: number;
  };
}

export interface WaitingView {
  /** Those that have waited longest first. */
  list(tenantId: string): readonly Waiting[];
  /** By `apr_…` or `prk_…`. */
  get(tenantId: string, id: string): Waiting | undefined;
  /** Resolves when everything from before the opening has been read, or the view is closed. */
  caughtUp(): Promise<void>;
  /** After each change, with the tenant. Returns how to stop. */
  onChange(listener: (tenantId: string) => void): () => void;
  health(): WaitingHealth;
  close(): Promise<void>;
}

export const WAITING_BOUNDS: WaitingBounds = { maxEntries: 20_000, maxBytes: 64 * 1024 * 1024 };
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5000;
const IDENTITY = /^[0-9a-f]{32}$/;
const BARRIER = Buffer.from(BARRIER_KEY);

/** Resolves when it has begun to follow. Throws `topic_invalid` when there is no ledger. */
export async function openWaiting(options: WaitingOptions): Promise<WaitingView> {
  const { log, topics } = options;
  const [described] = await log.admin.describeTopics([topics.ledger]);
  if (described === undefined) {
    throw new CodedError('topic_invalid', `The topic ${topics.ledger} does not exist`, { topic: topics.ledger });
  }
  const reader = await log.reader({ clientId: 'waiting', topics: [topics.ledger] });
  return new LedgerFollower(options, reader, described.partitions).begin();
}

interface Followed {
  readonly partition: number;
  follow: Follow | undefined;
  nextOffset: number;
  /** Behind the last record that was ever handed over: when it is ahead, the partition is being read again. */
  headOffset: number;
  retryMs: number;
  isCaughtUp: boolean;
  /** Turns that end a follow and begin another, one after another. */
  turning: Promise<void>;
}

class LedgerFollower implements WaitingView {
  readonly #options: WaitingOptions;
  readonly #reader: PartitionReader;
  readonly #table: WaitingTable;
  readonly #partitions: readonly Followed[];
  readonly #listeners = new Set<(tenantId: string) => void>();
  readonly #stop = new AbortController();
  readonly #caughtUp = Promise.withResolvers<void>();
  readonly #barrier = Buffer.from(randomUUID());
  #barriers: Promise<void> = Promise.resolve();
  #unreadable = 0;
  #failures = 0;
  #isFull = false;

  constructor(options: WaitingOptions, reader: PartitionReader, partitionCount: number) {
    this.#options = options;
    this.#reader = reader;
    this.#table = new WaitingTable(options.bounds ?? WAITING_BOUNDS);
    this.#partitions = Array.from({ length: partitionCount }, (_, partition) => ({
      partition,
      follow: undefined,
      nextOffset: 0,
      headOffset: 0,
      retryMs: RETRY_MIN_MS,
      isCaughtUp: false,
      turning: Promise.resolve(),
    }));
  }

  begin(): this {
    for (const followed of this.#partitions) this.#follow(followed);
    this.#barriers = this.#writeBarriers();
    return this;
  }

  list(tenantId: string): readonly Waiting[] {
    return this.#table.list(tenantId);
  }

  get(tenantId: string, id: string): Waiting | undefined {
    return this.#table.get(tenantId, id);
  }

  caughtUp(): Promise<void> {
    return this.#caughtUp.promise;
  }

  onChange(listener: (tenantId: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  health(): WaitingHealth {
    const { missing, ...counts } = this.#table.counts;
    const partitions = this.#partitions.length;
    const following = this.#partitions.filter(({ follow }) => follow !== undefined).length;
    const caughtUp = this.#isCaughtUp;
    const detail = { caughtUp, partitions, following, ...counts, missing, unreadable: this.#unreadable };
    const ready = caughtUp && following === partitions && missing === 0;
    return { ready, detail: { ...detail, failures: this.#failures } };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#caughtUp.resolve();
    await this.#barriers;
    await Promise.all(this.#partitions.map(({ turning }) => turning));
    await Promise.all(this.#partitions.map(({ follow }) => follow?.stop()));
    await this.#reader.close();
  }

  get #isCaughtUp(): boolean {
    return this.#partitions.every(({ isCaughtUp }) => isCaughtUp);
  }

  #follow(followed: Followed): void {
    const { partition } = followed;
    followed.follow = this.#reader.follow({
      topic: this.#options.topics.ledger,
      partition,
      fromOffset: followed.nextOffset,
      records: ({ records }) => {
        for (const record of records) this.#take(followed, record);
      },
      failed: (error) => {
        this.#failures++;
        const waitMs = followed.retryMs;
        followed.retryMs = Math.min(2 * waitMs, RETRY_MAX_MS);
        const line = { event: 'waiting.follow_failed', err: error, partition, waitMs };
        this.#options.logger.warn(line, 'following the ledger failed');
        this.#again(followed, waitMs, followed.nextOffset);
      },
    });
  }

  /** W2, W3. */
  #again(followed: Followed, waitMs: number, fromOffset: number): void {
    const { follow } = followed;
    followed.follow = undefined;
    followed.turning = followed.turning.then(async () => {
      await follow?.stop().catch(() => undefined); // it has ended; why was told
      await this.#options.log.clock.sleep(waitMs, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      followed.nextOffset = fromOffset;
      this.#follow(followed);
    });
  }

  #take(followed: Followed, { key, value, offset }: LogRecord): void {
    if (offset < followed.nextOffset || followed.follow === undefined) return;
    followed.nextOffset = offset + 1;
    followed.retryMs = RETRY_MIN_MS;
    if (key === null) return;
    if (key.equals(BARRIER)) {
      if (value?.equals(this.#barrier)) this.#reached(followed);
      return;
    }
    const identity = key.toString();
    const place = { partition: followed.partition, offset };
    const isNew = offset >= followed.headOffset;
    followed.headOffset = Math.max(followed.headOffset, followed.nextOffset);
    if (IDENTITY.test(identity) && (isNew || this.#table.misses(place, identity))) this.#apply(place, identity, value);
  }

  #reached(followed: Followed): void {
    followed.isCaughtUp = true;
    if (this.#isCaughtUp) this.#caughtUp.resolve();
  }

  #apply(place: Place, identity: string, value: Buffer | null): void {
    const { partition } = place;
    const before = this.#table.at(partition, identity);
    const waiting = this.#table.apply(place, identity, this.#entryOf(partition, value));
    if (waiting !== undefined) this.#decode(waiting, 0);
    for (const tenantId of new Set([before?.subject.tenantId, waiting?.subject.tenantId])) this.#tell(tenantId);
    this.#reportRoom();
  }

  #entryOf(partition: number, value: Buffer | null) {
    if (value === null) return null;
    try {
      return decodeEntry(value);
    } catch (error) {
      if (!hasCode(error, 'ledger_unreadable')) throw error;
      this.#unreadable++;
      this.#options.logger.error({ event: 'waiting.unreadable', err: error, partition }, error.message);
      return null;
    }
  }

  #reportRoom(): void {
    const { missing, entries } = this.#table.counts;
    if (missing > 0 && !this.#isFull) {
      this.#isFull = true;
      this.#options.logger.error(
        { event: 'waiting.full', entries, missing },
        'more waits for people than can be listed',
      );
    }
    if (missing === 0) {
      this.#isFull = false;
      return;
    }
    for (const followed of this.#partitions) {
      const isReadAgain = followed.nextOffset < followed.headOffset;
      if (followed.follow === undefined || isReadAgain) continue;
      const offset = this.#table.firstMissed(followed.partition);
      if (offset !== undefined) this.#again(followed, 0, offset);
    }
  }

  /** What is listed without its command for now gets it as soon as its schema is there. */
  #decode(waiting: Waiting, failures: number): void {
    const { decoder, logger, log } = this.#options;
    const value = waiting.record?.value;
    if (value === undefined) return;
    try {
      const preparing = decoder.prepare(value);
      if (preparing === undefined) {
        this.#table.decoded(waiting, decoder.decode(value) as WireCommand);
        this.#tell(waiting.subject.tenantId);
        return;
      }
      const again = async (error: unknown) => {
        if (!(error instanceof CodedError) || error.disposition === 'park') return this.#undecodable(waiting, error);
        logger.warn({ event: 'waiting.schema', err: error }, 'the schema of a command cannot be had');
        await log.clock.sleep(Math.min(RETRY_MIN_MS * 2 ** failures, RETRY_MAX_MS), this.#stop.signal);
        const now = this.#table.at(waiting.partition, waiting.identity);
        if (!this.#stop.signal.aborted && now?.id === waiting.id) this.#decode(waiting, failures + 1);
      };
      preparing.then(() => this.#decode(waiting, failures), again);
    } catch (error) {
      this.#undecodable(waiting, error);
    }
  }

  #undecodable({ id }: Waiting, error: unknown): void {
    this.#options.logger.error({ event: 'waiting.undecodable', err: error, id }, 'a command that waits cannot be read');
  }

  #tell(tenantId: string | undefined): void {
    if (tenantId !== undefined) for (const listener of this.#listeners) listener(tenantId);
  }

  /** W1. */
  async #writeBarriers(): Promise<void> {
    const { log, topics, logger } = this.#options;
    const barriers = this.#partitions.map(({ partition }) =>
      barrierRecord({ topic: topics.ledger, partition }, this.#barrier.toString()),
    );
    for (let waitMs = RETRY_MIN_MS; !this.#stop.signal.aborted; waitMs = Math.min(2 * waitMs, RETRY_MAX_MS)) {
      try {
        const producer = await log.producer({ clientId: 'waiting' });
        try {
          return await producer.append(barriers);
        } finally {
          await producer.close();
        }
      } catch (error) {
        logger.warn({ event: 'waiting.barrier_failed', err: error, waitMs }, 'the end of the ledger cannot be marked');
        await log.clock.sleep(waitMs, this.#stop.signal);
      }
    }
  }
}
