/**
 * Whether a connection's webhooks do their work, from what Kustomer says of them, what arrives and what the poll finds.
 * A state machine without clock or I/O: one observation a check, a state with its reason out.
 *
 * Invariants (test/unit/ingest/webhook-health/decide.test.ts cites them):
 * D1 The verdict depends on the memory and the observation alone; the same observations give the same states.
 * D2 A sure fault (switched off, gone, key refused, …) counts at once; an unsure one (no answer, failing deliveries, …)
 *    only after `confirmChecks` checks in a row that found it, and until then changes nothing.
 * D3 The way back needs proof, which is an arrival since the fault began or, where not being able to ask was the fault, an
 *    answer; without proof it needs `calmChecks` good checks in a row.
 * D4 `sinceMs` moves exactly when state or reason does.
 * D5 Not being allowed to look is no fault: the connection stays `connected`, `checked` is false, and the reason says so.
 * D6 Only a webhook that Kustomer switched off for its failures is to be enabled again, never one that a person did.
 * D7 Between two attempts to enable lie `enableMinMs`, twice as much each time up to `enableMaxMs`, until something has
 *    arrived: an endpoint that stays broken is not switched on for ever.
 * D8 Whatever is not plainly `connected` has a reason.
 * D9 What was found with another key, token or webhook says nothing of these: such a connection is judged as if for the
 *    first time, but for the pauses of D7, which its organisation has seen.
 */

import { arrival, type Finding, find, switchedOffBy } from './find.ts';
import {
  type ConnectionState,
  HEALTH_DEFAULTS,
  HEALTH_REASONS,
  type HealthOptions,
  type HealthReason,
  NEVER_SEEN,
  type Observation,
  type ReasonRow,
  type Watching,
} from './model.ts';

/** What is kept from one check to the next. */
export interface WebhookHealth {
  readonly state: ConnectionState;
  readonly reason: HealthReason | null;
  readonly sinceMs: number;
  /** Whether the webhooks themselves could be looked at. */
  readonly checked: boolean;
  /** An unsure fault that was seen, but not often enough. */
  readonly suspect: { readonly reason: HealthReason; readonly checks: number } | null;
  readonly goodChecks: number;
  readonly watching: Watching;
  readonly enabling: { readonly attempts: number; readonly lastAtMs: number; readonly notBeforeMs: number };
}

export interface Verdict {
  readonly health: WebhookHealth;
  /** Webhooks to be enabled again now. */
  readonly enable: readonly string[];
}

export function decideHealth(
  before: WebhookHealth | null,
  observation: Observation,
  nowMs: number,
  options: HealthOptions = HEALTH_DEFAULTS,
): Verdict {
  const was = before ?? unborn(nowMs);
  const watching = watch(was.watching, observation, nowMs);
  const finding = find(observation, watching, nowMs, options);
  const arrivedAtMs = arrival(observation);
  const next = proceed(was, finding, arrivedAtMs, nowMs, options);
  const { enable, enabling } = enableAgain(was.enabling, { finding, observation, arrivedAtMs }, nowMs, options);
  return { health: { ...next, checked: finding.checked, watching, enabling }, enable };
}

/** D9. */
export function forgetFindings({ watching, enabling }: WebhookHealth, nowMs: number): WebhookHealth {
  return { ...unborn(nowMs), watching, enabling };
}

function unborn(nowMs: number): WebhookHealth {
  return {
    state: 'connected',
    reason: null,
    sinceMs: nowMs,
    checked: false,
    suspect: null,
    goodChecks: 0,
    watching: NEVER_SEEN,
    enabling: { attempts: 0, lastAtMs: 0, notBeforeMs: 0 },
  };
}

function proceed(
  was: WebhookHealth,
  finding: Finding,
  arrivedAtMs: number | null,
  nowMs: number,
  { confirmChecks, calmChecks }: HealthOptions,
): WebhookHealth {
  const { state, reason, sure } = finding;
  if (state !== 'connected') {
    const checks = was.suspect?.reason === reason ? was.suspect.checks + 1 : 1;
    const confirmed = sure || was.reason === reason || checks >= confirmChecks;
    if (confirmed) return moved(was, finding, nowMs);
    return { ...was, suspect: reason === null ? null : { reason, checks }, goodChecks: 0 };
  }
  if (was.state === 'connected') return moved(was, finding, nowMs);
  const goodChecks = was.goodChecks + 1;
  const answers = was.reason !== null && (HEALTH_REASONS[was.reason] as ReasonRow).answers === true;
  const proven = answers || (arrivedAtMs !== null && arrivedAtMs > was.sinceMs);
  if (proven || goodChecks >= calmChecks) return moved(was, finding, nowMs);
  return { ...was, suspect: null, goodChecks };
}

/** D4. */
function moved(was: WebhookHealth, { state, reason }: Finding, nowMs: number): WebhookHealth {
  const same = was.state === state && was.reason === reason;
  return { ...was, state, reason, sinceMs: same ? was.sinceMs : nowMs, suspect: null, goodChecks: 0 };
}

/** D6, D7. */
function enableAgain(
  was: WebhookHealth['enabling'],
  seen: { readonly finding: Finding; readonly observation: Observation; readonly arrivedAtMs: number | null },
  nowMs: number,
  options: HealthOptions,
): { readonly enable: readonly string[]; readonly enabling: WebhookHealth['enabling'] } {
  const { asked } = seen.observation;
  const arrived = seen.arrivedAtMs !== null && seen.arrivedAtMs > was.lastAtMs;
  const enabling = arrived ? { ...was, attempts: 0, notBeforeMs: 0 } : was;
  const off = seen.finding.reason === 'webhook_disabled' && asked?.kind === 'answered' ? asked.webhooks : [];
  const enable = off.filter((webhook) => switchedOffBy(webhook, nowMs, options) === 'kustomer').map(({ id }) => id);
  if (enable.length === 0 || nowMs < enabling.notBeforeMs) return { enable: [], enabling };
  const pauseMs = Math.min(options.enableMinMs * 2 ** Math.min(enabling.attempts, 30), options.enableMaxMs);
  const next = { attempts: enabling.attempts + 1, lastAtMs: nowMs, notBeforeMs: nowMs + pauseMs };
  return { enable, enabling: next };
}

function watch(was: Watching, { asked }: Observation, nowMs: number): Watching {
  if (asked?.kind !== 'answered') return was.webhooks === null && was.sinceMs === 0 ? { ...was, sinceMs: nowMs } : was;
  const on = asked.webhooks.filter(({ enabled }) => enabled !== false).map(({ id }) => id);
  const webhooks = on.sort().join();
  if (webhooks === was.webhooks) return was;
  // Seen for the first time, they may have failed for long; seen in place of others, they begin anew.
  return { webhooks, sinceMs: nowMs, failuresFromMs: was.webhooks === null ? 0 : nowMs };
}
