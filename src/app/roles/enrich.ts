/**
 * Fetching customers' orders, as a part of the role `poll`: bodies that the processor sends round come back to the raw
 * topic with the orders in them.
 */
import { randomUUID } from 'node:crypto';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import type { FetcherDeps } from '../../ingest/enrich/fetcher.ts';
import { EnrichMemory } from '../../ingest/enrich/memory.ts';
import { ENRICH_SETTINGS, type EnrichSettings } from '../../ingest/enrich/plan.ts';
import { createEnrichTask, type EnrichOutcome } from '../../ingest/enrich/task.ts';
import type { Log } from '../../kafka/port.ts';
import { StreamWorker } from '../../kafka/stream-worker.ts';
import { topicNames } from '../../kafka/topics.ts';
import type { Settings } from '../settings.ts';
import type { Logger, Metrics } from '../telemetry.ts';

export interface EnrichRoleOptions extends Pick<FetcherDeps, 'clients'> {
  readonly settings: Pick<Settings, 'topicPrefix' | 'shards' | 'sessionTimeoutMs'>;
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly connections: { get(connectionId: string): ConnectionWithTokens | undefined };
  /** The process must end: see StreamObserver.crashed. */
  readonly crashed: (error: unknown) => void;
  /** Default ENRICH_SETTINGS. */
  readonly enrich?: Partial<EnrichSettings>;
  readonly random?: () => number;
  readonly uniqueId?: () => string;
}

export interface EnrichPart {
  readonly name: 'enrich';
  health(): { readonly ready: boolean; readonly detail: unknown };
  /** Breaks off what is being read: it is read again by whoever takes over. */
  close(): Promise<void>;
}

export const ENRICH_GROUP = 'cn-kustomer.enrich';

/** `/readyz` shows no more connections than this. */
const MAX_SHOWN = 50;

export async function startEnrichRole(options: EnrichRoleOptions): Promise<EnrichPart> {
  const { settings, log, logger, metrics, connections, clients, crashed } = options;
  const { random = Math.random, uniqueId = randomUUID } = options;
  const names = topicNames(settings.topicPrefix);
  const memory = new EnrichMemory();
  const stop = new AbortController();
  const worker = await StreamWorker.start({
    log,
    clientId: 'enrich',
    random,
    uniqueId,
    settings: {
      groupId: `${settings.topicPrefix}${ENRICH_GROUP}`,
      topic: names.enrich,
      stateTopic: null,
      shardCount: settings.shards,
      sessionTimeoutMs: settings.sessionTimeoutMs,
      // Each may come back with 128 kB of orders: a transaction stays within 26 MB.
      maxBatchRecords: 200,
      paceMs: 50,
      maxQueuedRecords: 600,
      transactionTimeoutMs: 15_000,
      restoreStallMs: 30_000,
      stateMaxBytes: 2 ** 16,
      stateRetentionMs: Number.MAX_SAFE_INTEGER,
      retryMinMs: 100,
      retryMaxMs: 5000,
    },
    createTask: () =>
      createEnrichTask({
        rawTopic: names.raw,
        connections,
        clients,
        memory,
        settings: { ...ENRICH_SETTINGS, ...options.enrich },
        clock: log.clock,
        random,
        signal: stop.signal,
        onOutcome: (outcome) => countOutcome(metrics, outcome),
        observer: {
          read: (outcome, durationMs) => {
            metrics.add('cnk_enrich_reads_total', 1, { outcome });
            metrics.observe('cnk_enrich_read_seconds', durationMs / 1000);
          },
          refused: ({ connectionId, state, reason, untilMs }) =>
            logger.warn(
              { event: 'enrich.refused', connectionId, state, reason, untilMs },
              "a connection's customers come without orders until its key may read them",
            ),
          allowed: (connectionId) =>
            logger.info({ event: 'enrich.allowed', connectionId }, "a connection's customers come with orders again"),
        },
      }),
    observer: {
      assigned: (epoch, shards) => logger.info({ event: 'enrich.assigned', epoch, shards }, 'shards assigned'),
      opened: (shard) => logger.info({ event: 'enrich.opened', shard }, 'shard open'),
      lost: (shard, range) =>
        logger.error(
          { event: 'enrich.records_lost', shard, ...range },
          'retention took customers that waited for their orders; their updates are not published',
        ),
      committed: () => undefined,
      failed: (shard, error, next) => {
        metrics.add('cnk_enrich_failures_total', 1, { code: error.code, next });
        logger.warn(
          { event: 'enrich.failed', shard, code: error.code, next, reason: error.message, ...error.detail },
          next === 'stop' ? 'shard stopped' : 'shard is being opened again',
        );
      },
      crashed,
    },
  });
  metrics.onScrape(() => metrics.set('cnk_enrich_refused_connections', memory.refusals.length));
  return {
    name: 'enrich',
    health: () => {
      const { refusals } = memory;
      return {
        ready: worker.health.ready,
        detail: { ...worker.health, refused: refusals.slice(-MAX_SHOWN), refusedConnections: refusals.length },
      };
    },
    close: async () => {
      stop.abort();
      await worker.close();
    },
  };
}

function countOutcome(metrics: Metrics, { states, oldestMs }: EnrichOutcome): void {
  for (const [state, count] of Object.entries(states)) metrics.add('cnk_enrich_customers_total', count, { state });
  metrics.observe('cnk_enrich_wait_seconds', oldestMs / 1000);
}
