/** Follows single partitions of the in-memory log, read_committed. */
import { CodedError } from '../../base/errors.ts';
import type { Follow, FollowOptions, PartitionReader } from '../port.ts';
import type { MemoryBroker } from './broker.ts';
import type { ClientProcess } from './client-process.ts';
import { Cursor } from './cursor.ts';

const MAX_BATCH_BYTES = 1_048_576;

export class MemoryReader implements PartitionReader {
  readonly #broker: MemoryBroker;
  readonly #process: ClientProcess;
  readonly #topics: ReadonlySet<string>;
  readonly #cursors = new Set<Cursor>();
  readonly #forgetThaw: () => void;
  readonly #onClosed: () => void;
  #closed = false;

  constructor(broker: MemoryBroker, process: ClientProcess, topics: readonly string[], onClosed: () => void) {
    this.#broker = broker;
    this.#process = process;
    this.#topics = new Set(topics);
    this.#onClosed = onClosed;
    this.#forgetThaw = process.onThaw(() => {
      for (const cursor of this.#cursors) cursor.wake();
    });
  }

  follow(options: FollowOptions): Follow {
    const { topic, partition, fromOffset, records, failed } = options;
    if (this.#closed) throw new Error('follow on a closed reader');
    if (!this.#topics.has(topic)) throw new CodedError('topic_invalid', 'this reader was not opened for it', { topic });
    const log = this.#broker.topics.partition({ topic, partition });
    const cursor = new Cursor(
      {
        log,
        position: fromOffset,
        maxBytes: MAX_BATCH_BYTES,
        mayRun: () => this.#process.running && this.#broker.isUp,
        defer: this.#broker.defer,
        deliver: (batch) => {
          try {
            records({ topic, partition, records: batch });
          } catch (error) {
            this.#stop(cursor);
            failed(error);
          }
        },
      },
      'running',
    );
    this.#cursors.add(cursor);
    return { stop: async () => this.#stop(cursor) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#forgetThaw();
    for (const cursor of [...this.#cursors]) this.#stop(cursor);
    this.#onClosed();
  }

  #stop(cursor: Cursor): void {
    cursor.stop();
    this.#cursors.delete(cursor);
  }
}
