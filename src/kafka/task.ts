/**
 * What a stream task sees of the log room: records in, decisions out. Tasks hold no client, no clock and no promise
 * inside `decide`; the partition session (session.ts) turns what they return into one Kafka transaction.
 */
import type { Append, LogRecord } from './port.ts';

/**
 * The state of one shard while a transaction is being decided: reads fall through to committed state, writes stay in
 * an overlay that reaches memory (and the compacted twin partition) only when the transaction has committed.
 */
export interface StateView {
  /** The bytes last set for `key`, or undefined. Valid until the next call on this view; copy what must live longer. */
  get(key: string): Buffer | undefined;
  /** `partition` is the input partition the record came from; the state goes to the twin partition of that number. */
  set(partition: number, key: string, value: Buffer): void;
  delete(partition: number, key: string): void;
}

export interface StreamTask {
  /** What must exist before `decide` (a tenant's topic, say). Return undefined when there is nothing to wait for. */
  prepare(records: readonly LogRecord[]): Promise<void> | undefined;
  /**
   * Pure over its arguments: the same records and state give the same appends and writes. A record that cannot be
   * processed becomes a dead-letter append. Throws CodedError with disposition `fatal` to stop the partition.
   */
  decide(records: readonly LogRecord[], state: StateView, nowMs: number): readonly Append[];
}
