/**
 * Topics, watermarks and committed offsets.
 *
 * A1 every call has a deadline and is retried within it, on a fresh client after each failure: KafkaJS keeps asking for
 *    every topic a client has ever seen, so one deleted topic would make all later calls of that client fail
 * A2 what a call created, changed or deleted is visible in the metadata when it resolves
 */
import kafkajs, { type Admin } from 'kafkajs';
import { CodedError } from '../../base/errors.ts';
import type { CommitOffset, LogAdmin, TopicDescription, TopicPartition, TopicSpec, Watermarks } from '../port.ts';
import { type Cluster, createCluster } from './cluster.ts';
import { coded, isHopeless, isProtocolError, isTopicRefused, isUnknownTopic } from './failures.ts';
import { type ClientOptions, createKafka } from './settings.ts';
import { closeAll, retrying } from './waiting.ts';

// Not visible to Node as a named export of the CommonJS module.
const { ConfigResourceTypes } = kafkajs;

/** How long a topic the broker does not know is taken for one whose metadata is still on its way. */
const UNKNOWN_TOPIC_PATIENCE_MS = 1_000;
const INTERNAL_TOPICS = new Set(['__consumer_offsets', '__transaction_state']);
/** KafkaJS's value for "set on this topic", among broker defaults and static configuration. */
const TOPIC_CONFIG_SOURCE = 1;

interface Client {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

/** A client made when first needed and dropped after a failure. */
class Lease<T extends Client> {
  readonly #create: () => T;
  #client: Promise<T> | undefined;

  constructor(create: () => T) {
    this.#create = create;
  }

  async use<R>(call: (client: T) => Promise<R>): Promise<R> {
    const lent = this.#client ?? this.#connect();
    this.#client = lent;
    try {
      return await call(await lent);
    } catch (error) {
      if (this.#client === lent) this.#client = undefined;
      lent.then((client) => client.disconnect()).catch(() => undefined); // given up; its errors say nothing new
      throw error;
    }
  }

  async close(): Promise<void> {
    const lent = this.#client;
    this.#client = undefined;
    await lent?.then((client) => client.disconnect());
  }

  async #connect(): Promise<T> {
    const client = this.#create();
    await client.connect();
    return client;
  }
}

export class KafkaAdmin implements LogAdmin {
  readonly #timeoutMs: number;
  readonly #admin: Lease<Admin>;
  readonly #cluster: Lease<Cluster>;

  constructor(options: ClientOptions) {
    this.#timeoutMs = options.settings.operationTimeoutMs;
    this.#admin = new Lease(() => createKafka({ ...options, clientId: 'admin' }).admin());
    this.#cluster = new Lease(() => createCluster(createKafka({ ...options, clientId: 'admin' })));
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<readonly string[]> {
    const existing = await this.#names();
    const created: string[] = [];
    for (const spec of specs.filter(({ name }) => !existing.has(name))) {
      if (await this.#createTopic(spec)) created.push(spec.name);
    }
    if (specs.length > 0) await this.#ready(new Map(specs.map(({ name }) => [name, 1])));
    return created;
  }

  async describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]> {
    return this.#ask('Describing topics', this.#admin, async (admin) => {
      const all = await admin.listTopics();
      const wanted = all.filter((name) => names?.includes(name) ?? !INTERNAL_TOPICS.has(name));
      if (wanted.length === 0) return [];
      const { topics } = await admin.fetchTopicMetadata({ topics: wanted });
      const configs = await overrides(admin, wanted);
      return topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.length,
        config: configs.get(name) ?? {},
      }));
    });
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    await this.#ask('Deleting topics', this.#admin, async (admin) => {
      const existing = new Set(await admin.listTopics());
      const topics = names.filter((name) => existing.has(name));
      if (topics.length > 0) await admin.deleteTopics({ topics, timeout: this.#timeoutMs });
      const left = new Set(await admin.listTopics());
      if (topics.some((name) => left.has(name))) throw new Error('The deleted topics are still listed');
    });
  }

  async growPartitions(name: string, partitions: number): Promise<void> {
    const [topic] = await this.describeTopics([name]);
    if (topic === undefined) throw new CodedError('topic_invalid', `Topic ${name} does not exist`, { topic: name });
    if (partitions < topic.partitions) {
      throw new CodedError('topic_invalid', `Topic ${name} has more partitions; Kafka cannot take any away`, {
        topic: name,
        partitions: topic.partitions,
        wanted: partitions,
      });
    }
    if (partitions === topic.partitions) return;
    await this.#ask('Adding partitions', this.#admin, (admin) =>
      admin.createPartitions({ topicPartitions: [{ topic: name, count: partitions }], timeout: this.#timeoutMs }),
    );
    await this.#ready(new Map([[name, partitions]]));
  }

  async alterConfig(name: string, config: Readonly<Record<string, string>>): Promise<void> {
    await this.#ask('Setting a topic configuration', this.#admin, async (admin) => {
      // AlterConfigs, the only one KafkaJS has, replaces every override of the topic.
      const merged = { ...(await overrides(admin, [name])).get(name), ...config };
      const configEntries = Object.entries(merged).map(([key, value]) => ({ name: key, value }));
      await admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: ConfigResourceTypes.TOPIC, name, configEntries }],
      });
    });
  }

  async watermarks({ topic, partition }: TopicPartition): Promise<Watermarks> {
    return this.#ask('Reading watermarks', this.#cluster, async (cluster) => {
      await cluster.addMultipleTargetTopics([topic]);
      await cluster.refreshMetadataIfNecessary();
      const at = async (fromBeginning: boolean) => {
        const [found] = await cluster.fetchTopicsOffset([{ topic, fromBeginning, partitions: [{ partition }] }]);
        const offset = found?.partitions.find((entry) => entry.partition === partition)?.offset;
        if (offset !== undefined) return Number(offset);
        throw new CodedError('topic_invalid', `Topic ${topic} has no partition ${partition}`, { topic, partition });
      };
      return { low: await at(true), high: await at(false) };
    });
  }

  async offsetSince({ topic, partition }: TopicPartition, timestampMs: number): Promise<number> {
    const found = await this.#ask('Finding an offset by its time', this.#cluster, async (cluster) => {
      await cluster.addMultipleTargetTopics([topic]);
      await cluster.refreshMetadataIfNecessary();
      const asked = { topic, fromTimestamp: timestampMs, partitions: [{ partition }] };
      const [answered] = await cluster.fetchTopicsOffset([asked]);
      const offset = answered?.partitions.find((entry) => entry.partition === partition)?.offset;
      if (offset !== undefined) return Number(offset);
      throw new CodedError('topic_invalid', `Topic ${topic} has no partition ${partition}`, { topic, partition });
    });
    // Negative: nothing is that young.
    return found >= 0 ? found : (await this.watermarks({ topic, partition })).high;
  }

  async committed(groupId: string, partitions: readonly TopicPartition[]): Promise<readonly (number | null)[]> {
    if (partitions.length === 0) return [];
    const { responses } = await this.#ask('Reading committed offsets', this.#cluster, async (cluster) => {
      const coordinator = await this.#coordinator(cluster, groupId);
      return coordinator.offsetFetch({ groupId, topics: byTopic(partitions, ({ partition }) => ({ partition })) });
    });
    return partitions.map(({ topic, partition }) => {
      const found = responses.find((entry) => entry.topic === topic);
      const offset = Number(found?.partitions.find((entry) => entry.partition === partition)?.offset ?? -1);
      return offset < 0 ? null : offset; // negative: none, or "earliest" left by a reset
    });
  }

  async commit(groupId: string, offsets: readonly CommitOffset[]): Promise<void> {
    if (offsets.length === 0) return;
    const topics = byTopic(offsets, ({ partition, offset }) => ({ partition, offset: String(offset) }));
    await this.#ask('Moving committed offsets', this.#cluster, async (cluster) => {
      const coordinator = await this.#coordinator(cluster, groupId);
      // As Java's AdminClient does it: no member, no generation; refused while the group has members.
      await coordinator.offsetCommit({ groupId, memberId: '', groupGenerationId: -1, topics }).catch((cause) => {
        if (!isProtocolError(cause, 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'REBALANCE_IN_PROGRESS')) throw cause;
        throw new CodedError('group_active', `Group ${groupId} has running members`, { groupId }, { cause });
      });
    });
  }

  /** Forgets an empty group; not part of the port. */
  async deleteGroup(groupId: string): Promise<void> {
    await this.#ask('Deleting a group', this.#admin, (admin) => admin.deleteGroups([groupId]));
  }

  async close(): Promise<void> {
    await closeAll([() => this.#admin.close(), () => this.#cluster.close()]);
  }

  async #coordinator(cluster: Cluster, groupId: string) {
    await cluster.refreshMetadataIfNecessary();
    return cluster.findGroupCoordinator({ groupId });
  }

  async #names(): Promise<Set<string>> {
    return new Set(await this.#ask('Listing topics', this.#admin, (admin) => admin.listTopics()));
  }

  /** False when another has created it meanwhile. */
  async #createTopic({ name, partitions, replicationFactor, config }: TopicSpec): Promise<boolean> {
    const topic = {
      topic: name,
      numPartitions: partitions,
      configEntries: Object.entries(config).map(([key, value]) => ({ name: key, value })),
      ...(replicationFactor === undefined ? {} : { replicationFactor }),
    };
    return this.#ask(`Creating topic ${name}`, this.#admin, (admin) =>
      admin.createTopics({ topics: [topic], waitForLeaders: false, timeout: this.#timeoutMs }),
    );
  }

  /**
   * Waits until the leader of every partition answers for it, with at least so many partitions. Being named leader in the
   * metadata is not enough: a broker that has not taken a partition over yet refuses it, and KafkaJS then repeats the
   * whole produce request, which doubles what went to the partitions that were ready.
   */
  async #ready(wanted: ReadonlyMap<string, number>): Promise<void> {
    await this.#ask('Waiting for topic leaders', this.#cluster, async (cluster) => {
      await cluster.addMultipleTargetTopics([...wanted.keys()]);
      await cluster.refreshMetadata();
      const asked = [...wanted].map(([topic, atLeast]) => {
        const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
        if (partitions.length < atLeast) throw new Error(`Not every partition of ${topic} is there yet`);
        return { topic, fromBeginning: true, partitions: partitions.map((partition) => ({ partition })) };
      });
      const answered = await cluster.fetchTopicsOffset(asked);
      const count = (topics: readonly { readonly partitions: readonly unknown[] }[]) =>
        topics.reduce((sum, { partitions }) => sum + partitions.length, 0);
      if (count(answered) < count(asked)) throw new Error('Not every partition has a leader yet');
    });
  }

  async #ask<T extends Client, R>(doing: string, lease: Lease<T>, call: (client: T) => Promise<R>): Promise<R> {
    const startedAtMs = Date.now();
    const patient = () => Date.now() - startedAtMs < UNKNOWN_TOPIC_PATIENCE_MS;
    const worthRetrying = (error: unknown) => {
      if (error instanceof CodedError) return error.code === 'log_unavailable';
      return !isHopeless(error) && !isTopicRefused(error) && (!isUnknownTopic(error) || patient());
    };
    const attempt = () => lease.use(call);
    try {
      return await retrying(attempt, {
        doing,
        timeoutMs: this.#timeoutMs,
        firstPauseMs: 20,
        maxPauseMs: 500,
        worthRetrying,
      });
    } catch (error) {
      throw coded(error, doing);
    }
  }
}

async function overrides(admin: Admin, names: readonly string[]): Promise<Map<string, Record<string, string>>> {
  const resources = names.map((name) => ({ type: ConfigResourceTypes.TOPIC, name }));
  const described = await admin.describeConfigs({ includeSynonyms: false, resources });
  return new Map(
    described.resources.map(({ resourceName, configEntries }) => [
      resourceName,
      Object.fromEntries(
        configEntries
          .filter(({ configSource }) => configSource === TOPIC_CONFIG_SOURCE)
          .map(({ configName, configValue }) => [configName, configValue]),
      ),
    ]),
  );
}

function byTopic<T extends TopicPartition, R>(
  entries: readonly T[],
  convert: (entry: T) => R,
): { topic: string; partitions: R[] }[] {
  const topics = new Map<string, R[]>();
  for (const entry of entries) {
    const list = topics.get(entry.topic) ?? [];
    list.push(convert(entry));
    topics.set(entry.topic, list);
  }
  return Array.from(topics, ([topic, partitions]) => ({ topic, partitions }));
}
