/** Follows single partitions of the in-memory log, read_committed. */
import { CodedError } from '../../base/errors.ts';
import type { Follow, FollowOptions, PartitionReader } from '../port.ts';
import type { MemoryBroker } from './broker.ts';
import type { ClientProcess } from './client-process.ts';
import { Cursor } from './cursor.ts';
import { partitionKey } from './group-offsets.ts';
import type { Partition } from './partition.ts';

const MAX_BATCH_BYTES = 1_048_576;

export class MemoryReader implements PartitionReader {
  readonly #broker: MemoryBroker;
  readonly #process: ClientProcess;
  readonly #topics: ReadonlySet<string>;
  readonly #cursors = new Map<string, Cursor>();
  readonly #forgetThaw: () => void;
  readonly #onClosed: () => void;
  #closed = false;

  constructor(broker: MemoryBroker, process: ClientProcess, topics: readonly string[], onClosed: () => void) {
    this.#broker = broker;
    this.#process = process;
    this.#topics = new Set(topics);
    this.#onClosed = onClosed;
    this.#forgetThaw = process.onThaw(() => {
      for (const cursor of this.#cursors.values()) cursor.wake();
    });
  }

  follow(options: FollowOptions): Follow {
    const { topic, partition, fromOffset, records, passed, failed } = options;
    const key = partitionKey({ topic, partition });
    if (this.#closed) throw new CodedError('shutting_down', 'the reader is closed');
    if (!this.#topics.has(topic)) throw new CodedError('topic_invalid', 'this reader was not opened for it', { topic });
    // A reader has one position per partition, as a consumer has.
    if (this.#cursors.has(key)) throw new TypeError(`${key} is already followed by this reader`);
    let log: Partition;
    try {
      log = this.#broker.topics.partition({ topic, partition });
    } catch (error) {
      this.#broker.defer(() => failed(error));
      return { stop: async () => undefined };
    }
    const cursor = new Cursor(
      {
        log,
        position: fromOffset,
        maxBytes: MAX_BATCH_BYTES,
        mayRun: () => this.#process.running && this.#broker.isUp,
        defer: this.#broker.defer,
        ...(passed !== undefined && { passed }),
        deliver: (batch) => {
          try {
            records({ topic, partition, records: batch });
          } catch (error) {
            this.#stop(key, cursor);
            failed(error);
          }
        },
      },
      'running',
    );
    this.#cursors.set(key, cursor);
    return { stop: async () => this.#stop(key, cursor) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#forgetThaw();
    for (const [key, cursor] of [...this.#cursors]) this.#stop(key, cursor);
    this.#onClosed();
  }

  #stop(key: string, cursor: Cursor): void {
    cursor.stop();
    if (this.#cursors.get(key) === cursor) this.#cursors.delete(key);
  }
}
