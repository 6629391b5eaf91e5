/** Committed offsets of consumer groups: what Kafka keeps in __consumer_offsets. */
import type { CommitOffset, TopicPartition } from '../port.ts';

export class GroupOffsets {
  readonly #groups = new Map<string, Map<string, number>>();

  commit(groupId: string, offsets: readonly CommitOffset[]): void {
    let group = this.#groups.get(groupId);
    if (group === undefined) {
      group = new Map();
      this.#groups.set(groupId, group);
    }
    for (const { topic, partition, offset } of offsets) group.set(partitionKey({ topic, partition }), offset);
  }

  committed(groupId: string, partition: TopicPartition): number | null {
    return this.#groups.get(groupId)?.get(partitionKey(partition)) ?? null;
  }

  /** Offsets of a deleted topic go with it, or a new topic of that name would start in the middle. */
  forget(topic: string): void {
    for (const group of this.#groups.values()) {
      for (const key of [...group.keys()]) if (key.slice(0, key.lastIndexOf('/')) === topic) group.delete(key);
    }
  }
}

/** One string per partition, for maps. */
export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
