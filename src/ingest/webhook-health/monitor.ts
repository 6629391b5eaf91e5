/**
 * Checks the webhooks of every connection on a timer, enables again what Kustomer switched off, and tells each change of
 * state. What to make of a check is decided in decide.ts.
 *
 * M1 A connection is checked by one check at a time, and every check ends: its calls have deadlines.
 * M2 What one connection comes to does not keep the others from being checked.
 * M3 A connection that came or changed is checked at the next look, a moment later, and one that is gone is forgotten.
 * M4 Of a connection with another key, token or webhook than before, the first finding is told whatever it is: somebody
 *    who mended it may have written down meanwhile that it is.
 */
import { isDeepStrictEqual } from 'node:util';
import type { BaseLogger } from 'pino';
import type { Clock } from '../../base/clock.ts';
import { CodedError } from '../../base/errors.ts';
import { type ConnectionWithTokens, sameAccess } from '../../fibric/connection.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import type { Ask } from '../../kustomer/client/operations.ts';
import { updateOutboundWebhook } from '../../kustomer/client/outbound-webhooks.ts';
import { decideHealth, forgetFindings, type WebhookHealth } from './decide.ts';
import type { AcceptedHere, HealthOptions, Observation, WebhookFacts } from './model.ts';
import { HEALTH_DEFAULTS, HEALTH_REASONS } from './model.ts';
import { type Looked, lookAtWebhooks } from './observe.ts';
import { PolledChanges } from './polled-changes.ts';

export interface WebhookMonitorOptions {
  /** Those this process is to look after; asked at every look. The same objects until they change. */
  readonly connections: () => Iterable<ConnectionWithTokens>;
  /** The client the connection's polls use, so that one budget covers both. */
  readonly clientOf: (connection: ConnectionWithTokens) => KustomerClient;
  readonly clock: Clock;
  readonly logger: Pick<BaseLogger, 'info' | 'warn' | 'error'>;
  readonly everyMs?: number;
  /** Enable again what Kustomer switched off. */
  readonly autoEnable?: boolean;
  /** What the receiver in this process took of a connection; null or absent = it runs elsewhere. */
  readonly acceptedHere?: (connectionId: string) => AcceptedHere | null;
  /** Whether the connection's poll works; null or absent = not known. */
  readonly pollWorks?: (connection: ConnectionWithTokens) => boolean | null;
  /** Told of each change of state, and of each connection's first. */
  readonly changed?: (change: HealthChange) => void;
  /** Told how each attempt to enable a webhook ended. */
  readonly enabledAgain?: (outcome: 'enabled' | 'refused') => void;
  /** A programming error: the process must end. */
  readonly crashed: (error: unknown) => void;
  readonly health?: Partial<HealthOptions>;
}

export interface HealthChange {
  readonly connectionId: string;
  readonly tenantId: string;
  readonly from: WebhookHealth | null;
  /** Null = the connection is gone. */
  readonly to: WebhookHealth | null;
}

export interface ConnectionHealth {
  readonly connectionId: string;
  readonly tenantId: string;
  readonly state: WebhookHealth['state'];
  readonly reason: WebhookHealth['reason'];
  readonly meaning: string | null;
  readonly sinceMs: number;
  /** Whether the webhooks themselves could be looked at. */
  readonly checked: boolean;
  readonly checkedAtMs: number;
  readonly webhooks: readonly WebhookFacts[];
  /** What Kustomer said instead of an answer. */
  readonly failure: string | null;
}

export interface MonitorHealth {
  /** Checks are made; says nothing of what they find. */
  readonly running: boolean;
  /** When all that was due had been checked. */
  readonly lastLookAtMs: number;
  readonly connections: readonly ConnectionHealth[];
}

export interface WebhookMonitor {
  health(): MonitorHealth;
  /** Undefined until the first check. */
  of(connectionId: string): ConnectionHealth | undefined;
  /** For the poller: a change of a kind that a webhook brings too, and when it happened by Kustomer's clock. */
  polled(connectionId: string, changedAtMs: number): void;
  /** Checks all, whether due or not; waits for what is under way first. */
  checkNow(): Promise<void>;
  close(): Promise<void>;
}

interface Entry {
  readonly connection: ConnectionWithTokens;
  readonly health: WebhookHealth;
  readonly looked: Looked | null;
  readonly checkedAtMs: number;
}

const EVERY_MS = 60_000;
/** How soon a connection that came or changed is noticed. */
const LOOK_EVERY_MS = 1_000;
const CONCURRENT = 8;
/** Rather not know for a minute than stand in the way of writes and polls. */
const BUDGET_WAIT_MS = 15_000;

export function startWebhookMonitor(options: WebhookMonitorOptions): WebhookMonitor {
  const { clock, logger, everyMs = EVERY_MS, autoEnable = true } = options;
  const limits = { ...HEALTH_DEFAULTS, ...options.health };
  const stop = new AbortController();
  const polled = new PolledChanges();
  const entries = new Map<string, Entry>();
  let lastLookAtMs = clock.nowMs();
  let looking: Promise<void> = Promise.resolve();

  const changed = (
    { connectionId, tenantId }: ConnectionWithTokens,
    before: WebhookHealth | null,
    to: WebhookHealth | null,
    isAnother = false,
  ): void => {
    const same = before !== null && before.state === to?.state && before.reason === to.reason;
    if (!same || isAnother) options.changed?.({ connectionId, tenantId, from: before, to });
    if (same || to === null || (before === null && to.state === 'connected')) return;
    const facts = { event: 'connection.state', connectionId, tenantId, state: to.state, reason: to.reason };
    const meaning = to.reason === null ? 'webhooks arrive' : HEALTH_REASONS[to.reason].meaning;
    const text = before === null ? `${to.state}: ${meaning}` : `${before.state} → ${to.state}: ${meaning}`;
    logger[to.state === 'connected' ? 'info' : 'warn']({ ...facts, was: before?.state ?? null }, text);
  };

  const enable = async (client: KustomerClient, connection: ConnectionWithTokens, id: string, ask: Ask) => {
    const { connectionId, tenantId } = connection;
    const outcome = await updateOutboundWebhook(client, { ...ask, id, change: { enabled: true } });
    const facts = { connectionId, tenantId, webhookId: id };
    options.enabledAgain?.(outcome.kind === 'ok' ? 'enabled' : 'refused');
    if (outcome.kind === 'ok') logger.info({ event: 'webhook.enabled', ...facts }, 'enabled a webhook again');
    else logger.warn({ event: 'webhook.enable_failed', ...facts, code: outcome.code }, outcome.message);
  };

  const clientOrFault = (connection: ConnectionWithTokens): KustomerClient | Looked => {
    try {
      return options.clientOf(connection);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      return { asked: { kind: 'failed', fault: 'misconfigured' }, failure: error.message };
    }
  };

  const check = async (connection: ConnectionWithTokens): Promise<void> => {
    const { connectionId } = connection;
    const ask: Ask = { lane: 'probes', waitMs: BUDGET_WAIT_MS, signal: stop.signal };
    const client = connection.apiKey === null ? null : clientOrFault(connection);
    const looked = client === null || 'asked' in client ? client : await lookAtWebhooks(client, connection, ask);
    if (stop.signal.aborted) return;
    const observation: Observation = {
      tokens: connection.webhookTokens.length,
      asked: looked?.asked ?? null,
      acceptedHere: options.acceptedHere?.(connectionId) ?? null,
      polledAtMs: polled.of(connectionId),
      pollWorks: options.pollWorks?.(connection) ?? null,
    };
    const before = entries.get(connectionId);
    const nowMs = clock.nowMs();
    const isAnother = before !== undefined && !isWatchedAlike(before.connection, connection);
    const known = isAnother ? forgetFindings(before.health, nowMs) : (before?.health ?? null);
    const verdict = decideHealth(known, observation, nowMs, limits);
    entries.set(connectionId, { connection, health: verdict.health, looked, checkedAtMs: nowMs });
    changed(connection, before?.health ?? null, verdict.health, isAnother);
    if (client === null || 'asked' in client || !autoEnable) return;
    for (const id of verdict.enable) await enable(client, connection, id, ask);
  };

  const isDue = (connection: ConnectionWithTokens): boolean => {
    const entry = entries.get(connection.connectionId);
    return entry === undefined || entry.connection !== connection || clock.nowMs() >= entry.checkedAtMs + everyMs;
  };

  const lookAt = async (wanted: (connection: ConnectionWithTokens) => boolean): Promise<void> => {
    const all = [...options.connections()];
    const present = new Set(all.map(({ connectionId }) => connectionId));
    for (const [connectionId, entry] of entries) {
      if (present.has(connectionId)) continue;
      entries.delete(connectionId);
      polled.forget(connectionId);
      changed(entry.connection, entry.health, null);
    }
    const due = all.filter(wanted);
    const work = async () => {
      for (let next = due.pop(); next !== undefined && !stop.signal.aborted; next = due.pop()) await check(next);
    };
    await Promise.all(Array.from({ length: CONCURRENT }, work));
    lastLookAtMs = clock.nowMs();
  };

  /** M1: one after the other, whoever asks. */
  const look = (wanted: (connection: ConnectionWithTokens) => boolean): Promise<void> => {
    const turn = looking.then(() => lookAt(wanted));
    looking = turn.catch(() => undefined);
    return turn;
  };

  const loop = (async () => {
    while (!stop.signal.aborted) {
      await look(isDue);
      await clock.sleep(Math.min(LOOK_EVERY_MS, everyMs), stop.signal);
    }
  })().catch(options.crashed);

  return {
    health: () => ({
      running: !stop.signal.aborted && clock.nowMs() - lastLookAtMs < everyMs + LATE_MS,
      lastLookAtMs,
      connections: [...entries].map(([connectionId, entry]) => show(connectionId, entry)),
    }),
    of: (connectionId) => {
      const entry = entries.get(connectionId);
      return entry === undefined ? undefined : show(connectionId, entry);
    },
    polled: (connectionId, changedAtMs) => polled.note(connectionId, changedAtMs),
    checkNow: () => look(() => true),
    close: async () => {
      stop.abort();
      await loop;
      await looking;
    },
  };
}

/** Whether what was found of the one holds for the other: the same key and webhooks. */
function isWatchedAlike(one: ConnectionWithTokens, other: ConnectionWithTokens): boolean {
  const tokens = ({ webhookTokens }: ConnectionWithTokens) => webhookTokens.map((token) => token.reveal());
  return (
    one === other ||
    (sameAccess(one, other) && one.webhookId === other.webhookId && isDeepStrictEqual(tokens(one), tokens(other)))
  );
}

/** One look may take so long, with organisations that answer slowly, before that counts as standing still. */
const LATE_MS = 300_000;

function show(connectionId: string, { connection, health, looked, checkedAtMs }: Entry): ConnectionHealth {
  const { tenantId } = connection;
  const { state, reason, sinceMs, checked } = health;
  return {
    connectionId,
    tenantId,
    state,
    reason,
    meaning: reason === null ? null : HEALTH_REASONS[reason].meaning,
    sinceMs,
    checked,
    checkedAtMs,
    webhooks: looked?.asked.kind === 'answered' ? looked.asked.webhooks : [],
    failure: looked?.failure ?? null,
  };
}
