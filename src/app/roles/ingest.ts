/** The ingest role: the webhook receiver in front of the batching producer. */

import { GREED } from '../../base/fair-shares.ts';
import type { ConnectionLookup } from '../../ingest/ports.ts';
import { createReceiver, type Receiver, type ReceiverOptions } from '../../ingest/receiver.ts';
import { BatchingProducer } from '../../kafka/batching-producer.ts';
import type { Log } from '../../kafka/port.ts';
import { topicNames } from '../../kafka/topics.ts';
import type { Settings } from '../settings.ts';
import type { Logger, Metrics } from '../telemetry.ts';
import type { Role } from './role.ts';

export interface IngestRoleOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly connections: ConnectionLookup;
  /** Takes requests of other roles on the same listener; true = it answers. */
  readonly before?: ReceiverOptions['before'];
}

/** The receiver is not listening yet: the service adds its own routes first. */
export async function startIngestRole(options: IngestRoleOptions): Promise<Role & { readonly receiver: Receiver }> {
  const { settings, log, logger, metrics, connections } = options;
  const producer = new BatchingProducer({
    producers: [await log.producer({ clientId: 'ingest', ownThread: true })],
    clock: log.clock,
    maxQueuedRecords: settings.ingestQueueRecords,
    maxQueuedBytes: settings.ingestQueueBytes,
    greed: GREED,
    recordTimeoutMs: settings.ingestWaitMs,
  });
  const receiver = createReceiver({
    topic: topicNames(settings.topicPrefix).raw,
    connections,
    appender: producer,
    logger,
    ...(options.before && { before: options.before }),
    settings: { maxBodyBytes: settings.bodyLimitBytes, appendTimeoutMs: settings.ingestWaitMs },
  });
  metrics.onScrape(() => scrape(metrics, receiver, producer));
  return {
    name: 'ingest',
    receiver,
    health: () => ({
      // Not the producer's failures in a row: without traffic nothing would end them, and without readiness no traffic comes.
      ready: receiver.health().healthy,
      detail: { receiver: receiver.health(), producer: producer.health },
    }),
    close: async () => {
      await receiver.close(settings.shutdownMs / 2);
      await producer.close();
    },
  };
}

function scrape(metrics: Metrics, receiver: Receiver, producer: BatchingProducer): void {
  const { counters } = receiver;
  metrics.setTotal('cnk_webhooks_accepted_total', counters.accepted);
  metrics.setTotal('cnk_webhooks_accepted_bytes_total', counters.acceptedBytes);
  metrics.setTotal('cnk_webhooks_malformed_total', counters.malformed);
  metrics.setTotal('cnk_webhooks_unknown_event_total', counters.unknownEvents);
  metrics.setTotal('cnk_webhooks_abandoned_total', counters.abandoned);
  for (const [code, count] of Object.entries(counters.refusedByCode)) {
    metrics.setTotal('cnk_webhooks_refused_total', count, { code });
  }
  for (const [name, count] of Object.entries(counters.acceptedByEvent)) {
    metrics.setTotal('cnk_webhooks_events_total', count, { event_name: name });
  }
  metrics.set('cnk_ingest_held_records', producer.health.heldRecords);
  metrics.set('cnk_ingest_held_bytes', producer.health.heldBytes);
}
