/**
 * The limits as one process knows them: it follows the whole quota topic and takes places in it by appending to it. Nobody
 * gives places out; the order of the log does, and every process reads the same order.
 *
 * B1 a place is granted only by our own record, read back from the log: what its append came to says nothing
 * B2 a command has one place in a rule, named after its record. Asking again, from here or from another process, takes no
 *    second one, so what is unknown (a lost append, a deadline, a crash) is asked again and never taken twice
 * B3 a place is good for `placeMs` by the log's time, counted here from before the append: our clock is not compared with the
 *    broker's. After that it is asked for again and moves to its new time (Q7 of quota.ts)
 * B4 what waits is bounded, and settles by its deadline; whatever is full, late or failed is `unavailable`, never `limited`
 * B5 nothing is known, and nothing granted, before all of the log up to a barrier of ours has been read
 */
import { randomUUID } from 'node:crypto';
import { aborted } from '../../base/aborted.ts';
import type { Clock } from '../../base/clock.ts';
import { CodedError } from '../../base/errors.ts';
import type { QuotaNeed } from '../../fibric/policy/compile.ts';
import { quotaFreeAtMs, quotaUsed } from '../../fibric/policy/quota.ts';
import { encodeQuotaRecord } from '../../fibric/policy/quota-records.ts';
import { partitionOfKey } from '../../kafka/murmur2.ts';
import type { Log, LogProducer, PartitionReader } from '../../kafka/port.ts';
import type { TopicNames } from '../../kafka/topics.ts';
import { limitMessage } from './limit-message.ts';
import type { QuotaUsage, ReserveAnswer, ReserveRequest, SinkQuota } from './port.ts';
import { messageOf, ReadBacks } from './read-backs.ts';
import { QuotaReading } from './reading.ts';
import { ruleIdOf } from './rule-id.ts';
import { assertQuotaTopics } from './topics.ts';

export interface QuotaBookSettings {
  /** How old a place may be and be taken for one just had; older ones move to now. */
  readonly freshMs: number;
  /** How long after it was had a call may be sent on a place; well above `freshMs` and what a reservation takes. */
  readonly placeMs: number;
  /** Reservations that may wait for their records to come back. */
  readonly maxWaiting: number;
  /** Longest time without a record before the reading at the start counts as stuck. */
  readonly stallMs: number;
  readonly openTimeoutMs: number;
}

export const QUOTA_BOOK_DEFAULTS: QuotaBookSettings = {
  freshMs: 2000,
  placeMs: 10_000,
  maxWaiting: 10_000,
  stallMs: 15_000,
  openTimeoutMs: 60_000,
};

/** Each call must return at once. */
export interface QuotaObserver {
  answered?(kind: ReserveAnswer['kind'], waitedMs: number): void;
  failed(doing: string, error: unknown): void;
}

export interface QuotaBookOptions {
  readonly log: Log;
  readonly topics: Pick<TopicNames, 'quota' | 'quotaState'>;
  readonly observer: QuotaObserver;
  /** That of the sink; what `untilMs` is told in. */
  readonly clock?: Clock;
  readonly clientId?: string;
  readonly uniqueId?: () => string;
  readonly settings?: Partial<QuotaBookSettings>;
}

export interface QuotaBookHealth {
  /** Everything is followed, and the log took what was last appended. */
  readonly ready: boolean;
  readonly detail: {
    readonly following: number;
    readonly partitions: number;
    readonly rules: number;
    /** As far as they have been looked at: what is over is dropped with the next record of its rule. */
    readonly granted: number;
    readonly waiting: number;
    readonly lastError: string | null;
  };
}

export interface QuotaBook extends SinkQuota {
  /** For whoever only wants a verdict: the number of `usage`. */
  readonly used: (need: QuotaNeed, nowMs: number) => number | null;
  health(): QuotaBookHealth;
  /** What waits is answered `unavailable`; releases that are on their way are sent. */
  close(): Promise<void>;
}

/** Resolves when it is caught up (B5). Rejects with a CodedError; nothing is left open then. */
export async function openQuotaBook(options: QuotaBookOptions): Promise<QuotaBook> {
  const { log, topics, clientId = 'quota' } = options;
  const partitions = await assertQuotaTopics(log, topics);
  const reader = await log.reader({ clientId, topics: [topics.quota, topics.quotaState] });
  const producer = await log.producer({ clientId }).catch(async (error) => {
    await reader.close().catch(() => undefined); // the cause matters
    throw error;
  });
  const book = new Book(options, reader, producer, partitions);
  try {
    await book.open();
    return book;
  } catch (error) {
    await book.close().catch(() => undefined); // the cause matters
    throw error;
  }
}

class Book implements QuotaBook {
  readonly #options: QuotaBookOptions;
  readonly #settings: QuotaBookSettings;
  readonly #clock: Clock;
  readonly #reader: PartitionReader;
  readonly #partitions: number;
  readonly #stop = new AbortController();
  readonly #backs: ReadBacks;
  readonly #reading: QuotaReading;
  /** Handed on by itself. */
  readonly used = (need: QuotaNeed, nowMs: number): number | null => this.usage(need, nowMs)?.used ?? null;
  #isCaughtUp = false;
  #lastError: string | null = null;

  constructor(options: QuotaBookOptions, reader: PartitionReader, producer: LogProducer, partitions: number) {
    const { log, topics, clock = log.clock } = options;
    this.#options = options;
    this.#settings = { ...QUOTA_BOOK_DEFAULTS, ...options.settings };
    this.#clock = clock;
    this.#reader = reader;
    this.#partitions = partitions;
    const shared = {
      id: (options.uniqueId ?? randomUUID)(),
      stop: this.#stop.signal,
      failed: (doing: string, error: unknown) => this.#note(doing, error),
    };
    this.#backs = new ReadBacks({ ...shared, producer, clock, logClock: log.clock });
    const { stallMs } = this.#settings;
    this.#reading = new QuotaReading({ ...shared, log, topics, reader, partitions, backs: this.#backs, stallMs });
  }

  async open(): Promise<void> {
    const late = new AbortController();
    const over = new AbortController();
    void this.#clock.sleep(this.#settings.openTimeoutMs, over.signal).then(() => late.abort());
    const opened = this.#reading.open(late.signal);
    const tooLate = aborted(late.signal).then(() => {
      throw new CodedError('restore_timeout', 'The quota topic was not read to its end in time');
    });
    try {
      await Promise.race([opened, tooLate]);
      this.#isCaughtUp = true;
    } finally {
      over.abort();
      opened.catch(() => undefined); // told already, or too late
      tooLate.catch(() => undefined);
    }
  }

  health(): QuotaBookHealth {
    const { following, books } = this.#reading;
    const states = books.flatMap((book) => [...book.entries()]);
    return {
      ready: this.#isCaughtUp && following === this.#partitions && this.#backs.failuresInARow === 0,
      detail: {
        following,
        partitions: this.#partitions,
        rules: states.length,
        granted: states.reduce((sum, [, { granted }]) => sum + granted.size, 0),
        waiting: this.#backs.waiting,
        lastError: this.#lastError,
      },
    };
  }

  usage(need: QuotaNeed, nowMs: number, attemptId?: string): QuotaUsage | null {
    const ruleId = ruleIdOf(need);
    const partition = this.#partitionOf(ruleId);
    if (!this.#isRead(partition)) return null;
    const state = this.#reading.bookOf(partition).get(ruleId);
    if (state === undefined) return { used: 0, freeAtMs: nowMs };
    const used = quotaUsed(state, need.windowMs, nowMs);
    if (used < need.max) return { used, freeAtMs: nowMs };
    const isOurs = attemptId !== undefined && state.granted.has(attemptId);
    return { used: isOurs ? used - 1 : used, freeAtMs: quotaFreeAtMs(state, need, nowMs) };
  }

  async reserve(request: ReserveRequest): Promise<ReserveAnswer> {
    const askedAtMs = this.#clock.nowMs();
    const answers = await Promise.all(request.needs.map((need) => this.#take(need, request, askedAtMs)));
    // What is limited is certain, whatever became of the others.
    const answer =
      answers.find(({ kind }) => kind === 'limited') ??
      answers.find(({ kind }) => kind === 'unavailable') ??
      ({ kind: 'granted', untilMs: Math.min(...answers.map(untilOf)) } as const);
    this.#options.observer.answered?.(answer.kind, this.#clock.nowMs() - askedAtMs);
    return answer;
  }

  hurry(): void {
    this.#backs.hurry();
  }

  release(needs: readonly QuotaNeed[], attemptId: string): void {
    const value = encodeQuotaRecord({ op: 'release', id: attemptId });
    for (const need of needs) {
      const ruleId = ruleIdOf(need);
      const partition = this.#partitionOf(ruleId);
      // What is not granted may still be on its way (Q4).
      if (this.#reading.bookOf(partition).get(ruleId)?.released.has(attemptId) === true) continue;
      const append = { topic: this.#options.topics.quota, partition, key: Buffer.from(ruleId), value };
      this.#backs.send(append).catch((error) => this.#note('releasing a place', error)); // free with its window then
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#reading.close();
    await this.#backs.close();
    await this.#reader.close();
  }

  async #take(need: QuotaNeed, request: ReserveRequest, askedAtMs: number): Promise<ReserveAnswer> {
    const { attemptId: id, signal, timeoutMs, isPatient } = request;
    const { freshMs, placeMs, maxWaiting } = this.#settings;
    const { max, windowMs } = need;
    const ruleId = ruleIdOf(need);
    const partition = this.#partitionOf(ruleId);
    if (!this.#isRead(partition)) return unavailable('the quota topic is not being read');
    if (this.#backs.waiting >= maxWaiting) return unavailable('too many reservations wait for the log');
    const told = await this.#backs.append(
      {
        topic: this.#options.topics.quota,
        partition,
        key: Buffer.from(ruleId),
        value: encodeQuotaRecord({ op: 'reserve', id, max, windowMs, freshMs }),
      },
      { deadlineMs: askedAtMs + timeoutMs, signal, isPatient },
    );
    if ('why' in told) return unavailable(told.why);
    const { outcome, atMs } = told.applied ?? { outcome: null, atMs: 0 };
    if (outcome?.kind === 'granted') {
      return { kind: 'granted', untilMs: askedAtMs + placeMs - (atMs - outcome.sinceMs) }; // B3
    }
    if (outcome?.kind === 'refused') return { kind: 'limited', message: limitMessage(need, outcome.freeAtMs) };
    return unavailable('the place was given back meanwhile');
  }

  #isRead(partition: number): boolean {
    return this.#isCaughtUp && this.#reading.isFollowed(partition);
  }

  #partitionOf(ruleId: string): number {
    return partitionOfKey(Buffer.from(ruleId), this.#partitions);
  }

  #note(doing: string, error: unknown): void {
    this.#lastError = `${doing}: ${messageOf(error)}`;
    this.#options.observer.failed(doing, error);
  }
}

function unavailable(message: string): ReserveAnswer {
  return { kind: 'unavailable', message };
}

function untilOf(answer: ReserveAnswer): number {
  return answer.kind === 'granted' ? answer.untilMs : 0;
}
