/** What one observation of a connection's webhooks says by itself. Pure. */
import {
  type ConnectionState,
  HEALTH_DEFAULTS,
  HEALTH_REASONS,
  type HealthOptions,
  type HealthReason,
  type Observation,
  type ReasonRow,
  type Watching,
  type WebhookFacts,
} from './model.ts';

export interface Finding {
  readonly reason: HealthReason | null;
  readonly state: ConnectionState;
  readonly sure: boolean;
  readonly checked: boolean;
}

export function find(
  observation: Observation,
  watching: Watching,
  nowMs: number,
  options: HealthOptions = HEALTH_DEFAULTS,
): Finding {
  const { asked, pollWorks } = observation;
  const checked = asked?.kind === 'answered';
  const reason = reasonOf(observation, watching, nowMs, options);
  if (reason === null || HEALTH_REASONS[reason].state === 'connected') {
    if (pollWorks === false) return { reason: 'poll_failing', state: 'degraded', sure: false, checked };
    return { reason, state: 'connected', sure: true, checked };
  }
  const { state, sure, answers }: ReasonRow = HEALTH_REASONS[reason];
  // Webhooks fail and nothing carries the stream in their place.
  const silent = answers !== true && pollWorks === false;
  return { reason, state: silent ? 'error' : state, sure, checked };
}

function reasonOf(
  { tokens, asked, acceptedHere, polledAtMs }: Observation,
  { sinceMs, failuresFromMs }: Watching,
  nowMs: number,
  options: HealthOptions,
): HealthReason | null {
  if (asked === null) return tokens === 0 ? 'no_credentials' : 'no_api_key';
  const undelivered = (fromMs: number, enough: number): boolean =>
    polledAtMs.filter((atMs) => atMs > fromMs && atMs < nowMs - options.graceMs).length >= enough;
  if (asked.kind !== 'answered') {
    const fault = asked.kind === 'failed' ? asked.fault : 'webhook_unknown';
    if (fault !== 'not_permitted' && fault !== 'webhook_unknown') return fault;
    if (tokens === 0) return 'no_webhook';
    if (acceptedHere === null) return fault;
    const fromMs = Math.max(acceptedHere.sinceMs, acceptedHere.lastAtMs ?? 0, sinceMs);
    return undelivered(fromMs, options.undeliveredHere) ? 'not_delivered' : fault;
  }
  if (asked.webhooks.length === 0) return tokens === 0 ? 'no_webhook' : 'webhook_gone';
  const faults = asked.webhooks.map((webhook) => faultOf(webhook, failuresFromMs, nowMs, options));
  // While two are live, one that works is enough; of several faults the current one's is told.
  if (!faults.includes(null)) return faults[asked.webhooks.findIndex(({ current }) => current)] ?? faults[0] ?? null;
  const logs = asked.webhooks.flatMap(({ deliveries }) => deliveries ?? []);
  if (logs.length === 0) return null;
  const fromMs = Math.max(sinceMs, ...logs.map(({ lastSuccessAtMs }) => lastSuccessAtMs ?? 0));
  return undelivered(fromMs, options.undelivered) ? 'not_delivered' : null;
}

function faultOf(webhook: WebhookFacts, fromMs: number, nowMs: number, options: HealthOptions): HealthReason | null {
  const { enabled, isError, tokenKnown, missingEvents } = webhook;
  if (enabled === false) {
    return switchedOffBy(webhook, nowMs, options) === 'kustomer' ? 'webhook_disabled' : 'webhook_switched_off';
  }
  if (tokenKnown === false) return 'token_unknown';
  if (missingEvents.length > 0) return 'events_missing';
  const failing = recentFailures(webhook, nowMs, options).filter((atMs) => atMs > fromMs).length >= options.failures;
  return failing || isError === true ? 'deliveries_failing' : null;
}

/** Where Kustomer does not say whether it was for an error, a row of failures does. */
export function switchedOffBy(
  webhook: WebhookFacts,
  nowMs: number,
  options: HealthOptions,
): 'kustomer' | 'somebody' | null {
  if (webhook.enabled !== false) return null;
  const forErrors = webhook.isError ?? recentFailures(webhook, nowMs, options).length >= options.failures;
  return forErrors ? 'kustomer' : 'somebody';
}

function recentFailures({ deliveries }: WebhookFacts, nowMs: number, { failureWindowMs }: HealthOptions): number[] {
  return deliveries?.failuresAtMs.filter((atMs) => atMs > nowMs - failureWindowMs) ?? [];
}

/** When the last webhook surely came, as far as anybody can say. */
export function arrival({ asked, acceptedHere }: Observation): number | null {
  const times = asked?.kind === 'answered' ? asked.webhooks.map(({ deliveries }) => deliveries?.lastSuccessAtMs) : [];
  const known = [...times, acceptedHere?.lastAtMs].filter((atMs) => typeof atMs === 'number');
  return known.length === 0 ? null : Math.max(...known);
}
