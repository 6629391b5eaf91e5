/** Appends to the quota topic, and tells each what became of it when it comes back (B1, B4 of book.ts). */
import type { Clock } from '../../base/clock.ts';
import { BatchingProducer } from '../../kafka/batching-producer.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Append, LogProducer, LogRecord } from '../../kafka/port.ts';
import { Company, type Waiter } from './company.ts';
import type { Applied } from './partition-book.ts';

/** Of the last batch: more than come by themselves while one request is under way. */
const GATHER_SHARE = 3;
/** How late a deadline may be noticed. */
const SWEEP_MS = 25;

export type Told = { readonly applied: Applied | null } | { readonly why: string };

export interface Until {
  /** By the clock of the reservations; Infinity = that of the signal. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export interface ReadBacksOptions {
  readonly producer: LogProducer;
  /** Of the reservations. */
  readonly clock: Clock;
  readonly logClock: Clock;
  /** Unique to this run of this process. */
  readonly id: string;
  /** What waits is answered when it aborts. */
  readonly stop: AbortSignal;
  readonly failed: (doing: string, error: unknown) => void;
}

export class ReadBacks {
  readonly #options: ReadBacksOptions;
  readonly #appender: BatchingProducer;
  readonly #company = new Company(() => this.#appender.hurry());
  readonly #waiting = new Map<string, Until & { readonly tell: (told: Told) => void }>();
  #writes = 0;

  constructor(options: ReadBacksOptions) {
    this.#options = options;
    this.#appender = new BatchingProducer({
      producers: [options.producer],
      clock: options.logClock,
      gatherShare: GATHER_SHARE,
      gatherMs: () => this.#company.waitMs(),
    });
    void this.#sweep();
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get failuresInARow(): number {
    return this.#appender.health.failuresInARow;
  }

  async append(append: Append, { isPatient, ...until }: Until & Waiter): Promise<Told> {
    const { stop, id, failed } = this.#options;
    if (stop.aborted) return { why: 'the service is stopping' };
    const writeId = `${id}:${++this.#writes}`;
    const { promise, resolve: tell } = Promise.withResolvers<Told>();
    this.#waiting.set(writeId, { ...until, tell });
    this.#appender.append({ ...append, headers: { [HEADER.writeId]: writeId } }).catch((error) => {
      failed('appending to the quota topic', error);
      tell({ why: `the log did not take it: ${messageOf(error)}` });
    });
    this.#company.came({ isPatient });
    const told = await promise;
    this.#company.went({ isPatient });
    this.#waiting.delete(writeId);
    return told;
  }

  /** Nobody waits for it to come back. */
  send(append: Append): Promise<unknown> {
    return this.#appender.append(append);
  }

  /** It has come back, and this came of it. */
  cameBack({ headers }: LogRecord, applied: Applied | null): void {
    if (this.#waiting.size === 0) return;
    const writeId = headers[HEADER.writeId]?.toString('latin1');
    if (writeId !== undefined) this.#waiting.get(writeId)?.tell({ applied });
  }

  hurry(): void {
    this.#company.hurry();
  }

  /** After `stop`. What is on its way is sent. */
  close(): Promise<void> {
    return this.#appender.close();
  }

  /** One look at all of them, since a timer and a listener for each would cost more than the reservation. */
  async #sweep(): Promise<void> {
    const { clock, stop } = this.#options;
    while (!stop.aborted) {
      await clock.sleep(SWEEP_MS, stop);
      const nowMs = clock.nowMs();
      for (const { tell, deadlineMs, signal } of this.#waiting.values()) {
        if (nowMs >= deadlineMs) tell({ why: 'the log did not bring it back in time' });
        else if (signal.aborted) tell({ why: 'it was given up' });
      }
    }
    for (const { tell } of this.#waiting.values()) tell({ why: 'the service is stopping' });
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
