/**
 * Shards: fixed sets of input partitions that are always assigned together and share one transactional.id, so that one
 * transaction serves several partitions. Partition p belongs to shard p mod shardCount, for the life of the group:
 * changing the count changes transactional ids and needs the group stopped (runbook).
 */
import type { Assigner, TopicPartition } from './port.ts';

export function shardOf(partition: number, shardCount: number): number {
  return partition % shardCount;
}

export function transactionalId(groupId: string, topic: string, shard: number): string {
  return `${groupId}-${topic}-${shard}`;
}

/** Deals whole shards of `topic` to the members in turn, in the order of their ids. Every partition gets one owner. */
export function shardAssigner(topic: string, shardCount: number): Assigner {
  return (memberIds, topics) => {
    const members = [...memberIds].sort();
    const dealt = new Map<string, TopicPartition[]>(members.map((id) => [id, []]));
    if (members.length === 0) return dealt;
    for (let partition = 0; partition < (topics.get(topic) ?? 0); partition++) {
      const owner = members[shardOf(partition, shardCount) % members.length] as string;
      dealt.get(owner)?.push({ topic, partition });
    }
    return dealt;
  };
}

/** Groups assigned partitions of `topic` by shard. */
export function byShard(
  partitions: readonly TopicPartition[],
  topic: string,
  shardCount: number,
): ReadonlyMap<number, readonly number[]> {
  const shards = new Map<number, number[]>();
  for (const assigned of partitions) {
    if (assigned.topic !== topic) continue;
    const shard = shardOf(assigned.partition, shardCount);
    const list = shards.get(shard);
    if (list === undefined) shards.set(shard, [assigned.partition]);
    else list.push(assigned.partition);
  }
  return shards;
}
