/** The process role: a stream worker that turns raw records into envelopes. */
import { randomUUID } from 'node:crypto';
import type { Connection } from '../../fibric/connection.ts';
import type { Envelope } from '../../fibric/envelope.ts';
import type { Log } from '../../kafka/port.ts';
import { StreamWorker } from '../../kafka/stream-worker.ts';
import { eventsTopic, topicNames } from '../../kafka/topics.ts';
import { DEAD_LETTER_LIMIT } from '../../processors/dead-letters.ts';
import { createProcessorTask, type ProcessorOutcome } from '../../processors/task.ts';
import type { Settings } from '../settings.ts';
import type { Logger, Metrics } from '../telemetry.ts';
import { TenantTopics, topicSettings } from '../topic-settings.ts';
import { ConnectionWait } from './connection-wait.ts';
import { watchLag } from './process-lag.ts';
import type { Role } from './role.ts';

export interface ProcessRoleOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly connections: { get(connectionId: string): Connection | undefined };
  readonly encode: (envelope: Envelope) => Buffer;
  /** The process must end: see StreamObserver.crashed. */
  readonly crashed: (error: unknown) => void;
}

export const PROCESSOR_GROUP = 'cn-kustomer.process';

export async function startProcessRole(options: ProcessRoleOptions): Promise<Role> {
  const { settings, log, logger, metrics, connections, encode, crashed } = options;
  const names = topicNames(settings.topicPrefix);
  const topics = topicSettings(settings);
  const tenants = new TenantTopics(
    log,
    (tenantId) => eventsTopic(topics, tenantId),
    ({ tenantId, reason }) =>
      logger.error(
        { event: 'process.topic_refused', tenantId, reason },
        "the broker refuses a tenant's topic; its records become dead letters until it is taken",
      ),
  );
  const arriving = new ConnectionWait({ connections, clock: log.clock });
  const worker = await StreamWorker.start({
    log,
    clientId: 'process',
    random: Math.random,
    uniqueId: randomUUID,
    settings: {
      groupId: `${settings.topicPrefix}${PROCESSOR_GROUP}`,
      topic: names.raw,
      stateTopic: names.state,
      shardCount: settings.shards,
      sessionTimeoutMs: settings.sessionTimeoutMs,
      maxBatchRecords: settings.batchRecords,
      paceMs: settings.paceMs,
      maxQueuedRecords: settings.batchRecords * 3,
      transactionTimeoutMs: 15_000,
      restoreStallMs: 30_000,
      stateMaxBytes: settings.stateMaxBytes,
      stateRetentionMs: settings.stateRetentionMs,
      retryMinMs: 100,
      retryMaxMs: 5000,
    },
    createTask: () =>
      createProcessorTask({
        topics: names,
        connections,
        encode,
        ensureTenantTopic: (tenantId) => tenants.ensure(tenantId),
        topicRefusal: (tenantId) => tenants.refusal(tenantId),
        awaitConnection: (connectionId) => arriving.wait(connectionId),
        onOutcome: (outcome) => countOutcome(metrics, outcome),
        deadLetterLimit: { ...DEAD_LETTER_LIMIT, maxConsecutive: settings.deadLetterRun },
      }),
    observer: {
      assigned: (epoch, shards) => logger.info({ event: 'process.assigned', epoch, shards }, 'shards assigned'),
      opened: (shard, restored) => {
        metrics.observe('cnk_process_restore_seconds', restored.durationMs / 1000);
        logger.info({ event: 'process.opened', shard, ...restored }, 'shard restored and open');
      },
      lost: (shard, { partition, from, to }) => {
        metrics.add('cnk_process_records_lost_total', to - from);
        logger.error(
          { event: 'process.records_lost', shard, partition, from, to, records: to - from },
          'retention took raw records before they were processed',
        );
      },
      committed: (_shard, commit) => {
        metrics.add('cnk_process_records_total', commit.records);
        metrics.add('cnk_process_transactions_total');
        metrics.observe('cnk_process_transaction_seconds', commit.durationMs / 1000);
      },
      failed: (shard, error, next) => {
        metrics.add('cnk_process_failures_total', 1, { code: error.code, next });
        const line = { event: 'process.failed', shard, code: error.code, next, reason: error.message, ...error.detail };
        if (next === 'stop')
          logger.error(
            line,
            'shard stopped; it stays where it is until the cause is removed and the process restarted',
          );
        else logger.warn(line, 'shard is being opened again');
      },
      crashed,
    },
  });
  metrics.onScrape(() => scrape(metrics, worker));
  const lag = watchLag({ worker, log, topic: names.raw, logger, metrics });
  return {
    name: 'process',
    health: () => ({
      ready: worker.health.ready,
      detail: { ...worker.health, lag: lag.health(), refusedTopics: tenants.refusals },
    }),
    close: async () => {
      lag.stop();
      await worker.close();
    },
  };
}

function countOutcome(metrics: Metrics, outcome: ProcessorOutcome): void {
  for (const [verdict, count] of Object.entries(outcome.verdicts)) {
    if (count > 0) metrics.add('cnk_process_verdicts_total', count, { verdict });
  }
  for (const [code, count] of Object.entries(outcome.dead))
    metrics.add('cnk_process_dead_letters_total', count, { code });
  for (const [type, count] of Object.entries(outcome.envelopes)) {
    metrics.add('cnk_process_envelopes_total', count, { event_type: type });
  }
  if (outcome.late > 0) metrics.add('cnk_process_late_total', outcome.late);
  if (outcome.collapsed > 0) metrics.add('cnk_process_collapsed_total', outcome.collapsed);
}

function scrape(metrics: Metrics, worker: StreamWorker): void {
  const { shards } = worker.health;
  metrics.set(
    'cnk_process_state_resources',
    shards.reduce((sum, shard) => sum + shard.resources, 0),
  );
  metrics.set(
    'cnk_process_state_bytes',
    shards.reduce((sum, shard) => sum + shard.stateBytes, 0),
  );
  for (const phase of ['opening', 'running', 'suspended', 'failed'] as const) {
    metrics.set('cnk_process_shards', shards.filter((shard) => shard.phase === phase).length, { phase });
  }
}
