/**
 * The SLA clock of one conversation, as its attribute `sla` shows it. Pure: what happened comes in, the next `sla` comes out.
 *
 * The vendor's trap is kept: `breach.at`, `summary.firstBreachAt` and every `breachAt` are deadlines, set long before
 * anything is breached; only `breached` tells.
 *
 * Invariants (test/unit/simulator/sla.test.ts cites them):
 * S1 `breached` becomes true at most once and never false again.
 * S2 It becomes true only when a metric's deadline has passed while the clock was pending and the metric unsatisfied.
 * S3 Before the first breach `breach` names the earliest open deadline; later the latest breach.
 * S4 Being snoozed for d milliseconds moves every open deadline that had not passed by exactly d, and no other.
 * S5 While paused or done nothing is breached.
 * S6 A satisfied metric is not breached until the customer writes again.
 */
import { type Attributes, isoTime } from './resource.ts';

/** In the order in which ties are decided. */
export const SLA_METRICS = [
  'firstResponse',
  'nextReply',
  'longestUnrespondedMessage',
  'totalConversationOpenTime',
] as const;
export type SlaMetric = (typeof SLA_METRICS)[number];

export interface SlaPolicy {
  /** 24 hex. */
  readonly id: string;
  readonly name: string;
  readonly version: number;
  /** Milliseconds allowed: one number, or five for the priorities 1–5. */
  readonly targetsMs: Readonly<Partial<Record<SlaMetric, number | readonly number[]>>>;
}

interface Metric {
  readonly breachAt?: string;
  readonly satisfiedAt?: string;
  readonly onTimeCount?: number;
  readonly lateCount?: number;
}

export interface Sla {
  readonly name: string;
  readonly version: number;
  readonly matchedAt: string;
  readonly status: 'pending' | 'paused' | 'done';
  readonly breached: boolean;
  readonly breach: { readonly metric?: SlaMetric; readonly at?: string };
  readonly metrics: Readonly<Partial<Record<SlaMetric, Metric>>>;
  readonly summary: { readonly firstBreachAt?: string; readonly satisfiedAt?: string };
}

type Metrics = Partial<Record<SlaMetric, Metric>>;

const isOpen = (metric: Metric | undefined): metric is Metric & { readonly breachAt: string } =>
  metric?.breachAt !== undefined && metric.satisfiedAt === undefined;

/** The clock of a new conversation. A conversation the company began waits for nobody. */
export function startSla(policy: SlaPolicy, conversation: Attributes, nowMs: number): Sla {
  const names: readonly SlaMetric[] =
    conversation['direction'] === 'out'
      ? ['totalConversationOpenTime']
      : ['firstResponse', 'longestUnrespondedMessage', 'totalConversationOpenTime'];
  const sla: Sla = {
    name: policy.name,
    version: policy.version,
    matchedAt: isoTime(nowMs),
    status: 'pending',
    breached: false,
    breach: {},
    metrics: started(policy, {}, conversation, names, nowMs),
    summary: {},
  };
  return conversation['status'] === 'done' ? finish(sla, nowMs) : withForecast(sla, nowMs);
}

/** What a change of the conversation does to its clock; null when it has none. */
export function slaAfter(policy: SlaPolicy, before: Attributes, patch: Attributes, nowMs: number): Sla | null {
  const sla = before['sla'] as Sla | undefined;
  if (sla === undefined) return null;
  const statusBefore = before['status'];
  const statusAfter = patch['status'] ?? statusBefore;
  let next = sla;
  if (statusBefore === 'snoozed' && statusAfter !== 'snoozed') {
    next = resume(next, Date.parse((before['snooze'] as { statusAt: string }).statusAt), nowMs);
  }
  if (statusBefore === 'done' && statusAfter !== 'done') {
    next = {
      ...next,
      status: 'pending',
      metrics: started(policy, next.metrics, before, ['totalConversationOpenTime'], nowMs),
    };
  }
  if (grew(before, patch, 'outboundMessageCount')) next = satisfy(next, RESPONSE_METRICS, nowMs);
  if (grew(before, patch, 'inboundMessageCount')) {
    const names: readonly SlaMetric[] = isOpen(next.metrics.firstResponse)
      ? ['longestUnrespondedMessage']
      : ['nextReply', 'longestUnrespondedMessage'];
    const waiting = names.filter((name) => !isOpen(next.metrics[name]));
    next = { ...next, metrics: started(policy, next.metrics, before, waiting, nowMs) };
  }
  if (statusAfter === 'done' && statusBefore !== 'done') return finish(next, nowMs);
  if (statusAfter === 'snoozed' && statusBefore !== 'snoozed') next = { ...next, status: 'paused' };
  return withForecast(next, nowMs);
}

const RESPONSE_METRICS: readonly SlaMetric[] = ['firstResponse', 'nextReply', 'longestUnrespondedMessage'];

/** When the next deadline passes; null when the clock stands still. */
export function nextDeadlineMs(sla: Sla): number | null {
  if (sla.status !== 'pending') return null;
  return earliest(sla, sla.breached ? Date.parse(sla.breach.at as string) : Number.NEGATIVE_INFINITY)?.atMs ?? null;
}

/** Lets the next deadline pass; the same `sla` when none has by `nowMs`. */
export function passDeadline(sla: Sla, nowMs: number): Sla {
  const deadlineMs = nextDeadlineMs(sla);
  if (deadlineMs === null || deadlineMs > nowMs) return sla;
  const passed = earliest(sla, deadlineMs - 1) as Deadline;
  const at = isoTime(passed.atMs);
  return {
    ...sla,
    breached: true,
    breach: { metric: passed.metric, at },
    summary: { ...sla.summary, firstBreachAt: sla.breached ? (sla.summary.firstBreachAt as string) : at },
  };
}

interface Deadline {
  readonly metric: SlaMetric;
  readonly atMs: number;
}

/** The earliest open deadline after `afterMs`. */
function earliest(sla: Sla, afterMs: number): Deadline | null {
  let found: Deadline | null = null;
  for (const metric of SLA_METRICS) {
    const state = sla.metrics[metric];
    if (!isOpen(state)) continue;
    const atMs = Date.parse(state.breachAt);
    if (atMs > afterMs && (found === null || atMs < found.atMs)) found = { metric, atMs };
  }
  return found;
}

function started(
  policy: SlaPolicy,
  metrics: Metrics,
  conversation: Attributes,
  names: readonly SlaMetric[],
  nowMs: number,
): Metrics {
  const next: Metrics = { ...metrics };
  for (const name of names) {
    const target = policy.targetsMs[name];
    const ms = typeof target === 'object' ? target[Number(conversation['priority'] ?? 3) - 1] : target;
    if (ms === undefined) continue;
    const { satisfiedAt: _, ...kept } = next[name] ?? {};
    next[name] = { ...kept, breachAt: isoTime(nowMs + ms) };
  }
  return next;
}

function satisfy(sla: Sla, names: readonly SlaMetric[], nowMs: number): Sla {
  const metrics: Metrics = { ...sla.metrics };
  for (const name of names) {
    const metric = metrics[name];
    if (!isOpen(metric)) continue;
    const late = Date.parse(metric.breachAt) <= nowMs;
    const counts = {
      onTimeCount: (metric.onTimeCount ?? 0) + (late ? 0 : 1),
      lateCount: (metric.lateCount ?? 0) + (late ? 1 : 0),
    };
    metrics[name] = { ...metric, satisfiedAt: isoTime(nowMs), ...(name === 'nextReply' ? counts : {}) };
  }
  return { ...sla, metrics };
}

function finish(sla: Sla, nowMs: number): Sla {
  return withForecast({ ...satisfy(sla, SLA_METRICS, nowMs), status: 'done' }, nowMs);
}

/** Deadlines move by the time the clock stood still; one that had passed by then is history. */
function resume(sla: Sla, pausedAtMs: number, nowMs: number): Sla {
  const metrics: Metrics = { ...sla.metrics };
  for (const name of SLA_METRICS) {
    const metric = metrics[name];
    if (!isOpen(metric)) continue;
    const deadlineMs = Date.parse(metric.breachAt);
    if (deadlineMs > pausedAtMs) metrics[name] = { ...metric, breachAt: isoTime(deadlineMs + nowMs - pausedAtMs) };
  }
  return { ...sla, status: 'pending', metrics };
}

/** Until something is breached the vendor shows the deadline that would be breached first. */
function withForecast(sla: Sla, nowMs: number): Sla {
  const next = earliest(sla, Number.NEGATIVE_INFINITY);
  const { satisfiedAt: _, ...kept } = sla.summary;
  const summary = next === null ? { ...kept, satisfiedAt: sla.summary.satisfiedAt ?? isoTime(nowMs) } : kept;
  if (sla.breached) return { ...sla, summary };
  if (next === null) return { ...sla, summary };
  const at = isoTime(next.atMs);
  return { ...sla, breach: { metric: next.metric, at }, summary: { ...summary, firstBreachAt: at } };
}

function grew(before: Attributes, patch: Attributes, counter: string): boolean {
  return patch[counter] !== undefined && Number(patch[counter]) > Number(before[counter] ?? 0);
}
