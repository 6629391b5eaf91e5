/** What all clients of one in-memory log share: topics, groups, transactions, and whether anybody is at home. */
import { CodedError } from '../../base/errors.ts';
import type { Append, Clock } from '../port.ts';
import { FaultPlan, type Operation } from './faults.ts';
import { GroupCoordinator } from './group-coordinator.ts';
import { GroupOffsets } from './group-offsets.ts';
import { TopicStore } from './topic-store.ts';
import { TransactionCoordinator } from './transactions.ts';

export interface BrokerOptions {
  readonly clock: Clock;
  /** Runs work soon, never within the current call, in the order it was given. */
  readonly defer: (work: () => void) => void;
  /** How long each half of a request takes. */
  readonly latencyMs: () => number;
  /** Errors nobody can be handed, such as those of a listener. */
  readonly report: (message: string, error: unknown) => void;
}

export class MemoryBroker {
  readonly clock: Clock;
  readonly defer: BrokerOptions['defer'];
  readonly report: BrokerOptions['report'];
  readonly topics = new TopicStore();
  readonly offsets = new GroupOffsets();
  readonly transactions: TransactionCoordinator;
  readonly faults = new FaultPlan();
  readonly #latencyMs: () => number;
  readonly #groups = new Map<string, GroupCoordinator>();
  #up = true;

  constructor({ clock, defer, latencyMs, report }: BrokerOptions) {
    this.clock = clock;
    this.defer = defer;
    this.report = report;
    this.#latencyMs = latencyMs;
    this.transactions = new TransactionCoordinator(clock, this.offsets);
  }

  get isUp(): boolean {
    return this.#up;
  }

  down(): void {
    this.#up = false;
  }

  up(): void {
    this.#up = true;
    for (const { name } of this.topics.describe()) {
      for (const log of this.topics.partitionsOf(name)) log.wakeReaders();
    }
  }

  /** Lets an operation in, or throws `log_unavailable` before it has done anything. */
  admit(operation: Operation): void {
    if (this.#up && !this.faults.takeUnavailable(operation)) return;
    throw new CodedError('log_unavailable', 'the in-memory broker does not answer', { operation });
  }

  /** One way over the wire. */
  travel(): Promise<void> {
    const ms = this.#latencyMs();
    return ms > 0 ? this.clock.sleep(ms) : new Promise((resolve) => this.defer(resolve));
  }

  /** A plain produce request: readable at once. */
  append(appends: readonly Append[]): void {
    const placed = this.topics.place(appends, this.clock.nowMs());
    for (const { log, record } of placed) log.append(record, null);
    for (const log of new Set(placed.map((one) => one.log))) log.wakeReaders();
  }

  group(groupId: string): GroupCoordinator {
    let group = this.#groups.get(groupId);
    if (group === undefined) {
      group = new GroupCoordinator({
        groupId,
        clock: this.clock,
        isUp: () => this.#up,
        defer: this.defer,
        partitionCount: (topic) => this.topics.partitionsOf(topic).length,
      });
      this.#groups.set(groupId, group);
    }
    return group;
  }
}
