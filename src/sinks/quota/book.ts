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
import { BatchingProducer } from '../../kafka/batching-producer.ts';
import { HEADER } from '../../kafka/headers.ts';
import { partitionOfKey } from '../../kafka/murmur2.ts';
import type { Append, Follow, Log, LogProducer, PartitionReader, RecordBatch } from '../../kafka/port.ts';
import { barrierRecord, restoreToBarrier } from '../../kafka/restore.ts';
import type { TopicNames } from '../../kafka/topics.ts';
import { limitMessage } from './limit-message.ts';
import { type Applied, PartitionBook } from './partition-book.ts';
import type { QuotaUsage, ReserveAnswer, ReserveRequest, SinkQuota } from './port.ts';
import { ruleIdOf } from './rule-id.ts';
import { assertQuotaTopics } from './topics.ts';
import { TwinReading } from './twin.ts';

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

/** A place that waits this much longer for company saves two requests for each that has none, … */
const GATHER_MS = 2;
/** … and this much when so many wait that none of them is in a hurry, or nobody is. */
const PATIENT_GATHER_MS = 20;
const CROWD = 64;
/** Of the last batch: more than come by themselves while one request is under way. */
const GATHER_SHARE = 3;
const FORGET_LOOKS = 100;
const REFOLLOW_MS = 1000;
/** How late a deadline may be noticed. */
const SWEEP_MS = 25;
const BARRIER_KEY = Buffer.from('~barrier');

interface Slot {
  book: PartitionBook;
  follow: Follow | undefined;
}

type Told = { readonly applied: Applied | null } | { readonly why: string };

interface Waiting {
  readonly tell: (told: Told) => void;
  readonly deadlineMs: number;
  readonly signal: AbortSignal | null;
}

class Book implements QuotaBook {
  readonly #options: QuotaBookOptions;
  readonly #settings: QuotaBookSettings;
  readonly #clock: Clock;
  readonly #reader: PartitionReader;
  readonly #appender: BatchingProducer;
  readonly #slots: readonly Slot[];
  readonly #id: string;
  readonly #waiting = new Map<string, Waiting>();
  readonly #stop = new AbortController();
  /** Handed on by itself. */
  readonly used = (need: QuotaNeed, nowMs: number): number | null => this.usage(need, nowMs)?.used ?? null;
  #writes = 0;
  /** Of those that wait, how many are waited for by a call. */
  #pressing = 0;
  /** What gathers does so because nobody was in a hurry. */
  #canHurry = false;
  #isCaughtUp = false;
  #lastError: string | null = null;

  constructor(options: QuotaBookOptions, reader: PartitionReader, producer: LogProducer, partitions: number) {
    this.#options = options;
    this.#settings = { ...QUOTA_BOOK_DEFAULTS, ...options.settings };
    this.#clock = options.clock ?? options.log.clock;
    this.#reader = reader;
    this.#appender = new BatchingProducer({
      producers: [producer],
      clock: options.log.clock,
      gatherShare: GATHER_SHARE,
      gatherMs: () => {
        const isCrowd = this.#waiting.size >= CROWD;
        this.#canHurry = !isCrowd && this.#pressing === 0;
        return isCrowd || this.#canHurry ? PATIENT_GATHER_MS : GATHER_MS;
      },
    });
    this.#id = (options.uniqueId ?? randomUUID)();
    this.#slots = Array.from({ length: partitions }, () => ({ book: PartitionBook.empty(), follow: undefined }));
  }

  async open(): Promise<void> {
    void this.#sweep();
    const late = new AbortController();
    const over = new AbortController();
    void this.#clock.sleep(this.#settings.openTimeoutMs, over.signal).then(() => late.abort());
    const opened = Promise.all(this.#slots.map((slot, partition) => this.#open(slot, partition, late.signal)));
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
    const { failuresInARow } = this.#appender.health;
    const states = this.#slots.flatMap(({ book }) => [...book.entries()]);
    const following = this.#slots.filter(({ follow }) => follow !== undefined).length;
    return {
      ready: this.#isCaughtUp && following === this.#slots.length && failuresInARow === 0,
      detail: {
        following,
        partitions: this.#slots.length,
        rules: states.length,
        granted: states.reduce((sum, [, { granted }]) => sum + granted.size, 0),
        waiting: this.#waiting.size,
        lastError: this.#lastError,
      },
    };
  }

  usage(need: QuotaNeed, nowMs: number, attemptId?: string): QuotaUsage | null {
    const ruleId = ruleIdOf(need);
    const { book, follow } = this.#slotOf(ruleId).slot;
    if (!this.#isCaughtUp || follow === undefined) return null;
    const state = book.get(ruleId);
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
    if (!this.#canHurry) return;
    this.#canHurry = false;
    this.#appender.hurry();
  }

  release(needs: readonly QuotaNeed[], attemptId: string): void {
    const value = encodeQuotaRecord({ op: 'release', id: attemptId });
    for (const need of needs) {
      const ruleId = ruleIdOf(need);
      const { slot, partition } = this.#slotOf(ruleId);
      // What is not granted may still be on its way (Q4).
      if (slot.book.get(ruleId)?.released.has(attemptId) === true) continue;
      const append = { topic: this.#options.topics.quota, partition, key: Buffer.from(ruleId), value };
      this.#appender.append(append).catch((error) => this.#note('releasing a place', error)); // free with its window then
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const { tell } of this.#waiting.values()) tell({ why: 'the service is stopping' });
    await Promise.all(this.#slots.map(({ follow }) => follow?.stop()));
    await this.#appender.close();
    await this.#reader.close();
  }

  // Reading.

  async #open(slot: Slot, partition: number, signal: AbortSignal): Promise<void> {
    const { log, topics } = this.#options;
    const twin = { topic: topics.quotaState, partition };
    const barrierId = `${this.#id}:${partition}`;
    const reading = new TwinReading();
    await this.#appender.append(barrierRecord(twin, barrierId));
    await restoreToBarrier({
      ...twin,
      reader: this.#reader,
      clock: log.clock,
      barrierId,
      stallMs: this.#settings.stallMs,
      signal: AbortSignal.any([signal, this.#stop.signal]),
      restored: (key, value) => reading.read(key.toString('latin1'), value),
    });
    slot.book = reading.finish();
    await this.#assertNotBeyondEnd(partition, slot.book.position.nextOffset);
    this.#follow(slot, partition);
    const deadlineMs = Number.POSITIVE_INFINITY; // that of the opening
    const append = { topic: topics.quota, partition, key: BARRIER_KEY, value: null };
    const told = await this.#readBack(append, { deadlineMs, signal, isPatient: false });
    if ('why' in told)
      throw new CodedError('log_unavailable', `The quota topic was not read: ${told.why}`, { partition });
  }

  async #assertNotBeyondEnd(partition: number, nextOffset: number): Promise<void> {
    const { log, topics } = this.#options;
    const { high } = await log.admin.watermarks({ topic: topics.quota, partition });
    if (nextOffset <= high) return;
    const message = `The quota twin is at ${nextOffset}, but partition ${partition} of ${topics.quota} ends at ${high}: its log was cut or restored; delete ${topics.quotaState}, which is made anew`;
    throw new CodedError('offset_beyond_end', message, { partition, nextOffset, high });
  }

  #follow(slot: Slot, partition: number): void {
    if (this.#stop.signal.aborted) return;
    slot.follow = this.#reader.follow({
      topic: this.#options.topics.quota,
      partition,
      fromOffset: slot.book.position.nextOffset,
      records: (batch) => this.#records(slot.book, batch),
      failed: (error) => {
        slot.follow = undefined;
        this.#note('reading the quota topic', error);
        void this.#clock.sleep(REFOLLOW_MS, this.#stop.signal).then(() => this.#refollow(slot, partition));
      },
    });
  }

  #refollow(slot: Slot, partition: number): void {
    try {
      this.#follow(slot, partition);
    } catch (error) {
      this.#note('reading the quota topic', error); // the reader is gone for good, and `health` says so
    }
  }

  #records(book: PartitionBook, { records }: RecordBatch): void {
    for (const record of records) {
      const applied = book.apply(record);
      if (this.#waiting.size === 0) continue;
      const writeId = record.headers[HEADER.writeId]?.toString('latin1');
      if (writeId !== undefined) this.#waiting.get(writeId)?.tell({ applied });
    }
    book.forget(FORGET_LOOKS);
  }

  // Asking.

  async #take(need: QuotaNeed, request: ReserveRequest, askedAtMs: number): Promise<ReserveAnswer> {
    const { attemptId: id, signal, timeoutMs, isPatient } = request;
    const { freshMs, placeMs, maxWaiting } = this.#settings;
    const { max, windowMs } = need;
    const ruleId = ruleIdOf(need);
    const { slot, partition } = this.#slotOf(ruleId);
    if (!this.#isCaughtUp || slot.follow === undefined) return unavailable('the quota topic is not being read');
    if (this.#waiting.size >= maxWaiting) return unavailable('too many reservations wait for the log');
    const told = await this.#readBack(
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

  /** Appends, and is told what became of it when it comes back (B1). */
  async #readBack(
    append: Append,
    { isPatient, ...until }: Omit<Waiting, 'tell'> & { readonly isPatient: boolean },
  ): Promise<Told> {
    if (this.#stop.signal.aborted) return { why: 'the service is stopping' };
    const writeId = `${this.#id}:${++this.#writes}`;
    const { promise, resolve: tell } = Promise.withResolvers<Told>();
    this.#waiting.set(writeId, { ...until, tell });
    this.#appender.append({ ...append, headers: { [HEADER.writeId]: writeId } }).catch((error) => {
      this.#note('appending to the quota topic', error);
      tell({ why: `the log did not take it: ${messageOf(error)}` });
    });
    if (!isPatient) {
      this.#pressing += 1;
      this.hurry();
    }
    const told = await promise;
    if (!isPatient) this.#pressing -= 1;
    this.#waiting.delete(writeId);
    return told;
  }

  /** B4. One look at all of them, since a timer and a listener for each would cost more than the reservation. */
  async #sweep(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#clock.sleep(SWEEP_MS, this.#stop.signal);
      const nowMs = this.#clock.nowMs();
      for (const { tell, deadlineMs, signal } of this.#waiting.values()) {
        if (nowMs >= deadlineMs) tell({ why: 'the log did not bring it back in time' });
        else if (signal?.aborted === true) tell({ why: 'it was given up' });
      }
    }
  }

  #slotOf(ruleId: string): { readonly slot: Slot; readonly partition: number } {
    const partition = partitionOfKey(Buffer.from(ruleId), this.#slots.length);
    return { slot: this.#slots[partition] as Slot, partition };
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
