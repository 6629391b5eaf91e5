/** The admin half of the port over the in-memory broker. */
import { CodedError } from '../../base/errors.ts';
import type { CommitOffset, LogAdmin, TopicPartition, TopicSpec } from '../port.ts';
import type { MemoryBroker } from './broker.ts';

export class MemoryAdmin implements LogAdmin {
  readonly #broker: MemoryBroker;

  constructor(broker: MemoryBroker) {
    this.#broker = broker;
  }

  createTopics(specs: readonly TopicSpec[]) {
    return this.#ask(({ topics }) => specs.filter((spec) => topics.create(spec)).map((spec) => spec.name));
  }

  describeTopics(names?: readonly string[]) {
    return this.#ask(({ topics }) => topics.describe(names));
  }

  deleteTopics(names: readonly string[]) {
    return this.#ask(({ topics, offsets }) => {
      for (const name of names) {
        topics.delete(name);
        offsets.forget(name);
      }
    });
  }

  growPartitions(name: string, partitions: number) {
    return this.#ask(({ topics }) => topics.grow(name, partitions));
  }

  alterConfig(name: string, config: Readonly<Record<string, string>>) {
    return this.#ask(({ topics }) => topics.alter(name, config));
  }

  watermarks(partition: TopicPartition) {
    return this.#ask(({ topics }) => topics.partition(partition).watermarks);
  }

  offsetSince(partition: TopicPartition, timestampMs: number) {
    return this.#ask(({ topics }) => topics.partition(partition).offsetSince(timestampMs));
  }

  committed(groupId: string, partitions: readonly TopicPartition[]) {
    return this.#ask(({ offsets }) => partitions.map((partition) => offsets.committed(groupId, partition)));
  }

  commit(groupId: string, committed: readonly CommitOffset[]) {
    return this.#ask((broker) => {
      const members = broker.group(groupId).memberIds.length;
      if (members > 0) throw new CodedError('group_active', 'the group has running members', { groupId, members });
      broker.offsets.commit(groupId, committed);
    });
  }

  async #ask<T>(answer: (broker: MemoryBroker) => T): Promise<T> {
    await this.#broker.travel();
    this.#broker.admit('admin');
    const answered = answer(this.#broker);
    await this.#broker.travel();
    return answered;
  }
}
