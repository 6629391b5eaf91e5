/**
 * The role `poll` as a whole: the poller, customers' orders, and the health of webhooks, all on the same clients. Started in
 * this order, closed in the other.
 */
import type { ReceiverCounters } from '../../ingest/counters.ts';
import { type CursorScope, scopeKey } from '../../ingest/poll/cursor-record.ts';
import type { ConnectionPollHealth } from '../../ingest/poll/health.ts';
import type { ConnectionStore } from '../control/store.ts';
import { startEnrichRole } from './enrich.ts';
import { type PollRole, type PollRoleOptions, startPollRole } from './poll.ts';
import type { Role } from './role.ts';
import { startWebhookHealth, type WebhookHealthOptions, type WebhookHealthPart } from './webhook-health.ts';

export interface PollingOptions extends Omit<PollRoleOptions, 'connections'> {
  readonly connections: Pick<ConnectionStore, 'get' | 'list' | 'onChange'>;
  /**
   * What the receiver in this process has taken, once it is there; undefined where others take deliveries too, so that
   * its silence would mean nothing.
   */
  readonly received?: () => Pick<ReceiverCounters, 'lastAcceptedAtMs'> | undefined;
  /** Told of each change of a connection's state, and of each connection's first. */
  readonly stateChanged?: WebhookHealthOptions['stateChanged'];
}

export interface PollingRole extends Role {
  /** How the polls of a connection stand; undefined where another process polls it. */
  pollsOf(scope: CursorScope): ConnectionPollHealth | undefined;
  /** Of all connections that this process polls. */
  polls(): readonly ConnectionPollHealth[];
}

interface Part {
  health(): { readonly ready: boolean; readonly detail: unknown };
  close(): Promise<void>;
}

export async function startPolling(options: PollingOptions): Promise<PollingRole> {
  let polls: PollRole | undefined;
  const parts: (readonly [name: string, part: Part])[] = [];
  const close = async (): Promise<void> => {
    for (const [, part] of parts.splice(0).reverse()) await part.close();
  };
  const starting = async (): Promise<void> => {
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
    polls = poll;
    parts.push(['poll', poll]);
    parts.push(['enrich', await startEnrichRole(options)]);
    webhooks = await watchWebhooks(options, poll);
    parts.push(['webhooks', webhooks]);
  };
  // What has started must not outlive a failed start: it would go on in the background for ever.
  await starting().catch(async (error) => {
    await close().catch((err) =>
      options.logger.warn({ event: 'service.abandoned', err }, 'some parts did not close cleanly'),
    );
    throw error;
  });
  return {
    name: 'poll',
    health: () => {
      const all = parts.map(([name, part]) => [name, part.health()] as const);
      return {
        ready: all.length > 0 && all.every(([, { ready }]) => ready),
        detail: Object.fromEntries(all.map(([name, { detail }]) => [name, detail])),
      };
    },
    polls: () => polls?.poller.health ?? [],
    pollsOf: (scope) => polls?.poller.health.find((one) => scopeKey(one) === scopeKey(scope)),
    close,
  };
}

function watchWebhooks(options: PollingOptions, poll: PollRole): Promise<WebhookHealthPart> {
  const { settings, log, logger, metrics, connections, crashed, received } = options;
  const startedAtMs = log.clock.nowMs();
  /** As it was when the connections were last listed: to ask for each connection anew would cost the square of them. */
  let polls = new Map<string, ConnectionPollHealth>();
  return startWebhookHealth({
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
    clientOf: (connection) => options.clients.of(connection),
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
    ...(options.stateChanged && { stateChanged: options.stateChanged }),
  });
}

/** States in which a stream does not get further by itself. */
const STUCK: ReadonlySet<string> = new Set(['disordered', 'forbidden', 'misconfigured', 'refused', 'unreadable']);
const WELL: ReadonlySet<string> = new Set(['current', 'reading', 'waiting']);

/** Of the streams that could stand in for webhooks; null while that is not known. */
function pollWorks({ streams }: ConnectionPollHealth): boolean | null {
  const states = [streams.conversations, streams.messages, streams.customers].flatMap((one) => one?.state ?? []);
  if (states.some((state) => STUCK.has(state))) return false;
  return states.length > 0 && states.every((state) => WELL.has(state)) ? true : null;
}
