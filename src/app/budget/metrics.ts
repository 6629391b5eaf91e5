/** What the gates of this process say on /metrics. Sums over organisations: labels never hold an id. */
import { LANES } from '../../kustomer/budget/lanes.ts';
import type { Metrics } from '../telemetry.ts';
import type { LeasedGate } from './leased-gate.ts';

export function scrapeGates(metrics: Metrics, gates: readonly LeasedGate[]): void {
  const healths = gates.map((gate) => gate.health());
  const leases = gates.map((gate) => gate.leases());
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  for (const lane of LANES) {
    metrics.setTotal('cnk_budget_granted_total', sum(healths.map(({ granted }) => granted[lane])), { lane });
    metrics.setTotal('cnk_budget_refused_total', sum(healths.map(({ refused }) => refused[lane])), { lane });
    metrics.set('cnk_budget_waiting', sum(healths.map(({ waiting }) => waiting[lane])), { lane });
  }
  metrics.setTotal('cnk_budget_limited_total', sum(healths.map(({ limited }) => limited)));
  metrics.set('cnk_budget_paused', healths.filter(({ pausedUntilMs }) => pausedUntilMs !== null).length);
  metrics.set('cnk_budget_in_hand', sum(leases.map(({ inHand }) => inHand)));
  metrics.set(
    'cnk_budget_unanswered_seconds',
    Math.max(0, ...leases.map(({ unansweredMs }) => unansweredMs ?? 0)) / 1000,
  );
}
