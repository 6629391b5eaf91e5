/**
 * Webhook health as a part of the role `poll`: the monitor of the connections this process polls, on the log, the metrics
 * and `/readyz`. A connection in a bad state does not make the process unready: that is Kustomer's doing, or its owner's.
 *
 * What arrived is known from Kustomer's own delivery log, which is exact whoever took the deliveries. Where the key may
 * not read it, `acceptedHere` is the stand-in, and only as good as this process's share of the deliveries.
 */
import type { Clock } from '../../base/clock.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import { CONNECTION_STATES } from '../../ingest/webhook-health/model.ts';
import {
  type ConnectionHealth,
  type HealthChange,
  startWebhookMonitor,
  type WebhookMonitor,
  type WebhookMonitorOptions,
} from '../../ingest/webhook-health/monitor.ts';
import type { Settings } from '../settings.ts';
import type { Logger, Metrics } from '../telemetry.ts';

export interface WebhookHealthOptions
  extends Pick<WebhookMonitorOptions, 'clientOf' | 'acceptedHere' | 'pollWorks' | 'crashed'> {
  readonly settings: Pick<Settings, 'webhookCheckMs' | 'webhookAutoEnable'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Those this process is to look after. Two processes that check the same one do no harm but calls. */
  readonly connections: { list(): readonly ConnectionWithTokens[] };
  /** Told of each change of state, and of each connection's first. */
  readonly stateChanged?: (change: HealthChange) => void;
}

export interface WebhookHealthPart extends Pick<WebhookMonitor, 'polled' | 'checkNow' | 'of' | 'close'> {
  readonly name: 'webhook-health';
  health(): { readonly ready: boolean; readonly detail: unknown };
}

/** `/readyz` shows no more connections than this, faults first. */
const MAX_SHOWN = 200;

export async function startWebhookHealth(options: WebhookHealthOptions): Promise<WebhookHealthPart> {
  const { settings, clock, logger, metrics, connections, clientOf, crashed } = options;
  const monitor = startWebhookMonitor({
    connections: () => connections.list(),
    clientOf,
    clock,
    logger,
    everyMs: settings.webhookCheckMs,
    autoEnable: settings.webhookAutoEnable,
    ...(options.acceptedHere && { acceptedHere: options.acceptedHere }),
    ...(options.pollWorks && { pollWorks: options.pollWorks }),
    crashed,
    changed: (change) => {
      options.stateChanged?.(change);
      const { connectionId, to } = change;
      for (const state of CONNECTION_STATES) {
        metrics.set('cnk_connection_state', to?.state === state ? 1 : 0, { connection: connectionId, state });
      }
    },
    enabledAgain: (outcome) => metrics.add('cnk_webhooks_reenabled_total', 1, { outcome }),
  });
  return {
    name: 'webhook-health',
    health: () => {
      const { running, lastLookAtMs, connections: all } = monitor.health();
      return { ready: running, detail: { running, lastLookAtMs, ...summary(all) } };
    },
    polled: monitor.polled,
    checkNow: monitor.checkNow,
    of: monitor.of,
    close: monitor.close,
  };
}

function summary(all: readonly ConnectionHealth[]) {
  const states = Object.fromEntries(
    CONNECTION_STATES.map((state) => [state, all.filter((one) => one.state === state).length]),
  );
  const faultsFirst = all.toSorted((a, b) => Number(a.state === 'connected') - Number(b.state === 'connected'));
  const connections = faultsFirst.slice(0, MAX_SHOWN);
  return { states, connections, omitted: all.length - connections.length };
}
