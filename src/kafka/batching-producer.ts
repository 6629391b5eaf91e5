/**
 * Turns single appends into large requests: one promise a record, one request at a time per lane.
 *
 *   append ─► lane queue ─► (nothing in flight: at once; else: when the answer is in) ─► one request ─► promises settle
 *
 * B1 a promise resolves only after the broker has acknowledged its record from all in-sync replicas
 * B2 every promise settles by its deadline, whatever the producer does
 * B3 records and bytes held, queued or in flight, never exceed their bounds; more is refused with `queue_full`
 * B4 records of one party and key go through one lane, one request at a time, in the order they were appended
 * B5 after close() begins nothing is accepted; what was accepted is sent, or rejected at its deadline
 *
 * B6 a record waits for company only while fewer are queued than a share of the last batch, and at most `gatherMs`
 *
 * B7 a party that holds much of the room is refused with `share_full` before the others find none (fair-shares.ts), and
 *    parties take turns in a batch (batch-queue.ts)
 *
 * There is no fixed linger: an idle lane sends at once and a busy one collects, so batches grow with the load. Senders
 * that wait for their answers come back in a burst; without B6 its first few records would go out alone and the rest
 * would wait for them, at twice the number of requests.
 */
import { CodedError } from '../base/errors.ts';
import { createFairShares, type FairShares } from '../base/fair-shares.ts';
import { BatchQueue, type Entry } from './batch-queue.ts';
import { refuseMarkerKey } from './marker-key.ts';
import { choosePartition } from './murmur2.ts';
import type { Append, Clock, LogProducer } from './port.ts';

export interface BatchingOptions {
  /** One lane each; owned and closed by the batching producer. One is enough: a second was measured, and only costs CPU. */
  readonly producers: readonly LogProducer[];
  readonly clock: Clock;
  readonly maxBatchRecords?: number;
  readonly maxBatchBytes?: number;
  /** A lane that has just sent n records waits for this share of n again, at most `gatherMs`; 0 = it never waits. */
  readonly gatherShare?: number;
  readonly gatherMs?: number | (() => number);
  /** Bounds on what is held, over all lanes. */
  readonly maxQueuedRecords?: number;
  readonly maxQueuedBytes?: number;
  /** How much of what is free one party may hold (fair-shares.ts); absent = all of it. */
  readonly greed?: number;
  /** From append() to the broker's acknowledgement. */
  readonly recordTimeoutMs?: number;
  /** Puts a flush off to the end of this turn of the event loop, so that what arrives together is sent together. */
  readonly defer?: (task: () => void) => void;
}

export interface BatchingHealth {
  /** Accepted and not settled. */
  readonly heldRecords: number;
  readonly heldBytes: number;
  readonly inFlightRecords: number;
  readonly acknowledgedRecords: number;
  readonly failedRecords: number;
  readonly lastAcknowledgedAtMs: number | null;
  readonly lastError: string | null;
  /** Failed requests since the last that succeeded. */
  readonly failuresInARow: number;
}

const DEFAULTS = {
  maxBatchRecords: 500,
  maxBatchBytes: 1_048_576,
  gatherShare: 0.6,
  gatherMs: 1 as number | (() => number),
  maxQueuedRecords: 20_000,
  maxQueuedBytes: 67_108_864,
  greed: Number.POSITIVE_INFINITY,
  recordTimeoutMs: 10_000,
  defer: (task: () => void): void => {
    setImmediate(task);
  },
};

interface Lane {
  readonly producer: LogProducer;
  readonly queue: BatchQueue;
  inFlight: readonly Entry[];
  flushing: boolean;
  /** So many records are worth waiting for a moment: a share of the last batch. */
  worthwhile: number;
  gathered: (() => void) | undefined;
}

export class BatchingProducer {
  readonly #options: BatchingOptions & typeof DEFAULTS;
  readonly #lanes: readonly Lane[];
  readonly #stop = new AbortController();
  #turn = 0;
  readonly #records: FairShares;
  readonly #bytes: FairShares;
  #acknowledged = 0;
  #failed = 0;
  #failuresInARow = 0;
  #lastAcknowledgedAtMs: number | null = null;
  #lastError: string | null = null;
  #closing = false;
  #idle: (() => void) | undefined;

  constructor(options: BatchingOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#records = createFairShares(this.#options.maxQueuedRecords, this.#options.greed);
    this.#bytes = createFairShares(this.#options.maxQueuedBytes, this.#options.greed);
    this.#lanes = options.producers.map((producer) => ({
      producer,
      queue: new BatchQueue(this.#options),
      inFlight: [],
      flushing: false,
      worthwhile: 1,
      gathered: undefined,
    }));
    if (this.#lanes.length === 0) throw new RangeError('A batching producer needs a producer');
    void this.#expire();
  }

  /**
   * Rejects with `queue_full`, `share_full`, `shutting_down`, `log_unavailable` (deadline; may yet be written) or the
   * producer's error. `party`: whoever is to have a fair share.
   */
  append(record: Append, party = ''): Promise<void> {
    // Not async: returning a promise from an async function costs three turns of the microtask queue for each record.
    const refusal = this.#refusalOf(record);
    if (refusal !== undefined) return Promise.reject(refusal);
    const bytes = sizeOf(record);
    const { recordTimeoutMs, clock } = this.#options;
    const full = this.#takeRoom(party, bytes);
    if (full !== undefined) return Promise.reject(full);
    const lane = this.#laneOf(record);
    return new Promise((resolve, reject) => {
      const deadlineMs = clock.nowMs() + recordTimeoutMs;
      lane.queue.push({ record, party, bytes, deadlineMs, resolve, reject, settled: false });
      if (!lane.flushing) this.#flushSoon(lane);
      else if (lane.queue.size >= lane.worthwhile) lane.gathered?.();
    });
  }

  /** What waits for company (B6) is sent now. */
  hurry(): void {
    for (const { gathered } of this.#lanes) gathered?.();
  }

  get health(): BatchingHealth {
    return {
      heldRecords: this.#records.held,
      heldBytes: this.#bytes.held,
      inFlightRecords: this.#lanes.reduce((sum, lane) => sum + lane.inFlight.length, 0),
      acknowledgedRecords: this.#acknowledged,
      failedRecords: this.#failed,
      lastAcknowledgedAtMs: this.#lastAcknowledgedAtMs,
      lastError: this.#lastError,
      failuresInARow: this.#failuresInARow,
    };
  }

  /** Drains, then closes the producers. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#records.held > 0) {
      const drained = Promise.withResolvers<void>();
      this.#idle = drained.resolve;
      await drained.promise; // bounded: every record settles by its deadline (B2)
    }
    this.#stop.abort();
    const closed = await Promise.allSettled(this.#lanes.map(({ producer }) => producer.close()));
    const failed = closed.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** B3, B7 */
  #takeRoom(party: string, bytes: number): CodedError | undefined {
    const record = this.#records.take(party, 1);
    const taken = record === 'taken' ? this.#bytes.take(party, bytes) : record;
    if (taken === 'taken') return undefined;
    if (record === 'taken') this.#records.give(party, 1);
    const detail = { records: this.#records.held, bytes: this.#bytes.held };
    return taken === 'full'
      ? new CodedError('queue_full', 'Too many records wait for the log', detail)
      : new CodedError('share_full', 'Too many records of one party wait for the log', detail);
  }

  #refusalOf(record: Append): unknown {
    if (this.#closing) return new CodedError('shutting_down', 'No more records are accepted');
    try {
      refuseMarkerKey(record); // here, where it costs one promise and not those of a whole batch
      return undefined;
    } catch (error) {
      return error;
    }
  }

  /** B4 */
  #laneOf({ key, partition }: Append): Lane {
    const count = this.#lanes.length;
    if (count === 1) return this.#lanes[0] as Lane;
    const index = partition === undefined ? choosePartition(key, count, this.#turn++) : partition % count;
    return this.#lanes[index] as Lane;
  }

  #flushSoon(lane: Lane): void {
    lane.flushing = true;
    this.#options.defer(() => {
      void this.#flush(lane);
    });
  }

  /** Sends until the lane's queue is empty. Never rejects. */
  async #flush(lane: Lane): Promise<void> {
    for (;;) {
      if (lane.queue.size > 0 && lane.queue.size < lane.worthwhile) await this.#gather(lane);
      const batch = lane.queue.take();
      if (batch.length === 0) break;
      lane.worthwhile = Math.ceil(batch.length * this.#options.gatherShare);
      lane.inFlight = batch;
      try {
        await lane.producer.append(batch.map(({ record }) => record));
        this.#failuresInARow = 0;
        this.#lastAcknowledgedAtMs = this.#options.clock.nowMs();
        for (const entry of batch) this.#settle(entry);
      } catch (error) {
        this.#failuresInARow += 1;
        this.#lastError = error instanceof Error ? error.message : String(error);
        for (const entry of batch) this.#settle(entry, error);
      }
      lane.inFlight = [];
    }
    lane.flushing = false;
  }

  /** B6 */
  async #gather(lane: Lane): Promise<void> {
    const enough = new AbortController();
    lane.gathered = () => enough.abort();
    const { clock, gatherMs } = this.#options;
    await clock.sleep(typeof gatherMs === 'number' ? gatherMs : gatherMs(), enough.signal);
    lane.gathered = undefined;
  }

  #settle(entry: Entry, error?: unknown): void {
    if (entry.settled) return;
    entry.settled = true;
    this.#records.give(entry.party, 1);
    this.#bytes.give(entry.party, entry.bytes);
    if (error === undefined) {
      this.#acknowledged += 1;
      entry.resolve();
    } else {
      this.#failed += 1;
      entry.reject(error);
    }
    if (this.#records.held === 0) this.#idle?.();
  }

  /** B2: looks at the oldest records often enough that none is late by more than a tenth of its time. */
  async #expire(): Promise<void> {
    const { clock, recordTimeoutMs } = this.#options;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(Math.ceil(recordTimeoutMs / 10), this.#stop.signal);
      const nowMs = clock.nowMs();
      for (const lane of this.#lanes) {
        for (const entry of lane.inFlight) if (entry.deadlineMs <= nowMs) this.#settle(entry, this.#late());
        for (const entry of lane.queue.takeExpired(nowMs)) this.#settle(entry, this.#late());
      }
    }
  }

  #late(): CodedError {
    const { recordTimeoutMs } = this.#options;
    return new CodedError('log_unavailable', `The log did not acknowledge the record within ${recordTimeoutMs} ms`, {
      recordTimeoutMs,
    });
  }
}

/** Near enough for bounds; exact bytes depend on compression. */
function sizeOf({ key, value, headers }: Append): number {
  let bytes = 64 + (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) bytes += 8 + name.length + (headers[name] as Buffer | string).length;
  return bytes;
}
