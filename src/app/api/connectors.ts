/** Connectors as the API sees them: connections of the control topic with what is known of their health. */

import { LISTING_ID } from '../../api/listing.ts';
import type {
  BackfillFacts,
  ConnectorsPort,
  Installed,
  InstallRequest,
  InstallResult,
  Table,
} from '../../api/ports.ts';
import { CodedError } from '../../base/errors.ts';
import type { Connection, ConnectionWithTokens } from '../../fibric/connection.ts';
import { type CursorScope, parseBackfillKey, scopeKey } from '../../ingest/poll/cursor-record.ts';
import type { ConnectionPollHealth } from '../../ingest/poll/health.ts';
import { HEALTH_REASONS, type HealthReason } from '../../ingest/webhook-health/model.ts';
import { webhookUrl } from '../../ingest/webhook-health/own-webhooks.ts';
import type { Log } from '../../kafka/port.ts';
import type { Claim } from '../control/claims.ts';
import { addConnection } from '../control/connection-commands.ts';
import { fingerprint } from '../control/connection-text.ts';
import type { GrantStore } from '../control/grant-store.ts';
import type { ConnectionStore } from '../control/store.ts';
import type { BackfillOrders } from '../poll/backfill-orders.ts';
import { backfillLines } from '../poll/backfill-status.ts';
import type { Clients } from '../poll/clients.ts';
import { scanLatest } from '../poll/cursor-scan.ts';
import { checkContract, webhookReport } from './contract.ts';
import { install } from './install.ts';
import { type PollReport, toldPolls } from './poll-reports.ts';
import { type BindingRecord, isMended, type StateRecord, stateChange } from './records.ts';

export interface ConnectorsOptions {
  readonly store: ConnectionStore;
  readonly bindings: Table<BindingRecord>;
  readonly states: Table<StateRecord>;
  /** How the polls of other processes stand. */
  readonly reports: Pick<Table<PollReport>, 'list'>;
  readonly grants: Pick<GrantStore, 'forget'>;
  readonly clients: Pick<Clients, 'of'>;
  readonly orders: Pick<BackfillOrders, 'get' | 'give'>;
  readonly log: Log;
  readonly cursorTopic: string;
  readonly publicUrl: string | undefined;
  readonly defaultBaseUrl: string | undefined;
  /** Where this process itself can be reached; null where it takes no webhooks. */
  readonly ownUrl: () => string | null;
  /** How the polls of a connection stand; undefined where another process polls it. */
  readonly pollsOf: (scope: CursorScope) => ConnectionPollHealth | undefined;
  /** When this process last took a webhook of it. */
  readonly lastAcceptedAtMs: (connectionId: string) => number | null;
  /** Makes what a new tenant's events need. */
  readonly prepareTenant: (tenantId: string) => Promise<void>;
}

export function openConnectors(options: ConnectorsOptions): ConnectorsPort {
  const { store, bindings, states, grants, clients, orders, log, cursorTopic } = options;

  const urlOf = (connectionId: string): string | null => {
    const base = options.publicUrl ?? options.ownUrl();
    return base === null ? null : webhookUrl(base, connectionId);
  };

  function installedOf(connection: Connection): Installed {
    const { connectionId } = connection;
    const key = scopeKey(connection);
    const opened = store.get(connectionId);
    const own = opened?.tenantId === connection.tenantId ? opened : undefined;
    const secret = own?.apiKey ?? null;
    return {
      connection,
      authHint: secret === null ? null : fingerprint(secret),
      role: bindings.get(key)?.role ?? null,
      ...statusOf(own, states.get(key)),
      webhookUrl: urlOf(connectionId),
      lastSenseAtMs: lastSense(options, connection),
    };
  }

  const of = (tenantId: string): readonly Connection[] =>
    store.described().filter((connection) => connection.tenantId === tenantId);

  function find(tenantId: string, ref: string): Connection | undefined {
    const own = of(tenantId);
    return own.find(({ connectionId }) => connectionId === ref) ?? own.find(({ name }) => name === ref);
  }

  /** With its secrets. */
  function opened(tenantId: string, connectionId: string): ConnectionWithTokens {
    const connection = store.get(connectionId);
    if (connection?.tenantId === tenantId) return connection;
    const message = "the connection's secrets cannot be opened here";
    if (find(tenantId, connectionId) !== undefined) throw new CodedError('connection_conflict', message);
    throw new CodedError('connection_unknown', 'no connection has this id');
  }

  const clientOf = (connection: ConnectionWithTokens) => (connection.apiKey === null ? null : clients.of(connection));

  async function look(tenantId: string, connectionId: string, signal: AbortSignal) {
    const connection = opened(tenantId, connectionId);
    return {
      connection,
      client: clientOf(connection),
      webhookUrl: urlOf(connectionId),
      nowMs: log.clock.nowMs(),
      signal,
    };
  }

  async function installOne(request: InstallRequest, claim: Claim): Promise<InstallResult> {
    // Whoever asked has gone meanwhile, or was told that it takes too long.
    if (request.signal.aborted) throw new CodedError('shutting_down', 'nobody waits for the install any more');
    // First, so that an install which cannot be whole has stored nothing.
    await options.prepareTenant(request.tenantId);
    const { publicUrl, defaultBaseUrl } = options;
    const nowMs = () => log.clock.nowMs();
    const done = await install({ store, publicUrl, defaultBaseUrl, nowMs, claim }, request);
    const { connection, created, keyStored, checks, keyState } = done;
    const key = scopeKey(connection);
    await bindings.update(key, (now) => {
      const role = request.role ?? now?.role ?? null;
      return now?.role === role ? now : { version: 1, listing: LISTING_ID, role };
    });
    if (keyState !== null) {
      const refused = { state: 'pending_auth', reason: 'key_refused' } as const;
      const ended = isMended(states.get(key), checks) ? null : undefined;
      const found = keyState === 'refused' ? refused : ended;
      if (found !== undefined) await states.update(key, (now) => stateChange(now, found, nowMs()));
    }
    return { installed: installedOf(connection), created, keyStored, checks };
  }

  async function removeOne(tenantId: string, connectionId: string): Promise<void> {
    const connection = { tenantId, connectionId };
    // Before it, or a removal that stops half-way would leave grants that nobody can name any more; and what was granted
    // meanwhile goes with it.
    await grants.forget(connection);
    await store.remove(connectionId, tenantId);
    await grants.forget(connection);
    await bindings.update(scopeKey(connection), (now) => (now === undefined ? undefined : null));
    await states.update(scopeKey(connection), (now) => (now === undefined ? undefined : null));
  }

  return {
    list: (tenantId) => of(tenantId).map(installedOf),
    find: (tenantId, ref) => {
      const found = find(tenantId, ref);
      return found === undefined ? undefined : installedOf(found);
    },
    // Alone over all processes: two installs would make two webhooks, and a removal leave half of an install.
    install: (request) => {
      const { tenantId, signal } = request;
      return store.exclusively(tenantId, (claim) => installOne(request, claim), { signal });
    },
    remove: (tenantId, connectionId) => store.exclusively(tenantId, () => removeOne(tenantId, connectionId)),
    webhook: async (tenantId, connectionId, signal) => webhookReport(await look(tenantId, connectionId, signal)),
    contract: async (tenantId, connectionId, signal) =>
      checkContract({
        ...(await look(tenantId, connectionId, signal)),
        polls: options.pollsOf({ tenantId, connectionId }),
        toldPolls: toldPolls(options.reports, { tenantId, connectionId }),
        told: states.get(scopeKey({ tenantId, connectionId })),
      }),
    async backfills(tenantId, connectionId) {
      const connection = find(tenantId, connectionId);
      if (connection === undefined) throw new CodedError('connection_unknown', 'no connection has this id');
      const mine = (key: string): boolean => {
        const parsed = parseBackfillKey(key);
        return parsed !== undefined && scopeKey(parsed) === scopeKey(connection);
      };
      const cursors = await scanLatest({ log, topic: cursorTopic, wanted: mine });
      return backfillLines({ connections: [connection], cursors, orderOf: orders.get }).map(
        (line): BackfillFacts => ({
          stream: line.stream,
          status: line.status,
          since: line.since,
          coveredFrom: line.covered_from,
          readUpTo: line.read_up_to,
          rowsDone: line.rows_done,
          rowsLeft: line.rows_left,
          updatedAt: line.updated_at,
        }),
      );
    },
    async startBackfill(tenantId, connectionId, since) {
      const connection = opened(tenantId, connectionId);
      const refuse = async (): Promise<never> => {
        throw new CodedError('config_invalid', 'no secret is needed here');
      };
      await addConnection({
        store,
        options: { tenant: tenantId, id: connectionId, backfillSince: since, check: false },
        readToken: refuse,
        nowMs: log.clock.nowMs(),
      }).catch((error) => {
        if (!(error instanceof CodedError)) throw error;
        throw new CodedError(error.code, error.message.replaceAll('--backfill-since', 'since'), error.detail);
      });
      const order = orders.get(connection);
      if (order.paused) await orders.give(connection, { ...order, paused: false });
    },
  };
}

/** By a poll or a webhook, as far as this process knows and those that poll have told. */
function lastSense({ pollsOf, lastAcceptedAtMs, reports }: ConnectorsOptions, connection: Connection): number | null {
  const polls = Object.values(pollsOf(connection)?.streams ?? {}).map((stream) => stream.lastSuccessAtMs);
  const told = toldPolls(reports, connection)?.sensedAtMs ?? null;
  const all = [...polls, lastAcceptedAtMs(connection.connectionId), told];
  const times = all.filter((time) => typeof time === 'number');
  return times.length === 0 ? null : Math.max(...times);
}

function statusOf(
  connection: ConnectionWithTokens | undefined,
  state: StateRecord | undefined,
): Pick<Installed, 'status' | 'statusDetail'> {
  if (connection === undefined) return { status: 'error', statusDetail: 'its secrets cannot be opened here' };
  if (!connection.hasApiKey && connection.webhookTokens.length === 0) {
    return { status: 'pending_auth', statusDetail: HEALTH_REASONS.no_credentials.meaning };
  }
  if (state === undefined) return { status: 'connected', statusDetail: null };
  const meaning = state.reason === null ? null : HEALTH_REASONS[state.reason as HealthReason]?.meaning;
  return { status: state.state, statusDetail: meaning ?? state.reason };
}
