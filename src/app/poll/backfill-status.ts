/** What `cn-kustomer backfill status` shows: the cursors as they are committed, beside what is wanted. Pure. */
import type { Connection } from '../../fibric/connection.ts';
import { decodeBackfill, parseBackfillKey, scopeKey } from '../../ingest/poll/cursor-record.ts';
import type { BackfillOrder } from '../../ingest/poll/ports.ts';
import { BACKFILL_STREAMS } from '../../ingest/poll/streams.ts';
import { boundOf } from '../../ingest/poll/walk.ts';
import { alignColumns, printable } from '../text-table.ts';
import { backfillTotal, etaSeconds } from './backfill-figures.ts';

export interface BackfillLine {
  readonly tenant: string;
  readonly connection: string;
  readonly stream: string;
  /** `waiting`: wanted, and no process has begun it. */
  readonly status: 'waiting' | 'off' | 'running' | 'paused' | 'done' | 'unreadable';
  /** What was ordered and not yet taken up; null when nothing is open. */
  readonly ordered: 'pause' | 'resume' | 'restart' | null;
  readonly since: string | null;
  /** Everything from here on is read. */
  readonly covered_from: string | null;
  /** Where the part under way stands. */
  readonly read_up_to: string | null;
  readonly archive: boolean;
  readonly rows_done: number;
  readonly rows_left: number | null;
  readonly rows_total: number | null;
  readonly rows_per_second: number | null;
  readonly eta_seconds: number | null;
  readonly updated_at: string | null;
}

export interface StatusInput {
  readonly connections: readonly Connection[];
  readonly cursors: ReadonlyMap<string, Buffer>;
  readonly orderOf: (scope: { readonly tenantId: string; readonly connectionId: string }) => BackfillOrder;
}

/** A line per stream of each connection that wants its history, or once wanted it. */
export function backfillLines({ connections, cursors, orderOf }: StatusInput): readonly BackfillLine[] {
  return connections.flatMap((connection) =>
    BACKFILL_STREAMS.flatMap((stream) => {
      const found = [...cursors].find(([key]) => {
        const parsed = parseBackfillKey(key);
        return parsed !== undefined && scopeKey(parsed) === scopeKey(connection) && parsed.stream === stream;
      });
      const { backfillSinceMs } = connection.settings;
      if (found === undefined && backfillSinceMs === null) return [];
      const line = lineOf(connection, stream, orderOf(connection), found);
      return line.status === 'off' && line.rows_done === 0 ? [] : [line];
    }),
  );
}

function lineOf(
  connection: Connection,
  stream: string,
  order: BackfillOrder,
  found: readonly [string, Buffer] | undefined,
): BackfillLine {
  const { tenantId, connectionId, settings } = connection;
  const nothing = {
    ...{ tenant: tenantId, connection: connectionId, stream, since: iso(settings.backfillSinceMs) },
    ...{ covered_from: null, read_up_to: null, archive: false, rows_done: 0, rows_left: null, rows_total: null },
    ...{ rows_per_second: null, eta_seconds: null, updated_at: null },
  };
  if (found === undefined) return { ...nothing, status: 'waiting', ordered: order.paused ? 'pause' : null };
  try {
    const { state } = decodeBackfill(...(found as [string, Buffer]));
    const ordered =
      order.restartId !== null && order.restartId !== state.restartId
        ? 'restart'
        : order.paused && state.status === 'running'
          ? 'pause'
          : !order.paused && state.status === 'paused'
            ? 'resume'
            : null;
    return {
      ...nothing,
      status: state.status,
      ordered,
      covered_from: iso(state.coveredFromMs),
      read_up_to: state.part === null ? null : iso(boundOf(state.part.walk)),
      archive: state.part?.phase === 'archive',
      rows_done: state.rowsDone,
      rows_left: state.rowsLeft,
      rows_total: backfillTotal(state),
      rows_per_second: state.rowsPerSecond,
      eta_seconds: etaSeconds(state),
      updated_at: iso(state.updatedAtMs),
    };
  } catch {
    return { ...nothing, status: 'unreadable', ordered: null };
  }
}

export function backfillTable(lines: readonly BackfillLine[]): string {
  const head = ['CONNECTION', 'STREAM', 'STATUS', 'ORDERED', 'SINCE', 'READ UP TO', 'ROWS', 'OF', 'PER SECOND', 'ETA'];
  const rows = lines.map((line) =>
    [
      line.connection,
      line.stream,
      line.archive ? `${line.status} (archive)` : line.status,
      line.ordered ?? '-',
      line.since ?? '-',
      line.read_up_to ?? '-',
      String(line.rows_done),
      line.rows_total === null ? '-' : String(line.rows_total),
      line.rows_per_second === null ? '-' : String(line.rows_per_second),
      line.eta_seconds === null ? '-' : span(line.eta_seconds),
    ].map(printable),
  );
  return alignColumns([head, ...rows]).join('\n');
}

function span(seconds: number): string {
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes}m` : `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
