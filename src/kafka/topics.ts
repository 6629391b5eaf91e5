/**
 * The one table of topics. `cn-kustomer topics` prints and reconciles it; `docs/reference/topics.md` is generated from it.
 *
 * Raw and state keep equal partition counts: state partition p belongs to the owner of raw partition p. So do commands and
 * ledger. Changing a count moves keys to other partitions, away from their state: a migration, never done silently.
 */
import type { TopicSpec } from './port.ts';

export interface TopicSettings {
  /** Put before every topic name; empty in production, unique per test. */
  readonly prefix: string;
  readonly rawPartitions: number;
  readonly eventPartitions: number;
  /** Changing it moves connections to other owners, away from their cursors: a migration, as with raw. */
  readonly cursorPartitions: number;
  /** Of commands and their ledger. Changing it moves commands away from what is known of them: a migration. */
  readonly commandPartitions: number;
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
  cursorPartitions: 8,
  commandPartitions: 4,
  stateRetentionMs: 90 * 86_400_000,
  rawRetentionMs: 14 * 86_400_000,
};

/** A partition is one organisation's arithmetic at a time: few are enough, and each is one more transactional.id. */
const BUDGET_PARTITIONS = 4;
/** A rule is in one of them. Every process that acts reads all; changing the count forgets what is used. */
const QUOTA_PARTITIONS = 4;
/** Longer than the longest window (a day): what retention takes counts no more, whether the twin has it or not. */
const QUOTA_RETENTION_MS = 3 * 86_400_000;
/** An ask is answered or given up within seconds. */
const ASKS_RETENTION_MS = 10 * 60_000;
/** The largest raw record and what headers it may gain on its way. */
const RAW_AND_HEADERS_BYTES = '2162688';

/** Tenant ids that may become part of a topic name (Kafka allows [a-zA-Z0-9._-], 249 characters in all). */
export const TENANT_ID = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$/;

export interface TopicNames {
  readonly raw: string;
  readonly state: string;
  readonly dead: string;
  readonly control: string;
  /** Where each connection's polls and backfill stand. */
  readonly cursors: string;
  /** Customer bodies that wait for their orders. */
  readonly enrich: string;
  /** Who wants to call a vendor's organisation, and who may. */
  readonly budgetAsks: string;
  readonly budgetLeases: string;
  /** Writes that operators ask for; key = conversation id. */
  readonly commands: string;
  /** What is known of each command: the twin of `commands`. */
  readonly ledger: string;
  /** Who took which place of a limit; the log's order and time decide. */
  readonly quota: string;
  /** What the quota log comes to: where its readers begin. */
  readonly quotaState: string;
  /** Topic of one tenant's envelopes. The only place that knows the rule. */
  events(tenantId: string): string;
  /** Topic of one tenant's receipts. */
  receipts(tenantId: string): string;
}

export function topicNames(prefix: string): TopicNames {
  return {
    raw: `${prefix}kustomer.raw`,
    state: `${prefix}kustomer.state`,
    dead: `${prefix}kustomer.dead`,
    control: `${prefix}fibric.control`,
    cursors: `${prefix}kustomer.cursors`,
    enrich: `${prefix}kustomer.enrich`,
    budgetAsks: `${prefix}kustomer.budget.asks`,
    budgetLeases: `${prefix}kustomer.budget.leases`,
    commands: `${prefix}fibric.commands`,
    ledger: `${prefix}fibric.ledger`,
    quota: `${prefix}fibric.quota`,
    quotaState: `${prefix}fibric.quota.state`,
    events: (tenantId) => `${prefix}fibric.events.${tenantId}`,
    receipts: (tenantId) => `${prefix}fibric.receipts.${tenantId}`,
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
        'max.message.bytes': RAW_AND_HEADERS_BYTES,
      },
    },
    {
      name: names.dead,
      partitions: settings.rawPartitions,
      ...replication,
      config: {
        'cleanup.policy': 'delete',
        'retention.ms': String(settings.stateRetentionMs),
        'max.message.bytes': RAW_AND_HEADERS_BYTES,
      },
    },
    { name: names.control, partitions: 1, ...replication, config: { 'cleanup.policy': 'compact' } },
    { name: names.cursors, partitions: settings.cursorPartitions, ...replication, config: ownedConfig(3_600_000) },
    {
      name: names.enrich,
      partitions: settings.rawPartitions,
      ...replication,
      config: {
        'cleanup.policy': 'delete',
        'retention.ms': String(settings.rawRetentionMs),
        'max.message.bytes': RAW_AND_HEADERS_BYTES,
      },
    },
    {
      name: names.budgetAsks,
      partitions: BUDGET_PARTITIONS,
      ...replication,
      config: {
        'cleanup.policy': 'delete',
        'retention.ms': String(ASKS_RETENTION_MS),
        'segment.ms': String(ASKS_RETENTION_MS / 2),
      },
    },
    { name: names.budgetLeases, partitions: BUDGET_PARTITIONS, ...replication, config: ownedConfig(600_000) },
    {
      name: names.commands,
      partitions: settings.commandPartitions,
      ...replication,
      config: { 'cleanup.policy': 'delete', 'retention.ms': String(settings.rawRetentionMs) },
    },
    {
      name: names.ledger,
      partitions: settings.commandPartitions,
      ...replication,
      // Compacted only: what waits for a person is never forgotten, and the rest by its owner (retention.ts of the ledger).
      config: {
        'cleanup.policy': 'compact',
        'min.cleanable.dirty.ratio': '0.3',
        'segment.ms': '3600000',
        'segment.bytes': '134217728',
        // Entries of what waits hold its command, and a transaction many of them.
        'max.message.bytes': RAW_AND_HEADERS_BYTES,
      },
    },
    {
      name: names.quota,
      partitions: QUOTA_PARTITIONS,
      ...replication,
      // The time of a place is when the log took it, not what some process believes.
      config: {
        'cleanup.policy': 'delete',
        'retention.ms': String(QUOTA_RETENTION_MS),
        'segment.ms': '86400000',
        'message.timestamp.type': 'LogAppendTime',
      },
    },
    { name: names.quotaState, partitions: QUOTA_PARTITIONS, ...replication, config: ownedConfig(600_000) },
  ];
}

/**
 * A compacted topic of few keys, often rewritten, that is read from its start at every change of owner: only closed
 * segments are cleaned, so they close early.
 */
function ownedConfig(segmentMs: number): Readonly<Record<string, string>> {
  return {
    'cleanup.policy': 'compact',
    'min.cleanable.dirty.ratio': '0.1',
    'segment.ms': String(segmentMs),
    'segment.bytes': '16777216',
  };
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
      'max.message.bytes': RAW_AND_HEADERS_BYTES,
    },
  };
}

/** The topic of one tenant's receipts. */
export function receiptsTopic(settings: TopicSettings, tenantId: string): TopicSpec {
  return {
    name: topicNames(settings.prefix).receipts(tenantId),
    partitions: settings.eventPartitions,
    ...(settings.replicationFactor === undefined ? {} : { replicationFactor: settings.replicationFactor }),
    config: {
      'cleanup.policy': 'delete',
      'retention.ms': String(settings.stateRetentionMs),
      // What one transaction writes of them can be one batch.
      'max.message.bytes': RAW_AND_HEADERS_BYTES,
    },
  };
}
