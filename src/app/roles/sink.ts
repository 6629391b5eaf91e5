/** The sink role: carries out the commands of the partitions whose ledger this process owns. */
import { randomUUID } from 'node:crypto';
import { type OwnerObserver, OwnerWorker } from '../../kafka/owner-worker.ts';
import type { Log } from '../../kafka/port.ts';
import { receiptsTopic, topicNames } from '../../kafka/topics.ts';
import { PACE_LIMITS } from '../../sinks/pace/customer-pace.ts';
import { startQuotaKeeper } from '../../sinks/quota/keeper.ts';
import type { SinkSettings } from '../../sinks/runner/ports.ts';
import { SINK_DEFAULTS, Sink } from '../../sinks/runner/sink.ts';
import type { ActCodec, Acting } from '../acting.ts';
import type { ConnectionStore } from '../control/store.ts';
import type { Clients } from '../poll/clients.ts';
import type { Settings } from '../settings.ts';
import { openCommandConnections } from '../sink/connections.ts';
import { ControlWait } from '../sink/control-wait.ts';
import { ConnectionFaults } from '../sink/faults.ts';
import { watchSinkLag } from '../sink/lag.ts';
import { createSinkObserver } from '../sink/observer.ts';
import type { Logger, Metrics } from '../telemetry.ts';
import { TenantTopics, topicSettings } from '../topic-settings.ts';
import type { Role } from './role.ts';

export interface SinkRoleOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly connections: Pick<ConnectionStore, 'get' | 'described' | 'onChange' | 'readTo'>;
  readonly clients: Clients;
  readonly acting: Pick<Acting, 'policies' | 'grants' | 'quota' | 'documents'>;
  readonly codec: ActCodec;
  /** The process must end: see OwnerObserver.crashed. */
  readonly crashed: (error: unknown) => void;
  /** Default SINK_DEFAULTS. */
  readonly sink?: Partial<SinkSettings>;
}

export interface SinkRole extends Role {
  readonly faults: ConnectionFaults;
}

export const SINK_GROUP = 'cn-kustomer.sink';

/** `/readyz` shows no more connections than this. */
const MAX_SHOWN = 50;
/** Of the whole shutdown: calls under way may end, then what came of them is committed and the group is left. */
const DRAIN_SHARE = 0.4;

export async function startSinkRole(options: SinkRoleOptions): Promise<SinkRole> {
  const { settings, log, logger, metrics, connections: store, clients, acting, codec, crashed } = options;
  const { policies, grants, quota } = acting;
  const names = topicNames(settings.topicPrefix);
  const topics = topicSettings(settings);
  const faults = new ConnectionFaults();
  const full = new Set<number>();
  const tenants = new TenantTopics(
    log,
    (tenantId) => receiptsTopic(topics, tenantId),
    ({ tenantId, reason }) =>
      logger.error(
        { event: 'sink.topic_refused', tenantId, reason },
        "the broker refuses a tenant's receipts topic; its commands become dead letters until it is taken",
      ),
  );
  const connections = openCommandConnections({
    store,
    clients,
    refused: (tenantId) => {
      if (tenants.refusal(tenantId) === undefined) return false;
      tenants.ensure(tenantId); // asks again now and then
      return true;
    },
  });
  // With another key or address it may be well again.
  const stopClearing = store.onChange((connectionId) => void faults.clear(connectionId));
  const release = (): void => {
    stopClearing();
    connections.close();
  };
  const { documents } = acting;
  const control = new ControlWait({
    position: () => Math.min(documents.readTo(), store.readTo()),
    end: async () => (await log.admin.watermarks({ topic: names.control, partition: 0 })).high,
    clock: log.clock,
  });
  const sink = new Sink({
    heard: (record) => control.heard(record),
    newest: () => control.newest(),
    topics: names,
    connections,
    policies: { of: (tenantId) => policies.of(tenantId), grants: (connection) => grants.of(connection) },
    quota,
    decoder: codec.commands,
    answers: codec.answers,
    encodeReceipt: codec.encodeReceipt,
    ensureReceipts: (tenantId) => tenants.ensure(tenantId),
    observer: createSinkObserver({ logger, metrics, faults, full, nowMs: () => log.clock.nowMs() }),
    clock: log.clock,
    random: Math.random,
    settings: {
      ...SINK_DEFAULTS,
      drainMs: settings.shutdownMs * DRAIN_SHARE,
      retentionMs: settings.ledgerRetentionMs,
      stateMaxBytes: settings.ledgerMaxBytes,
      pace: { ...PACE_LIMITS, creates: settings.createsPerCustomer },
      ...options.sink,
    },
  });
  const keeper = await startQuotaKeeper({
    log,
    topicPrefix: settings.topicPrefix,
    topics: names,
    settings: { sessionTimeoutMs: settings.sessionTimeoutMs },
    observer: keeperObserver(logger, metrics, crashed),
  }).catch((error) => {
    release();
    throw error;
  });
  const groupId = `${settings.topicPrefix}${SINK_GROUP}`;
  const worker = await OwnerWorker.start({
    log,
    clientId: 'sink',
    random: Math.random,
    uniqueId: randomUUID,
    settings: {
      groupId,
      topic: names.ledger,
      inputTopic: names.commands,
      sessionTimeoutMs: settings.sessionTimeoutMs,
      transactionTimeoutMs: 15_000,
      restoreStallMs: 30_000,
      stateMaxBytes: settings.ledgerMaxBytes,
      retryMinMs: 100,
      retryMaxMs: 5000,
      settleMs: settings.shutdownMs * 0.8,
    },
    serve: (owned) => sink.serve(owned),
    observer: {
      assigned: (epoch, partitions) => logger.info({ event: 'sink.assigned', epoch, partitions }, 'commands assigned'),
      opened: (partition, restored) => logger.info({ event: 'sink.opened', partition, ...restored }, 'ledger open'),
      lost: (partition, { from, to }) => {
        metrics.add('cnk_sink_commands_lost_total', to - from);
        logger.error(
          { event: 'sink.commands_lost', partition, from, to, records: to - from },
          'retention took commands before they were carried out',
        );
      },
      committed: (_partition, { durationMs }) => metrics.observe('cnk_sink_transaction_seconds', durationMs / 1000),
      failed: (partition, error, next) => {
        full.delete(partition);
        metrics.add('cnk_sink_failures_total', 1, { code: error.code, next });
        const line = {
          event: 'sink.failed',
          partition,
          code: error.code,
          next,
          reason: error.message,
          ...error.detail,
        };
        if (next === 'stop')
          logger.error(line, 'commands stopped; they stay where they are until the process restarts');
        else logger.warn(line, 'commands are being taken over again');
      },
      crashed,
    },
  }).catch(async (error) => {
    release();
    await keeper.close().catch(() => undefined); // the cause matters
    throw error;
  });
  const lag = watchSinkLag({
    partitions: () => worker.health.partitions.map(({ partition }) => partition),
    progress: (partition) => sink.progress(partition),
    log,
    groupId,
    topic: names.commands,
    metrics,
  });
  metrics.onScrape(() => scrape(metrics, worker, sink, faults, full));
  return {
    name: 'sink',
    faults,
    health: () => {
      const faulty = faults.list();
      return {
        // Not a connection's faults: they are its own, and others are served all the same. Nor the keeper: limits hold without.
        ready: worker.health.ready && full.size === 0,
        detail: {
          ...worker.health,
          commands: sink.counts,
          lag: lag.health(),
          fullLedgers: [...full],
          faultyConnections: faulty.slice(-MAX_SHOWN),
          omitted: Math.max(0, faulty.length - MAX_SHOWN),
          refusedTopics: tenants.refusals,
          limits: keeper.health(),
        },
      };
    },
    close: async () => {
      lag.stop();
      await Promise.all([worker.close(), keeper.close()]);
      release();
    },
  };
}

function keeperObserver(logger: Logger, metrics: Metrics, crashed: (error: unknown) => void): OwnerObserver {
  return {
    assigned: (epoch, partitions) => logger.info({ event: 'quota.assigned', epoch, partitions }, 'limits to keep'),
    opened: (partition, restored) => logger.info({ event: 'quota.opened', partition, ...restored }, 'limits open'),
    lost: (_partition, range) =>
      logger.error({ event: 'quota.records_lost', ...range }, 'retention took places before they were kept'),
    committed: () => undefined,
    failed: (partition, error, next) => {
      metrics.add('cnk_quota_keeper_failures_total', 1, { code: error.code, next });
      const line = { event: 'quota.lost', partition, code: error.code, next, reason: error.message, ...error.detail };
      logger.warn(line, 'a keeper of limits ended; whoever starts reads more of them until there is another');
    },
    crashed,
  };
}

function scrape(
  metrics: Metrics,
  worker: OwnerWorker,
  { counts }: Sink,
  faults: ConnectionFaults,
  full: ReadonlySet<number>,
): void {
  const { partitions } = worker.health;
  for (const phase of ['opening', 'running', 'suspended', 'failed'] as const) {
    metrics.set('cnk_sink_partitions', partitions.filter((one) => one.phase === phase).length, { phase });
  }
  const sum = (of: (one: (typeof partitions)[number]) => number) => partitions.reduce((all, one) => all + of(one), 0);
  metrics.set(
    'cnk_sink_ledger_entries',
    sum(({ keys }) => keys),
  );
  metrics.set(
    'cnk_sink_ledger_bytes',
    sum(({ stateBytes }) => stateBytes),
  );
  metrics.set('cnk_sink_full_ledgers', full.size);
  metrics.set('cnk_sink_in_flight', counts.active);
  metrics.set('cnk_sink_waiting', counts.queued - counts.active);
  metrics.set('cnk_sink_backing_off', counts.backingOff);
  metrics.set('cnk_sink_passed_over', counts.passed);
  const all = faults.list();
  for (const fault of ['key_refused', 'role_missing', 'misconfigured'] as const) {
    metrics.set('cnk_sink_faulty_connections', all.filter((one) => one.fault === fault).length, { fault });
  }
}
