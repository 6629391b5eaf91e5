/**
 * The log port in memory: one broker, and one client of it per `Log`. Deterministic under a virtual clock; under a real
 * one it yields to the event loop between batches, so that a service running on it keeps answering.
 */

import { realClock } from '../../base/clock.ts';
import { CodedError } from '../../base/errors.ts';
import type {
  Clock,
  GroupMember,
  GroupOptions,
  Log,
  LogProducer,
  PartitionReader,
  ProducerOptions,
  TopicPartition,
  TransactionalOptions,
  TransactionalProducer,
} from '../port.ts';
import { MemoryAdmin } from './admin.ts';
import { MemoryBroker } from './broker.ts';
import { ClientProcess } from './client-process.ts';
import type { MemoryFaults } from './faults.ts';
import { MemoryGroupMember } from './group-member.ts';
import { MemoryProducer, MemoryTransactionalProducer } from './producers.ts';
import { MemoryReader } from './reader.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface MemoryLogOptions {
  /** Absent = real time. */
  readonly clock?: Clock;
  /** How long each half of a request takes; absent = no time, only a turn. */
  readonly latencyMs?: () => number;
  /** Errors nobody can be handed, such as those of a listener. */
  readonly report?: (message: string, error: unknown) => void;
}

/** A `Log` with the handles a test needs. */
export interface MemoryLog extends Log {
  readonly faults: MemoryFaults;
  /** Another process on the same broker, with a life of its own. */
  connect(): MemoryLog;
  /** SIGSTOP for one member, or without one for everything opened through this log. */
  freeze(member?: GroupMember): void;
  thaw(member?: GroupMember): void;
  /** SIGKILL: nothing opened through this log acts again; transactions stay open and sessions time out. */
  kill(): void;
  /** Cleans the topic at once, more thoroughly than a broker would: last value per key, no tombstones. */
  compact(topic: string): void;
  /** Moves the log start, as retention does. */
  deleteRecordsBefore(partition: TopicPartition, offset: number): void;
}

/** A new, empty in-memory broker and a first client of it. */
export function createMemoryLog(options: MemoryLogOptions = {}): MemoryLog {
  const clock = options.clock ?? realClock;
  // Under virtual time a microtask keeps the order exact; under real time a turn of the event loop lets I/O in.
  const defer = clock instanceof VirtualClock ? queueMicrotask : (work: () => void) => void setImmediate(work);
  const broker = new MemoryBroker({
    clock,
    defer,
    latencyMs: options.latencyMs ?? (() => 0),
    report: options.report ?? (() => undefined),
  });
  return new MemoryClient(broker);
}

class MemoryClient implements MemoryLog {
  readonly clock: Clock;
  readonly admin: MemoryAdmin;
  readonly faults: MemoryFaults;
  readonly #broker: MemoryBroker;
  readonly #process = new ClientProcess();
  readonly #opened = new Set<{ close(): Promise<void> }>();
  #closed = false;

  constructor(broker: MemoryBroker) {
    this.#broker = broker;
    this.clock = broker.clock;
    this.admin = new MemoryAdmin(broker);
    this.faults = {
      commitUnknown: (outcome, transactionalId) => broker.faults.commitUnknown(outcome, transactionalId),
      unavailable: (operation, times) => broker.faults.unavailable(operation, times),
      holdCommit: (transactionalId) => broker.faults.holdCommit(transactionalId),
      down: () => broker.down(),
      up: () => broker.up(),
    };
  }

  producer(_options: ProducerOptions): Promise<LogProducer> {
    return this.#open((closed) => new MemoryProducer(this.#broker, this.#process, closed));
  }

  transactional(options: TransactionalOptions): Promise<TransactionalProducer> {
    return this.#open((closed) => new MemoryTransactionalProducer(this.#broker, this.#process, options, closed));
  }

  group(options: GroupOptions): Promise<GroupMember> {
    return this.#open((closed) => {
      for (const topic of options.topics) this.#broker.topics.partitionsOf(topic);
      return new MemoryGroupMember(this.#broker, this.#process, options, closed);
    });
  }

  reader({ topics }: { readonly clientId: string; readonly topics: readonly string[] }): Promise<PartitionReader> {
    return this.#open((closed) => new MemoryReader(this.#broker, this.#process, topics, closed));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const opened of [...this.#opened]) await opened.close();
  }

  connect(): MemoryLog {
    return new MemoryClient(this.#broker);
  }

  freeze(member?: GroupMember): void {
    if (member === undefined) this.#process.freeze();
    else this.#memberOf(member).suspension.freeze();
  }

  thaw(member?: GroupMember): void {
    if (member === undefined) this.#process.thaw();
    else this.#memberOf(member).suspension.thaw();
  }

  kill(): void {
    this.#process.kill();
    for (const opened of [...this.#opened]) if (opened instanceof MemoryGroupMember) opened.abandon();
  }

  compact(topic: string): void {
    for (const log of this.#broker.topics.partitionsOf(topic)) log.compact();
  }

  deleteRecordsBefore(partition: TopicPartition, offset: number): void {
    this.#broker.topics.partition(partition).deleteBefore(offset);
  }

  /** A request there and back, with the thing made in between. */
  async #open<T extends { close(): Promise<void> }>(make: (closed: () => void) => T): Promise<T> {
    await this.#broker.travel();
    await this.#process.pass();
    if (this.#closed) throw new CodedError('shutting_down', 'the log is closed');
    this.#broker.admit('open');
    const opened: T = make(() => this.#opened.delete(opened));
    this.#opened.add(opened);
    await this.#broker.travel();
    await this.#process.pass();
    return opened;
  }

  #memberOf(member: GroupMember): MemoryGroupMember {
    if (member instanceof MemoryGroupMember && this.#opened.has(member)) return member;
    throw new Error('this member was not opened through this log');
  }
}
