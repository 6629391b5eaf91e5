/** The role `poll` as a whole: the poller, and the health of webhooks on the same clients and budget. */

import type { ReceiverCounters } from '../../ingest/counters.ts';
import { scopeKey } from '../../ingest/poll/cursor-record.ts';
import type { ConnectionPollHealth } from '../../ingest/poll/health.ts';
import { type PollRoleOptions, startPollRole } from './poll.ts';
import type { Role } from './role.ts';
import { startWebhookHealth, type WebhookHealthPart } from './webhook-health.ts';

export interface PollingOptions extends PollRoleOptions {
  /**
   * What the receiver in this process has taken, once it is there; undefined where others take deliveries too, so that
   * its silence would mean nothing.
   */
  readonly received?: () => Pick<ReceiverCounters, 'lastAcceptedAtMs'> | undefined;
}

/** States in which a stream does not get further by itself. */
const STUCK: ReadonlySet<string> = new Set(['disordered', 'forbidden', 'misconfigured', 'refused', 'unreadable']);
const WELL: ReadonlySet<string> = new Set(['current', 'reading', 'waiting']);

export async function startPolling(options: PollingOptions): Promise<Role> {
  const { settings, log, logger, metrics, connections, crashed, received } = options;
  const startedAtMs = log.clock.nowMs();
  /** As it was when the connections were last listed: to ask for each connection anew would cost the square of them. */
  let polls = new Map<string, ConnectionPollHealth>();
  let webhooks: WebhookHealthPart | undefined;
  const poll = await startPollRole({
    ...options,
    published: (origin, timeMs) => {
      options.published?.(origin, timeMs);
      // What a backfill or an SLA brings, no webhook would have.
      if (timeMs === null || origin.channel !== 'poll' || origin.stream === 'sla') return;
      webhooks?.polled(origin.connectionId, timeMs);
    },
  });
  webhooks = await startWebhookHealth({
    settings,
    clock: log.clock,
    logger,
    metrics,
    connections: {
      list: () => {
        polls = new Map(poll.poller.health.map((one) => [scopeKey(one), one]));
        return connections.list().filter((connection) => polls.has(scopeKey(connection)));
      },
    },
    clientOf: (connection) => poll.clients.of(connection),
    pollWorks: (connection) => {
      const found = polls.get(scopeKey(connection));
      return found === undefined ? null : pollWorks(found);
    },
    acceptedHere: (connectionId) => {
      const counters = received?.();
      if (counters === undefined) return null;
      return { sinceMs: startedAtMs, lastAtMs: counters.lastAcceptedAtMs.get(connectionId) ?? null };
    },
    crashed,
  });
  const part = webhooks;
  return {
    name: 'poll',
    health: () => {
      const [polled, seen] = [poll.health(), part.health()];
      return { ready: polled.ready && seen.ready, detail: { poll: polled.detail, webhooks: seen.detail } };
    },
    close: async () => {
      await part.close();
      await poll.close();
    },
  };
}

/** Of the streams that could stand in for webhooks; null while that is not known. */
function pollWorks({ streams }: ConnectionPollHealth): boolean | null {
  const states = [streams.conversations, streams.messages, streams.customers].flatMap((one) => one?.state ?? []);
  if (states.some((state) => STUCK.has(state))) return false;
  return states.length > 0 && states.every((state) => WELL.has(state)) ? true : null;
}
