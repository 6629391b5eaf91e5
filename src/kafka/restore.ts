/**
 * Reading one partition of a compacted topic up to a barrier: a record its owner has just written, and therefore the last
 * one there is. Reading up to it is reading all of it; and because it is a real record at the tail, a reader never waits
 * behind empty compacted batches.
 */
import { CodedError } from '../base/errors.ts';
import type { Append, Clock, PartitionReader, TopicPartition } from './port.ts';

/** Reserved key of the barrier record; one per partition, so compaction keeps one. */
export const BARRIER_KEY = '\u0000barrier';
const BARRIER_KEY_BYTES = Buffer.from(BARRIER_KEY);

export interface RestoreStats {
  readonly records: number;
  readonly durationMs: number;
}

/** The barrier of one open; `id` is a value that no other open of this partition has used. */
export function barrierRecord({ topic, partition }: TopicPartition, id: string): Append {
  return { topic, partition, key: BARRIER_KEY_BYTES, value: Buffer.from(id) };
}

export interface RestoreOptions extends TopicPartition {
  readonly reader: PartitionReader;
  readonly clock: Clock;
  /** What `barrierRecord` was given. */
  readonly barrierId: string;
  /** Longest time without a record before the restore counts as stuck. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
  /** Called for every record but barriers, in order; what it throws ends the restore. */
  readonly restored: (key: Buffer, value: Buffer | null, timestampMs: number) => void;
}

export interface Restored {
  readonly records: number;
  /** Greater with each open of the partition, whoever opens it. */
  readonly barrierOffset: number;
}

/** Resolves once the barrier has been read; the partition is followed no more then. */
export async function restoreToBarrier(options: RestoreOptions): Promise<Restored> {
  const { reader, topic, partition, clock, stallMs, signal, restored } = options;
  const barrier = Buffer.from(options.barrierId);
  const outcome = Promise.withResolvers<number>();
  let records = 0;
  let done = false;
  let seenAtLastCheck = -1;
  const follow = reader.follow({
    topic,
    partition,
    fromOffset: 0,
    failed: (error) => outcome.reject(error),
    records: (batch) => {
      if (done) return;
      try {
        for (const record of batch.records) {
          if (record.key === null) continue;
          records++;
          if (!record.key.equals(BARRIER_KEY_BYTES)) restored(record.key, record.value, record.timestampMs);
          else if (record.value?.equals(barrier) === true) {
            done = true;
            outcome.resolve(record.offset);
            return;
          }
        }
      } catch (error) {
        outcome.reject(error); // a full table must end the open, not the reader
      }
    },
  });
  const watch = new AbortController();
  const stalled = (async () => {
    while (!watch.signal.aborted) {
      await clock.sleep(stallMs, watch.signal);
      if (watch.signal.aborted) return;
      if (records === seenAtLastCheck) {
        throw new CodedError('restore_timeout', `No state record arrived for ${stallMs} ms`, { partition, records });
      }
      seenAtLastCheck = records;
    }
  })();
  const aborted = new Promise<never>((_, reject) => {
    const stop = () => reject(new CodedError('shutting_down', 'The restore was interrupted'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true, signal: watch.signal });
  });
  try {
    const never = stalled.then(() => new Promise<never>(() => undefined));
    const barrierOffset = await Promise.race([outcome.promise, aborted, never]);
    return { records, barrierOffset };
  } finally {
    watch.abort();
    await follow.stop();
  }
}
