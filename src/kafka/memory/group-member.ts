/**
 * The client side of one group member.
 *
 * M1 Between `rebalancing` and `assigned` the listener hears nothing, and after `close` nothing ever again.
 * M2 Every partition of a new assignment is paused; cursors of an earlier epoch are gone.
 * M3 A frozen member hears nothing; once thawed it first gets what it had already asked for, then learns from its
 *    heartbeat whether it is still a member. In between it is a zombie, as a process after SIGCONT is.
 * M4 A listener that throws over records is told so through `crashed`, and nothing is lost: their partition is paused
 *    with the batch unread, the others go on. A listener that throws elsewhere ends the member.
 */
import { CodedError } from '../../base/errors.ts';
import type { GroupListener, GroupMember, GroupOptions, TopicPartition } from '../port.ts';
import type { MemoryBroker } from './broker.ts';
import { ClientProcess } from './client-process.ts';
import { Cursor } from './cursor.ts';
import type { GroupCoordinator } from './group-coordinator.ts';
import { partitionKey } from './group-offsets.ts';

const DEFAULT_MAX_BYTES = 1_048_576;
const MAX_HEARTBEAT_INTERVAL_MS = 500;

export class MemoryGroupMember implements GroupMember {
  /** Stopped on its own by `freeze(member)`, or together with everything else of its process. */
  readonly suspension = new ClientProcess();
  readonly #broker: MemoryBroker;
  readonly #process: ClientProcess;
  readonly #options: GroupOptions;
  readonly #coordinator: GroupCoordinator;
  readonly #onClosed: () => void;
  readonly #closing = new AbortController();
  readonly #forgetThaw: readonly (() => void)[];
  #cursors = new Map<string, Cursor>();
  #id: string;
  #generation = 0;
  #epoch = 0;
  #joining = true;
  #crashTold = false;
  #missedAssignment: (() => void) | null = null;

  constructor(broker: MemoryBroker, process: ClientProcess, options: GroupOptions, onClosed: () => void) {
    this.#broker = broker;
    this.#process = process;
    this.#options = options;
    this.#onClosed = onClosed;
    this.#coordinator = broker.group(options.groupId);
    this.#forgetThaw = [process.onThaw(() => this.#thawed()), this.suspension.onThaw(() => this.#thawed())];
    this.#id = this.#join();
    void this.#beat();
  }

  seek(partition: TopicPartition, offset: number): void {
    this.#cursors.get(partitionKey(partition))?.seek(offset);
  }

  pause(partition: TopicPartition): void {
    this.#cursors.get(partitionKey(partition))?.pause();
  }

  resume(partition: TopicPartition): void {
    this.#cursors.get(partitionKey(partition))?.resume();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#stop();
    // Without a broker there is nobody to tell; the session timeout says it later.
    if (this.#broker.isUp) this.#coordinator.leave(this.#id);
  }

  /** The process was killed: nobody is told, and the session times out. */
  abandon(): void {
    this.#stop();
  }

  #join(): string {
    return this.#coordinator.join({
      topics: this.#options.topics,
      assigner: this.#options.assigner,
      sessionTimeoutMs: this.#options.sessionTimeoutMs,
      assigned: (generation, partitions) => this.#assigned(generation, partitions),
      crashed: (error) => this.#crashed(error),
    });
  }

  #assigned(generation: number, partitions: readonly TopicPartition[]): void {
    if (this.#closed) return;
    if (!this.#running) {
      this.#missedAssignment = () => this.#assigned(generation, partitions);
      return;
    }
    this.#joining = false;
    this.#generation = generation;
    this.#epoch += 1;
    this.#dropCursors();
    for (const partition of partitions) this.#cursors.set(partitionKey(partition), this.#cursor(partition));
    this.#tell((listener) => listener.assigned(partitions, this.#epoch));
    this.#broker.defer(() => this.#heartbeat());
  }

  #cursor(tp: TopicPartition): Cursor {
    const { topic, partition } = tp;
    const cursor = new Cursor(
      {
        log: this.#broker.topics.partition(tp),
        position: this.#broker.offsets.committed(this.#options.groupId, tp) ?? 0,
        maxBytes: this.#options.maxBytesPerPartition ?? DEFAULT_MAX_BYTES,
        mayRun: () => this.#running && this.#broker.isUp,
        defer: this.#broker.defer,
        deliver: (records) => {
          try {
            this.#options.listener.records({ topic, partition, records });
          } catch (cause) {
            cursor.pause(); // M4
            cursor.seek(records[0]?.offset ?? 0);
            this.#tellCrashed(
              new CodedError('log_fatal', 'the listener threw on records', { topic, partition }, { cause }),
            );
          }
        },
      },
      'paused', // M2
    );
    return cursor;
  }

  async #beat(): Promise<void> {
    const intervalMs = Math.min(this.#options.sessionTimeoutMs / 10, MAX_HEARTBEAT_INTERVAL_MS);
    while (!this.#closed) {
      await this.#broker.clock.sleep(intervalMs, this.#closing.signal);
      this.#heartbeat();
    }
  }

  #heartbeat(): void {
    if (this.#closed || this.#joining || !this.#running || !this.#broker.isUp) return;
    const atMs = this.#broker.clock.nowMs();
    const answer = this.#coordinator.heartbeat(this.#id, this.#generation);
    if (answer === 'ok') {
      this.#tell((listener) => listener.heartbeat(this.#epoch, atMs));
      return;
    }
    this.#joining = true;
    this.#dropCursors();
    this.#tell((listener) => listener.rebalancing(this.#epoch));
    if (!this.#closed && !this.#coordinator.rejoin(this.#id)) this.#id = this.#join();
  }

  /** M3: cursors are woken first, so their batches come before the heartbeat's answer. */
  #thawed(): void {
    if (!this.#running) return;
    for (const cursor of this.#cursors.values()) cursor.wake();
    const missed = this.#missedAssignment;
    this.#missedAssignment = null;
    this.#broker.defer(() => {
      missed?.();
      this.#heartbeat();
    });
  }

  #crashed(error: unknown): void {
    if (this.#closed) return;
    this.#stop();
    this.#coordinator.leave(this.#id);
    this.#tellCrashed(error);
  }

  /** Once: a second fatal error says nothing new to whoever is already on the way out. */
  #tellCrashed(error: unknown): void {
    if (this.#crashTold) return;
    this.#crashTold = true;
    this.#broker.report('a group member crashed', error);
    this.#options.listener.crashed(error);
  }

  #stop(): void {
    this.#closing.abort();
    this.#dropCursors();
    for (const forget of this.#forgetThaw) forget();
    this.#onClosed();
  }

  #dropCursors(): void {
    for (const cursor of this.#cursors.values()) cursor.stop();
    this.#cursors = new Map();
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  get #running(): boolean {
    return this.#process.running && this.suspension.running;
  }

  /** M4 */
  #tell(call: (listener: GroupListener) => void): void {
    if (this.#closed) return;
    try {
      call(this.#options.listener);
    } catch (cause) {
      this.#crashed(new CodedError('log_fatal', 'the listener threw', { groupId: this.#options.groupId }, { cause }));
    }
  }
}
