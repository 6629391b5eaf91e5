/** What the conformance suite needs besides the port: a fresh corner of a broker, and ways to wait without sleeping. */
import type { Append, CommitOffset, Log, TopicPartition, TopicSpec } from '../../src/kafka/port.ts';

export interface LogHarness {
  readonly log: Log;
  /** Another process on the same broker. */
  connect(): Promise<Log>;
  /** A name no other test uses. */
  unique(name: string): string;
  /** Waits for the condition; fails, naming it, after a deadline. */
  until(what: string, condition: () => boolean): Promise<void>;
  /**
   * A holder of the transactional.id that wrote this into a transaction and died before its end. Resolves once the
   * broker has the records and, where given, the offsets.
   */
  leaveOpen(transaction: {
    readonly transactionalId: string;
    readonly appends: readonly Append[];
    readonly offsets?: { readonly groupId: string; readonly offsets: readonly CommitOffset[] };
  }): Promise<void>;
  /** A topic whose cleaner really runs here. */
  compactedTopic(name: string): TopicSpec;
  /** Resolves once the cleaner has been over everything that stands in the partition now. */
  compact(partition: TopicPartition): Promise<void>;
  /** Moves the log start, as retention does. */
  deleteRecordsBefore(partition: TopicPartition, offset: number): Promise<void>;
  close(): Promise<void>;
}

/** Tests an implementation is known to fail, by name, each with the reason. They must fail: one that passes is an error. */
export type KnownFailures = Readonly<Record<string, string>>;

export interface LogContractOptions {
  readonly knownFailures?: KnownFailures;
  readonly testTimeoutMs?: number;
}
