/** The poll role: polls and backfills the connections whose cursors this process owns. */
import { randomUUID } from 'node:crypto';
import { HORIZON_MS } from '../../ingest/poll/backfill-plan.ts';
import { LIVE_DEFAULTS } from '../../ingest/poll/plan.ts';
import { Poller } from '../../ingest/poll/poller.ts';
import type { PollOrigin, PollSettings } from '../../ingest/poll/ports.ts';
import { OwnerWorker } from '../../kafka/owner-worker.ts';
import type { Log } from '../../kafka/port.ts';
import { topicNames } from '../../kafka/topics.ts';
import type { ConnectionStore } from '../control/store.ts';
import { openBackfillOrders } from '../poll/backfill-orders.ts';
import type { Clients } from '../poll/clients.ts';
import { createPollObserver, scrapePoll } from '../poll/observer.ts';
import type { Settings } from '../settings.ts';
import type { Logger, Metrics } from '../telemetry.ts';
import type { Role } from './role.ts';

export interface PollRoleOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly connections: Pick<ConnectionStore, 'list' | 'onChange'>;
  /** Of this unit (vendor.ts). */
  readonly clients: Clients;
  /** Each row newly published. */
  readonly published?: (origin: PollOrigin, timeMs: number | null) => void;
  /** The process must end: see OwnerObserver.crashed. */
  readonly crashed: (error: unknown) => void;
  /** For tests: other bounds than Kustomer's. */
  readonly poll?: Partial<PollSettings>;
}

export interface PollRole extends Role {
  readonly poller: Poller;
  /** Whether this process polls the connection. */
  owns(connection: { readonly tenantId: string; readonly connectionId: string }): boolean;
}

export const POLL_GROUP = 'cn-kustomer.poll';

/** Cursors and what was seen, of all connections of a partition. */
const STATE_MAX_BYTES = 2 ** 28;
const MAX_SHOWN = 200;

export async function startPollRole(options: PollRoleOptions): Promise<PollRole> {
  const { settings, log, logger, metrics, connections, clients, crashed, published } = options;
  const names = topicNames(settings.topicPrefix);
  const orders = await openBackfillOrders({ log, topic: names.control, logger });
  const poller = new Poller({
    connections,
    clients,
    control: orders,
    rawTopic: names.raw,
    clock: log.clock,
    random: Math.random,
    settings: {
      ...LIVE_DEFAULTS,
      overlapMs: settings.pollOverlapMs,
      pageSize: settings.pollPageSize,
      horizonMs: HORIZON_MS,
      stateRetentionMs: settings.stateRetentionMs,
      ...options.poll,
    },
    observer: createPollObserver({
      logger,
      metrics,
      nowMs: () => log.clock.nowMs(),
      ...(published === undefined ? {} : { published }),
    }),
  });
  const abandon = async (error: unknown): Promise<never> => {
    await orders.close().catch(() => undefined); // the cause matters
    throw error;
  };
  const worker = await OwnerWorker.start({
    log,
    clientId: 'poll',
    random: Math.random,
    uniqueId: randomUUID,
    settings: {
      groupId: `${settings.topicPrefix}${POLL_GROUP}`,
      topic: names.cursors,
      sessionTimeoutMs: settings.sessionTimeoutMs,
      transactionTimeoutMs: 15_000,
      restoreStallMs: 30_000,
      stateMaxBytes: STATE_MAX_BYTES,
      retryMinMs: 100,
      retryMaxMs: 5000,
      settleMs: settings.shutdownMs * 0.8,
    },
    serve: (owned) => poller.serve(owned),
    observer: {
      assigned: (epoch, partitions) => logger.info({ event: 'poll.assigned', epoch, partitions }, 'cursors assigned'),
      opened: (partition, restored) => logger.info({ event: 'poll.opened', partition, ...restored }, 'cursors open'),
      committed: () => undefined,
      failed: (partition, error, next) => {
        metrics.add('cnk_poll_failures_total', 1, { code: error.code, next });
        const line = { event: 'poll.lost', partition, code: error.code, next, reason: error.message, ...error.detail };
        if (next === 'stop') logger.error(line, 'cursors stopped; they stay where they are until the process restarts');
        else logger.warn(line, 'cursors are being opened again');
      },
      crashed,
    },
  }).catch(abandon);
  metrics.onScrape(() => {
    scrapePoll(metrics, poller.health);
    const { partitions } = worker.health;
    for (const phase of ['opening', 'running', 'suspended', 'failed'] as const) {
      metrics.set('cnk_poll_partitions', partitions.filter((one) => one.phase === phase).length, { phase });
    }
  });
  return {
    name: 'poll',
    poller,
    owns: ({ tenantId, connectionId }) =>
      poller.health.some((one) => one.tenantId === tenantId && one.connectionId === connectionId),
    health: () => {
      const all = poller.health;
      return {
        // Not a connection's troubles: they are its own, and other connections are served all the same.
        ready: worker.health.ready && orders.health().following,
        detail: {
          ...worker.health,
          orders: orders.health(),
          connections: all.slice(0, MAX_SHOWN),
          omitted: Math.max(0, all.length - MAX_SHOWN),
        },
      };
    },
    close: async () => {
      await worker.close();
      await orders.close();
    },
  };
}
