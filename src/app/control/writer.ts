/**
 * Changes of what the control topic holds, each planned on what it replaces.
 *
 * Whoever writes holds a transactional.id. Taking it over fences the writer before, and a barrier then shows all it has
 * written; so of any number of processes that change the same thing in the same moment none loses another's change, nor shows
 * a state that was never meant.
 *
 * D1  Only the holder's records get into the topic, and it has read every record of the holders before.
 * D2  `change` resolves after its own record was read back here, so whoever asks this process next sees it.
 * D3  One change at a time in one process: each is planned on what the one before has led to.
 * D4  A commit of unknown outcome is settled by taking over from oneself: after the barrier it was read, or never will be.
 */
import { randomUUID } from 'node:crypto';
import { CodedError, hasCode } from '../../base/errors.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Log, LogRecord, TransactionalProducer } from '../../kafka/port.ts';

export interface ControlWriterOptions {
  readonly log: Log;
  /** The control topic. */
  readonly topic: string;
  /** One for all that must be planned on one another. */
  readonly transactionalId: string;
  /** Everything written before has been read when it resolves. */
  readonly catchUp: (timeoutMs: number) => Promise<void>;
  /** Bounds every change. */
  readonly timeoutMs: number;
  readonly random?: () => number;
}

const TRANSACTION_TIMEOUT_MS = 10_000;
const MAX_ATTEMPTS = 10;
const BACKOFF_MS = 20;

export class ControlWriter {
  readonly #options: ControlWriterOptions;
  /** Resolved when the record of that write id is read. */
  readonly #awaited = new Map<string, () => void>();
  readonly #stop = new AbortController();
  #changing: Promise<unknown> = Promise.resolve();
  #holding: TransactionalProducer | undefined;

  constructor(options: ControlWriterOptions) {
    this.#options = options;
  }

  /** To be told of each record, after it has been applied. */
  read({ headers }: LogRecord): void {
    this.#awaited.get(headers[HEADER.writeId]?.toString() ?? '')?.();
  }

  /**
   * `plan` sees what stands then, and gives the bytes to write, null to remove, undefined to leave it; it is asked again where
   * somebody else wrote before it. What it throws is the caller's.
   */
  change(key: string, plan: () => Buffer | null | undefined): Promise<void> {
    const result = this.#changing.then(() => this.#change(key, plan));
    this.#changing = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#changing;
    await this.#holding?.close().catch(() => undefined);
    this.#holding = undefined;
  }

  async #change(key: string, plan: () => Buffer | null | undefined): Promise<void> {
    const { log, topic, timeoutMs, random = Math.random } = this.#options;
    const deadlineMs = log.clock.nowMs() + timeoutMs;
    const writeId = randomUUID();
    let isRead = false;
    const read = Promise.withResolvers<void>();
    this.#awaited.set(writeId, () => {
      isRead = true;
      read.resolve();
    });
    try {
      for (let attempt = 0; ; attempt += 1) {
        try {
          const holder = await this.#hold(deadlineMs);
          if (isRead) return; // D4
          const value = planned(plan);
          if (value === undefined) return;
          const headers = { [HEADER.writeId]: writeId };
          const appends = [{ topic, partition: 0, key: Buffer.from(key), value, headers }];
          await this.#within(holder.commit({ appends }), deadlineMs);
          await this.#within(read.promise, deadlineMs);
          return;
        } catch (error) {
          if (error instanceof PlanError) throw error.cause;
          this.#release();
          const passing = hasCode(error, 'fenced', 'commit_unknown', 'log_unavailable');
          if (!passing || this.#stop.signal.aborted || log.clock.nowMs() >= deadlineMs) throw error;
          if (attempt + 1 >= MAX_ATTEMPTS) throw conflict(error);
          // Two that take over from one another must not do so in step.
          await log.clock.sleep(random() * BACKOFF_MS * 2 ** Math.min(attempt, 5), this.#stop.signal);
        }
      }
    } finally {
      this.#awaited.delete(writeId);
    }
  }

  /** D1. */
  async #hold(deadlineMs: number): Promise<TransactionalProducer> {
    if (this.#holding !== undefined) return this.#holding;
    const { log, transactionalId, catchUp } = this.#options;
    const opening = log.transactional({ transactionalId, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS });
    const opened = await this.#within(opening, deadlineMs, (late) => void late.close().catch(() => undefined));
    this.#holding = opened;
    await catchUp(Math.max(1, deadlineMs - log.clock.nowMs())).catch((error) => {
      this.#release();
      throw error;
    });
    return opened;
  }

  #release(): void {
    const spent = this.#holding;
    this.#holding = undefined;
    void spent?.close().catch(() => undefined);
  }

  async #within<T>(work: Promise<T>, deadlineMs: number, late: (value: T) => void = () => {}): Promise<T> {
    const { clock } = this.#options.log;
    const { timeoutMs } = this.#options;
    const timer = new AbortController();
    let isLate = false;
    const expired = clock
      .sleep(Math.max(0, deadlineMs - clock.nowMs()), AbortSignal.any([timer.signal, this.#stop.signal]))
      .then(() => {
        isLate = true;
        throw new CodedError('log_unavailable', 'the control topic did not take a change in time', { timeoutMs });
      });
    work.then((value) => isLate && late(value)).catch(() => undefined);
    try {
      return await Promise.race([work, expired]);
    } finally {
      timer.abort();
      expired.catch(() => undefined);
    }
  }
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

function conflict(cause: unknown): CodedError {
  const message = 'the control topic is being changed by others again and again; try again';
  return new CodedError('document_conflict', message, {}, { cause });
}
