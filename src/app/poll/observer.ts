/** What the poller tells, on the log and the metrics. Repeated findings once a minute, progress every ten seconds. */
import { createAlarmGate } from '../../ingest/alarm-gate.ts';
import type { BackfillStatus } from '../../ingest/poll/backfill-plan.ts';
import type { ConnectionPollHealth } from '../../ingest/poll/health.ts';
import type { PollObserver, PollOrigin } from '../../ingest/poll/ports.ts';
import type { StreamState } from '../../ingest/poll/reaction.ts';
import { BACKFILL_STREAMS, STREAMS } from '../../ingest/poll/streams.ts';
import type { Logger, Metrics } from '../telemetry.ts';
import { backfillTotal, etaSeconds } from './backfill-figures.ts';

const ALARM_EVERY_MS = 60_000;
const PROGRESS_EVERY_MS = 10_000;
const MAX_KINDS = 10_000;

export interface PollObserverOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly nowMs: () => number;
  /** Each row newly published: of which connection and stream, and of what time. */
  readonly published?: (origin: PollOrigin, timeMs: number | null) => void;
}

export function createPollObserver({ logger, metrics, nowMs, published }: PollObserverOptions): PollObserver {
  const alarms = createAlarmGate({ intervalMs: ALARM_EVERY_MS, maxKinds: MAX_KINDS });
  const progress = createAlarmGate({ intervalMs: PROGRESS_EVERY_MS, maxKinds: MAX_KINDS });
  const statuses = new Map<string, BackfillStatus>();
  const kindOf = ({ tenantId, connectionId, stream, channel }: PollOrigin, what: string): string =>
    [tenantId, connectionId, stream, channel, what].join('/');
  return {
    page(origin, page) {
      const { stream, channel } = origin;
      metrics.add('cnk_poll_searches_total', 1, { stream, channel, outcome: 'ok' });
      metrics.add('cnk_poll_rows_total', page.rows, { stream, channel });
      metrics.add('cnk_poll_published_total', page.published.length, { stream, channel });
      metrics.add('cnk_poll_duplicates_total', page.duplicates, { stream, channel });
      if (published !== undefined) for (const { timeMs } of page.published) published(origin, timeMs);
    },
    polled(origin, window) {
      metrics.add('cnk_poll_windows_total', 1, { stream: origin.stream });
      metrics.observe('cnk_poll_window_seconds', window.durationMs / 1000);
      const line = { event: 'poll.window', ...origin, ...window };
      if (window.published > 0) logger.info(line, 'polled');
      else logger.debug(line, 'polled, nothing new');
    },
    failed(origin, failure, { state, waitMs }) {
      const { stream, channel } = origin;
      metrics.add('cnk_poll_searches_total', 1, { stream, channel, outcome: failure.kind });
      const times = alarms.note(kindOf(origin, failure.code), nowMs());
      if (times === 0) return;
      const { code, message: reason } = failure;
      logger.warn({ event: 'poll.failed', ...origin, code, state, waitMs, reason, times }, 'a search was not answered');
    },
    alarm(origin, { code, message, rows }) {
      metrics.add('cnk_poll_alarms_total', 1, { stream: origin.stream, code });
      const times = alarms.note(kindOf(origin, code), nowMs());
      if (times > 0) logger.error({ event: 'poll.alarm', ...origin, code, rows, reason: message, times }, message);
    },
    crowdedOut(origin, rows) {
      metrics.add('cnk_poll_forgotten_total', rows, { stream: origin.stream });
      const times = alarms.note(kindOf(origin, 'crowded'), nowMs());
      if (times > 0) logger.warn({ event: 'poll.forgotten', ...origin, rows, times }, 'more rows than are remembered');
    },
    backfill(origin, state) {
      const kind = kindOf(origin, 'backfill');
      const isNew = statuses.get(kind) !== state.status;
      statuses.set(kind, state.status);
      if (state.status !== 'running' && !isNew) return;
      if (progress.note(`${kind}/${state.status}`, nowMs()) === 0) return;
      if (state.status === 'off') return;
      const { status, rowsDone, rowsLeft, rowsPerSecond, part } = state;
      const line = {
        ...{ event: 'backfill.progress', ...origin, status, rowsDone, rowsLeft, rowsPerSecond },
        total: backfillTotal(state),
        etaSeconds: etaSeconds(state),
        phase: part?.phase ?? null,
      };
      logger.info(line, `backfill ${status}`);
    },
  };
}

const STREAM_STATES: readonly StreamState[] = [
  ...(['starting', 'reading', 'current', 'waiting', 'retrying', 'disordered'] as const),
  ...(['forbidden', 'misconfigured', 'refused', 'unreadable', 'no_key'] as const),
];

export function scrapePoll(metrics: Metrics, connections: readonly ConnectionPollHealth[]): void {
  const streams = connections.flatMap((connection) => Object.values(connection.streams));
  for (const state of STREAM_STATES) {
    metrics.set('cnk_poll_streams', streams.filter((stream) => stream.state === state).length, { state });
  }
  for (const stream of STREAMS) {
    const lags = connections.map((connection) => connection.streams[stream]?.lagMs ?? 0);
    metrics.set('cnk_poll_lag_seconds', Math.max(0, ...lags) / 1000, { stream });
  }
  const all = connections.flatMap((connection) => Object.values(connection.backfill));
  for (const status of ['off', 'running', 'paused', 'done'] as const) {
    metrics.set('cnk_backfill_streams', all.filter((one) => one.status === status).length, { status });
  }
  for (const stream of BACKFILL_STREAMS) {
    const running = connections.flatMap(({ backfill }) => backfill[stream] ?? []).filter(isRunning);
    const sum = (values: readonly (number | null)[]) =>
      values.reduce<number>((total, value) => total + (value ?? 0), 0);
    metrics.set('cnk_backfill_rows_left', sum(running.map(({ rowsLeft }) => rowsLeft)), { stream });
    metrics.set('cnk_backfill_rows_per_second', sum(running.map((one) => one.rowsPerSecond)), { stream });
    metrics.set('cnk_backfill_eta_seconds', Math.max(0, ...running.map((one) => etaSeconds(one) ?? 0)), { stream });
  }
}

const isRunning = ({ status }: { readonly status: BackfillStatus }): boolean => status === 'running';
