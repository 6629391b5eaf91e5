/**
 * The one table of topics. `cn-kustomer topics` prints and reconciles it; `docs/reference/topics.md` is generated from it.
 *
 * Raw and state keep equal partition counts: state partition p belongs to the owner of raw partition p. Changing the
 * count moves keys to other partitions, away from their state, so it is a migration and never done silently.
 */
import type { TopicSpec } from './port.ts';

export interface TopicSettings {
  /** Put before every topic name; empty in production, unique per test. */
  readonly prefix: string;
  readonly rawPartitions: number;
  readonly eventPartitions: number;
  /** Absent = the broker's default. */
  readonly replicationFactor?: number;
  /** How long the dedupe state and raw records are kept. */
  readonly stateRetentionMs: number;
  readonly rawRetentionMs: number;
}

export const TOPIC_DEFAULTS: TopicSettings = {
  prefix: '',
  rawPartitions: 4,
  eventPartitions: 4,
  stateRetentionMs: 90 * 86_400_000,
  rawRetentionMs: 14 * 86_400_000,
};

/** Tenant ids that may become part of a topic name (Kafka allows [a-zA-Z0-9._-], 249 characters in all). */
export const TENANT_ID = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$/;

export interface TopicNames {
  readonly raw: string;
  readonly state: string;
  readonly dead: string;
  readonly control: string;
  /** Topic of one tenant's envelopes. The only place that knows the rule. */
  events(tenantId: string): string;
}

export function topicNames(prefix: string): TopicNames {
  return {
    raw: `${prefix}kustomer.raw`,
    state: `${prefix}kustomer.state`,
    dead: `${prefix}kustomer.dead`,
    control: `${prefix}fibric.control`,
    events: (tenantId) => `${prefix}fibric.events.${tenantId}`,
  };
}

/** The fixed topics, wanted as they are described here. */
export function fixedTopics(settings: TopicSettings): readonly TopicSpec[] {
  const names = topicNames(settings.prefix);
  const replication = settings.replicationFactor === undefined ? {} : { replicationFactor: settings.replicationFactor };
  return [
    {
      name: names.raw,
      partitions: settings.rawPartitions,
      ...replication,
      config: {
        'cleanup.policy': 'delete',
        'retention.ms': String(settings.rawRetentionMs),
        'max.message.bytes': '2097152',
      },
    },
    {
      name: names.state,
      partitions: settings.rawPartitions,
      ...replication,
      config: {
        'cleanup.policy': 'compact,delete',
        'retention.ms': String(settings.stateRetentionMs),
        'min.cleanable.dirty.ratio': '0.3',
        'segment.bytes': '134217728',
        'max.message.bytes': '2162688',
      },
    },
    {
      name: names.dead,
      partitions: settings.rawPartitions,
      ...replication,
      config: {
        'cleanup.policy': 'delete',
        'retention.ms': String(settings.stateRetentionMs),
        // The largest raw record and the headers of a dead letter.
        'max.message.bytes': '2162688',
      },
    },
    { name: names.control, partitions: 1, ...replication, config: { 'cleanup.policy': 'compact' } },
  ];
}

/** The topic of one tenant's envelopes. */
export function eventsTopic(settings: TopicSettings, tenantId: string): TopicSpec {
  return {
    name: topicNames(settings.prefix).events(tenantId),
    partitions: settings.eventPartitions,
    ...(settings.replicationFactor === undefined ? {} : { replicationFactor: settings.replicationFactor }),
    config: {
      'cleanup.policy': 'delete',
      'retention.ms': String(settings.stateRetentionMs),
      // An envelope can come close to the body it was made of, and the brokers' default is less than a body may have.
      'max.message.bytes': '2162688',
    },
  };
}
