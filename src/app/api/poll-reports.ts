/**
 * What the processes that poll say of their polls, for those that do not: one document of each process in the control topic,
 * however many connections it polls, written anew every REPORT_EVERY_MS.
 *
 * P1  A report is as old as it says: whoever reads it adds its age, and one that is too old says only that nobody polls.
 * P2  Of several that speak of a connection the newest counts: it has moved.
 */
import { z } from 'zod';
import type { Table, TableKind } from '../../api/ports.ts';
import type { Clock } from '../../base/clock.ts';
import { type CursorScope, scopeKey } from '../../ingest/poll/cursor-record.ts';
import type { ConnectionPollHealth } from '../../ingest/poll/health.ts';
import type { Logger } from '../telemetry.ts';

export const REPORT_EVERY_MS = 30_000;
/** Older than this, nobody polls any more: a few reports may be late. */
export const REPORT_STALE_MS = 4 * REPORT_EVERY_MS;
/** Left by a process that was killed. */
const FORGOTTEN_MS = 24 * 3_600_000;
/** Not at once: before the first polls there is nothing to say. */
const FIRST_MS = 5_000;
/** About 100 bytes each; a document has room for 900 kB. */
const MAX_CONNECTIONS = 5_000;

const lineSchema = z.strictObject({
  /** When something was last sensed through it, by a poll or a webhook. */
  sensed_ms: z.number().nullable(),
  /** Of the stream that is furthest behind; null before the first window of one. */
  lag_ms: z.number().nullable(),
  /** Streams whose last attempt failed. */
  failing: z.array(z.string()),
});

const reportSchema = z.strictObject({
  version: z.literal(1),
  at_ms: z.number(),
  /** By `<tenant>/<connection>`. */
  connections: z.record(z.string(), lineSchema),
});

export type PollReport = Readonly<z.output<typeof reportSchema>>;

/** Key: an id of the process, new with each start. */
export const REPORT_KIND: TableKind<PollReport> = {
  prefix: 'poll-report',
  parse: (value) => reportSchema.parse(value),
  encode: (report) => report,
};

/** Of one connection, as another process has told it. */
export interface ToldPolls {
  readonly toldAtMs: number;
  readonly sensedAtMs: number | null;
  /** When it was told. */
  readonly lagMs: number | null;
  readonly failing: readonly string[];
}

export function toldPolls(table: Pick<Table<PollReport>, 'list'>, scope: CursorScope): ToldPolls | undefined {
  const key = scopeKey(scope);
  return table
    .list()
    .flatMap(([, { at_ms: toldAtMs, connections }]): ToldPolls[] => {
      const line = Object.hasOwn(connections, key) ? connections[key] : undefined;
      if (line === undefined) return [];
      return [{ toldAtMs, sensedAtMs: line.sensed_ms, lagMs: line.lag_ms, failing: line.failing }];
    })
    .reduce<ToldPolls | undefined>(
      (newest, one) => (newest && newest.toldAtMs >= one.toldAtMs ? newest : one),
      undefined,
    );
}

export function reportOf(
  polls: readonly ConnectionPollHealth[],
  acceptedAtMs: (connectionId: string) => number | null,
  nowMs: number,
): PollReport {
  const lines = polls.slice(0, MAX_CONNECTIONS).map((one) => {
    const streams = Object.entries(one.streams);
    const lags = streams.map(([, { lagMs }]) => lagMs);
    const sensed = [...streams.map(([, stream]) => stream.lastSuccessAtMs), acceptedAtMs(one.connectionId)];
    return [
      scopeKey(one),
      {
        sensed_ms: latest(sensed),
        lag_ms: lags.includes(null) ? null : latest(lags),
        failing: streams.flatMap(([name, { failuresInARow }]) => (failuresInARow > 0 ? [name] : [])),
      },
    ] as const;
  });
  return { version: 1, at_ms: nowMs, connections: Object.fromEntries(lines) };
}

function latest(times: readonly (number | null)[]): number | null {
  return times.reduce((most, time) => (time === null ? most : Math.max(most ?? time, time)), null);
}

export interface PollReporterOptions {
  readonly table: Table<PollReport>;
  /** Of this process. */
  readonly id: string;
  readonly polls: () => readonly ConnectionPollHealth[];
  readonly acceptedAtMs: (connectionId: string) => number | null;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface PollReporter {
  health(): { readonly lastAtMs: number | null; readonly failuresInARow: number };
  close(): Promise<void>;
}

export function startPollReporter(options: PollReporterOptions): PollReporter {
  const { table, id, logger, clock } = options;
  const stop = new AbortController();
  const state: { lastAtMs: number | null; failuresInARow: number } = { lastAtMs: null, failuresInARow: 0 };

  async function report(): Promise<void> {
    const nowMs = clock.nowMs();
    const now = reportOf(options.polls(), options.acceptedAtMs, nowMs);
    await table.update(id, () => now);
    const forgotten = table.list().filter(([, { at_ms }]) => nowMs - at_ms >= FORGOTTEN_MS);
    for (const [key] of forgotten) await table.update(key, () => null);
  }

  const running = (async () => {
    for (let waitMs = FIRST_MS; ; waitMs = REPORT_EVERY_MS) {
      await clock.sleep(waitMs, stop.signal);
      if (stop.signal.aborted) return;
      try {
        await report();
        Object.assign(state, { lastAtMs: clock.nowMs(), failuresInARow: 0 });
      } catch (err) {
        state.failuresInARow += 1;
        logger.warn(
          { event: 'poll.untold', err, ...state },
          'how the polls stand could not be told to other processes',
        );
      }
    }
  })();
  return {
    health: () => ({ ...state }),
    close: async () => {
      stop.abort();
      await running;
    },
  };
}
