/**
 * The control topic as a log one process reads and writes: follows its only partition from the start, and a write
 * returns once it has been read back.
 *
 * C1  Records are handed over in log order, each once; a failed follow is opened again behind the last one handed over.
 * C2  `write` resolves after its own record was handed over, so what follows sees it.
 * C3  One append at a time, as the producer demands.
 */
import { randomUUID } from 'node:crypto';
import type { BaseLogger } from 'pino';
import { CodedError } from '../../base/errors.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Follow, Log, LogProducer, LogRecord, PartitionReader } from '../../kafka/port.ts';

export type ControlLogger = Pick<BaseLogger, 'info' | 'warn' | 'error'>;

export interface ControlTopicOptions {
  readonly log: Log;
  readonly topic: string;
  readonly logger: ControlLogger;
  readonly received: (record: LogRecord) => void;
}

export interface ControlTopicHealth {
  /** Following, without an error since the last record. */
  readonly following: boolean;
  /** Offset after the last record handed over. */
  readonly nextOffset: number;
  readonly failures: number;
}

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;
const LOOK_EVERY_MS = 50;

/** One reserved key, so that compaction keeps one barrier of all that were ever written. */
const BARRIER_KEY = 'barrier';

interface Write {
  readonly key: string;
  readonly value: Buffer | null;
  readonly writeId: string;
}

interface Waiter {
  readonly writeId: string;
  readonly done: () => void;
}

export class ControlTopic {
  readonly #options: ControlTopicOptions;
  readonly #reader: PartitionReader;
  readonly #stop = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #producer: LogProducer | undefined;
  #writing: Promise<unknown> = Promise.resolve();
  #follow: Follow | undefined;
  #nextOffset = 0;
  #passedOffset = 0;
  #lastRecordAtMs: number;
  #failures = 0;
  #retryMs = RETRY_MIN_MS;

  static async open(options: ControlTopicOptions): Promise<ControlTopic> {
    const reader = await options.log.reader({ clientId: 'control', topics: [options.topic] });
    const control = new ControlTopic(options, reader);
    control.#begin();
    return control;
  }

  private constructor(options: ControlTopicOptions, reader: PartitionReader) {
    this.#options = options;
    this.#reader = reader;
    this.#lastRecordAtMs = options.log.clock.nowMs();
  }

  health(): ControlTopicHealth {
    return { following: this.#follow !== undefined, nextOffset: this.#nextOffset, failures: this.#failures };
  }

  /** Whatever can be read below has been handed over; markers of transactions, which cannot be, may lie between. */
  get readTo(): number {
    return Math.max(this.#nextOffset, this.#passedOffset);
  }

  /** Writes one record (null = tombstone) and waits until it was handed over here, under this write id. */
  async write(key: string, value: Buffer | null, timeoutMs: number, writeId: string = randomUUID()): Promise<void> {
    const writing = this.#writing.then(() => this.#writeNow({ key, value, writeId }, timeoutMs));
    this.#writing = writing.catch(() => undefined);
    return writing;
  }

  /** Everything written before this call has been handed over: by a barrier, which needs the right to write. */
  async catchUpByBarrier(timeoutMs: number): Promise<void> {
    await this.write(BARRIER_KEY, Buffer.from('barrier'), timeoutMs);
  }

  /**
   * The same for those who may only read, and only as good as a guess: the last offset may belong to a record that
   * compaction or retention has taken, so a quiet spell has to count as the end.
   */
  async catchUpByQuiet(quietMs: number): Promise<void> {
    const { clock, admin } = this.#options.log;
    const { low, high } = await admin.watermarks({ topic: this.#options.topic, partition: 0 });
    this.#lastRecordAtMs = clock.nowMs();
    const quiet = () => clock.nowMs() - this.#lastRecordAtMs >= quietMs;
    while (high > low && this.readTo < high && !quiet()) await clock.sleep(LOOK_EVERY_MS, this.#stop.signal);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#writing;
    await this.#follow?.stop();
    this.#follow = undefined;
    await this.#reader.close();
    await this.#producer?.close();
  }

  async #writeNow({ key, value, writeId }: Write, timeoutMs: number): Promise<void> {
    const { log, topic } = this.#options;
    const deadline = new AbortController();
    const late = log.clock.sleep(timeoutMs, AbortSignal.any([deadline.signal, this.#stop.signal])).then(() => {
      throw new CodedError('log_unavailable', 'the control topic did not confirm a write in time', { timeoutMs });
    });
    const back = Promise.withResolvers<void>();
    const waiter: Waiter = { writeId, done: back.resolve };
    this.#waiters.add(waiter);
    const append = async () => {
      this.#producer ??= await log.producer({ clientId: 'control' });
      const headers = { [HEADER.writeId]: writeId };
      await this.#producer.append([{ topic, partition: 0, key: Buffer.from(key), value, headers }]);
      await back.promise;
    };
    try {
      await Promise.race([append(), late]);
    } catch (error) {
      // Its append may still be open, and another must not join it (C3).
      const spent = this.#producer;
      this.#producer = undefined;
      void spent?.close().catch(() => undefined);
      throw error;
    } finally {
      this.#waiters.delete(waiter);
      deadline.abort();
      late.catch(() => undefined);
    }
  }

  #begin(): void {
    this.#follow = this.#reader.follow({
      topic: this.#options.topic,
      partition: 0,
      fromOffset: this.#nextOffset,
      records: (batch) => {
        for (const record of batch.records) this.#take(record);
      },
      passed: (nextOffset) => {
        this.#passedOffset = nextOffset;
      },
      failed: (error) => void this.#beginAgain(error),
    });
  }

  #take(record: LogRecord): void {
    if (record.offset < this.#nextOffset) return;
    this.#nextOffset = record.offset + 1;
    this.#lastRecordAtMs = this.#options.log.clock.nowMs();
    this.#retryMs = RETRY_MIN_MS;
    this.#options.received(record);
    const writeId = record.headers[HEADER.writeId]?.toString();
    for (const waiter of this.#waiters) if (waiter.writeId === writeId) waiter.done();
  }

  async #beginAgain(error: unknown): Promise<void> {
    const failed = this.#follow;
    this.#follow = undefined;
    this.#failures += 1;
    const waitMs = this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
    this.#options.logger.warn(
      { event: 'control.follow_failed', err: error, waitMs },
      'following the control topic failed',
    );
    await failed?.stop().catch(() => undefined);
    await this.#options.log.clock.sleep(waitMs, this.#stop.signal);
    if (!this.#stop.signal.aborted) this.#begin();
  }
}
