/**
 * KafkaJS's cluster object: what its public admin client lacks. ListOffsets at read_uncommitted (the admin's "high" is the
 * last stable offset, which stands still while a transaction is open), and moving a group's offsets without joining it.
 *
 * This is not public API; the version is pinned and the conformance suite proves every call.
 */
import type { Kafka } from 'kafkajs';

interface TopicOffsets {
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
}

interface Coordinator {
  offsetFetch(request: {
    groupId: string;
    topics: readonly { topic: string; partitions: readonly { partition: number }[] }[];
  }): Promise<{ readonly responses: readonly TopicOffsets[] }>;
  offsetCommit(request: {
    groupId: string;
    groupGenerationId: number;
    memberId: string;
    topics: readonly TopicOffsets[];
  }): Promise<unknown>;
}

export interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>;
  refreshMetadata(): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number }[];
  fetchTopicsOffset(
    topics: readonly {
      topic: string;
      fromBeginning?: boolean;
      fromTimestamp?: number;
      partitions: readonly { partition: number }[];
    }[],
  ): Promise<readonly TopicOffsets[]>;
  findGroupCoordinator(group: { groupId: string }): Promise<Coordinator>;
}

const READ_UNCOMMITTED = 0;

type CreateCluster = (options: { allowAutoTopicCreation: boolean; isolationLevel: number }) => Cluster;

/** A cluster of its own connections; the caller connects and disconnects it. */
export function createCluster(kafka: Kafka): Cluster {
  const key = Object.getOwnPropertySymbols(kafka).find(
    (symbol) => symbol.description === 'private:Kafka:createCluster',
  );
  if (key === undefined) throw new TypeError('This is not the KafkaJS this code was written for (2.2.4)');
  const create = (kafka as unknown as Record<symbol, CreateCluster>)[key] as CreateCluster;
  return create({ allowAutoTopicCreation: false, isolationLevel: READ_UNCOMMITTED });
}
