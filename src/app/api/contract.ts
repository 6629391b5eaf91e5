/** What a connector depends on, looked at now: the checks of `fibric connectors test … --contract`. */
import type { Check, WebhookReport } from '../../api/ports.ts';
import { CodedError } from '../../base/errors.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import { formatDuration } from '../../fibric/poll-settings.ts';
import type { ConnectionPollHealth } from '../../ingest/poll/health.ts';
import { find } from '../../ingest/webhook-health/find.ts';
import { HEALTH_REASONS, NEVER_SEEN } from '../../ingest/webhook-health/model.ts';
import { lookAtWebhooks } from '../../ingest/webhook-health/observe.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import { checkKey } from '../control/key-check.ts';
import { REPORT_STALE_MS, type ToldPolls } from './poll-reports.ts';
import { checkOfFailure, checksOfKey } from './probe.ts';
import type { StateRecord } from './records.ts';
import { checkSignature } from './signature-check.ts';

export interface ContractOptions {
  readonly connection: ConnectionWithTokens;
  /** Null without a key that can be used. */
  readonly client: KustomerClient | null;
  readonly webhookUrl: string | null;
  /** Undefined where another process polls it. */
  readonly polls: ConnectionPollHealth | undefined;
  /** What that process has told of the connection, and last of its polls. */
  readonly told: StateRecord | undefined;
  readonly toldPolls: ToldPolls | undefined;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** Polls are late beyond this many intervals, and a little for the poll itself. */
const LATE_INTERVALS = 3;
const LATE_SLACK_MS = 30_000;
/** Of an organisation's rate: below it, somebody else's burst stops us. */
const LOW_SHARE = 0.1;
const LIMITED_LATELY_MS = 15 * 60_000;

export async function checkContract(options: ContractOptions): Promise<readonly Check[]> {
  const { connection, client, webhookUrl, signal } = options;
  const webhook = await webhookReport(options);
  const permissions = client === null ? [] : await checkPermissions(client, connection);
  return [
    webhookCheck(webhook),
    await checkSignature(connection, webhookUrl, signal),
    checkPoll(options),
    ...(client === null ? [noKey()] : permissions),
    ...(client === null ? [] : [budgetCheck(client, options.nowMs)]),
  ];
}

/** A single look: there is nothing to compare it with, so every fault counts and lost changes cannot be seen. */
export async function webhookReport({
  connection,
  client,
  webhookUrl,
  nowMs,
  signal,
}: Pick<ContractOptions, 'connection' | 'client' | 'webhookUrl' | 'nowMs' | 'signal'>): Promise<WebhookReport> {
  const looked =
    client === null ? null : await lookAtWebhooks(client, connection, { lane: 'probes', waitMs: 15_000, signal });
  const tokens = connection.webhookTokens.length;
  const seen = { tokens, asked: looked?.asked ?? null, acceptedHere: null, polledAtMs: [], pollWorks: null };
  const { state, reason } = find(seen, { ...NEVER_SEEN, sinceMs: nowMs }, nowMs);
  const facts = looked?.asked.kind === 'answered' ? looked.asked.webhooks : [];
  return {
    url: webhookUrl,
    tokens,
    state,
    reason,
    message: reason === null ? 'webhooks are as they should be' : HEALTH_REASONS[reason].meaning,
    webhooks: facts.map(({ id, current, enabled, missingEvents, deliveries }) => ({
      id,
      current,
      enabled,
      lastDeliveredAtMs: deliveries?.lastSuccessAtMs ?? null,
      failuresSince: deliveries?.failuresAtMs.length ?? null,
      missingEvents,
    })),
  };
}

const WEBHOOK_STEPS: Readonly<Record<string, string>> = {
  no_webhook: 'Run `fibric connectors add` again with PUBLIC_URL set on the service, or make the webhook by hand.',
  webhook_gone: 'Run `fibric connectors add` again: it makes another.',
  webhook_disabled: 'Mend what made deliveries fail; it is switched on again by itself.',
  webhook_switched_off: 'Switch it on under Settings › Platform › Outbound webhooks.',
  token_unknown: 'Run `fibric connectors add` again: it reads the token.',
  events_missing: 'Run `fibric connectors add` again: it adds the events.',
  deliveries_failing: 'Is the address reachable for Kustomer?',
  not_permitted: 'Give the key org.permission.outbound_webhook.read.',
};

function webhookCheck({ state, reason, message, webhooks }: WebhookReport): Check {
  const name = 'webhook_health';
  const [current] = webhooks;
  const last = current?.lastDeliveredAtMs ?? null;
  const delivered = last === null ? '' : `; last delivery ${new Date(last).toISOString()}`;
  const nextStep = reason === null ? null : (WEBHOOK_STEPS[reason] ?? null);
  if (state !== 'connected') {
    const carried = state === 'degraded' ? '; the poll carries the stream, so events lag by up to poll_interval' : '';
    return { name, ok: false, code: reason ?? state, message: `${message}${carried}${delivered}`, nextStep };
  }
  const tooMany = webhooks.filter((one) => one.current).length - 1;
  if (reason === null && tooMany > 0) {
    const surplus = `${tooMany} webhook${tooMany === 1 ? '' : 's'} of the connection too many in Kustomer${delivered}`;
    const remedy = 'Run `fibric connectors add` again: it removes what is too many.';
    return { name, ok: false, code: 'optional_surplus', message: surplus, nextStep: remedy };
  }
  return { name, ok: reason === null ? true : null, code: reason ?? 'ok', message: `${message}${delivered}`, nextStep };
}

async function checkPermissions(client: KustomerClient, connection: ConnectionWithTokens): Promise<readonly Check[]> {
  try {
    return checksOfKey(await checkKey(client, connection));
  } catch (error) {
    const found = error instanceof CodedError ? checkOfFailure(error) : null;
    if (found === null) throw error;
    return [found];
  }
}

function noKey(): Check {
  const message = 'there is no API key: nothing is polled or written';
  return { name: 'authentication', ok: false, code: 'no_key', message, nextStep: 'Run `fibric connectors add`.' };
}

/** In the process that polls, exactly; in others, what that one has told. */
function checkPoll(options: ContractOptions): Check {
  const { connection, polls } = options;
  const name = 'poll_lag';
  const { pollIntervalMs } = connection.settings;
  const nextStep = POLL_STEP;
  if (!connection.hasApiKey) {
    return { name, ok: false, code: 'no_key', message: 'nothing is polled without an API key', nextStep: null };
  }
  if (polls === undefined) return checkTold(options);
  const streams = Object.entries(polls.streams);
  const late = streams.filter(
    ([, { lagMs }]) => lagMs !== null && lagMs > LATE_INTERVALS * pollIntervalMs + LATE_SLACK_MS,
  );
  const stuck = streams.filter(([, { failuresInARow }]) => failuresInARow > 0);
  const begun = streams.some(([, { lagMs }]) => lagMs !== null);
  const text = streams
    .map(([stream, { state, lagMs, reason }]) => {
      const lag = lagMs === null ? 'not read yet' : `${Math.round(lagMs / 1000)}s behind`;
      return `${stream} ${lag}${reason === null ? '' : ` (${state}: ${reason})`}`;
    })
    .join(', ');
  const troubled = late.length > 0 || stuck.length > 0;
  return {
    name,
    ok: troubled ? false : begun ? true : null,
    code: late.length > 0 ? 'late' : stuck.length > 0 ? 'failing' : begun ? 'ok' : 'not_begun',
    message: `${text}; every ${formatDuration(pollIntervalMs)}`,
    nextStep: troubled ? nextStep : null,
  };
}

const POLL_STEP = 'Raise poll_interval if the rate limit is used up; see /readyz of the process that polls.';

/** Never better than what was told: one who has fallen silent is no sign that all is well. */
function checkTold({ connection, told, toldPolls, nowMs }: ContractOptions): Check {
  const name = 'poll_lag';
  const { pollIntervalMs } = connection.settings;
  if (told?.reason === 'poll_failing' || told?.reason === 'key_refused') {
    return {
      name,
      ok: false,
      code: told.reason,
      message: 'the process that polls says that it fails',
      nextStep: POLL_STEP,
    };
  }
  if (toldPolls === undefined) {
    const message = 'no process has said that it polls it';
    return { name, ok: null, code: 'not_begun', message, nextStep: 'Is a process with the role poll running?' };
  }
  const ageMs = Math.max(0, nowMs - toldPolls.toldAtMs);
  if (ageMs > REPORT_STALE_MS) {
    const message = `the process that polls it was last heard of ${Math.round(ageMs / 1000)}s ago`;
    return { name, ok: false, code: 'silent', message, nextStep: 'Is a process with the role poll running?' };
  }
  const { lagMs, failing } = toldPolls;
  if (lagMs === null) {
    const message = 'not everything was read yet by the process that polls it';
    return {
      name,
      ok: failing.length > 0 ? false : null,
      code: failing.length > 0 ? 'failing' : 'not_begun',
      message,
      nextStep: null,
    };
  }
  const late = lagMs > LATE_INTERVALS * pollIntervalMs + LATE_SLACK_MS;
  const said = failing.length > 0 ? ` (failing: ${failing.join(', ')})` : '';
  const message = `${Math.round(lagMs / 1000)}s behind at most${said}, as told ${Math.round(ageMs / 1000)}s ago; every ${formatDuration(pollIntervalMs)}`;
  const ok = !late && failing.length === 0;
  return { name, ok, code: late ? 'late' : ok ? 'ok' : 'failing', message, nextStep: ok ? null : POLL_STEP };
}

/** Exported for tests. */
export function budgetCheck(client: Pick<KustomerClient, 'health'>, nowMs: number): Check {
  const { limit, limitTold, left, pausedUntilMs, limited, limitedAtMs } = client.health().budget;
  const name = 'budget';
  if (pausedUntilMs !== null) {
    const message = `Kustomer asks us to wait until ${new Date(pausedUntilMs).toISOString()}`;
    return { name, ok: false, code: 'rate_limited', message, nextStep: 'Raise poll_interval.' };
  }
  if (!limitTold || left === null) {
    return { name, ok: null, code: 'unknown', message: 'Kustomer does not tell its rate limit', nextStep: null };
  }
  const low = left < limit * LOW_SHARE;
  // One that is long over says nothing of now; one that is just over broke nothing.
  const agoMs =
    limitedAtMs === null || nowMs - limitedAtMs > LIMITED_LATELY_MS ? null : Math.max(0, nowMs - limitedAtMs);
  const refused = agoMs === null ? '' : `; ${limited} were refused with 429, the last ${Math.round(agoMs / 1000)}s ago`;
  return {
    name,
    ok: !low && agoMs === null,
    code: low ? 'low' : agoMs === null ? 'ok' : 'optional_rate_limited',
    message: `${left} of ${limit} requests of this minute are left for everybody${refused}`,
    nextStep: low || agoMs !== null ? 'Raise poll_interval, or see what else uses the organisation’s limit.' : null,
  };
}
