/**
 * Cursors as records of the owned topic: `<tenant>/<connection>/<stream>` → JSON, and beside it the ring of what was seen,
 * `…/seen-<slot>` (seen.ts). Fields may be added, never renamed or given another meaning.
 */
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import type { BackfillState } from './backfill-plan.ts';
import type { LiveState } from './plan.ts';
import type { SeenRange } from './seen.ts';
import type { Place, Walk } from './walk.ts';

export interface CursorScope {
  readonly tenantId: string;
  readonly connectionId: string;
}

/** What decides who owns a connection, and starts all its keys. */
export const scopeKey = ({ tenantId, connectionId }: CursorScope): string => `${tenantId}/${connectionId}`;

export const cursorKey = (scope: CursorScope, stream: string): string => `${scopeKey(scope)}/${stream}`;

export const seenKey = (cursor: string, slot: number): string => `${cursor}/seen-${slot}`;

const BACKFILL = 'backfill-';

/** The key's last part of a backfill. */
export const backfillName = (stream: string): string => `${BACKFILL}${stream}`;

/** Undefined for whatever is no backfill's cursor. */
export function parseBackfillKey(key: string): (CursorScope & { readonly stream: string }) | undefined {
  const [tenantId = '', connectionId = '', name = '', ...rest] = key.split('/');
  if (rest.length > 0 || !name.startsWith(BACKFILL)) return undefined;
  return { tenantId, connectionId, stream: name.slice(BACKFILL.length) };
}

const ms = z.number();
const placeSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('range'), from_ms: ms, page: z.int().min(1) }),
  z.object({ kind: z.literal('head') }),
  z.object({ kind: z.literal('tie'), at_ms: ms, created_from_ms: ms.nullable() }),
  z.object({ kind: z.literal('pages'), at_ms: ms, created_ms: ms.nullable() }),
]);
const walkSchema = z.object({ from_ms: ms, to_ms: ms.nullable(), max_ms: ms.nullable(), place: placeSchema });
const seenSchema = z.object({ first: z.int().min(0), next: z.int().min(0) });

const liveSchema = z.object({
  version: z.literal(1),
  started_at_ms: ms,
  cursor_ms: ms,
  walk: walkSchema.nullable(),
  cap_ms: ms.nullable(),
  walk_started_at_ms: ms,
  seen: seenSchema,
});

const backfillSchema = z.object({
  version: z.literal(1),
  started_at_ms: ms,
  covered_from_ms: ms.nullable(),
  part: z
    .object({
      from_ms: ms,
      to_ms: ms,
      phase: z.enum(['standard', 'archive']),
      archive_to_ms: ms.nullable(),
      walk: walkSchema,
    })
    .nullable(),
  rows_done: z.number(),
  rows_left: z.number().nullable(),
  rows_per_second: z.number().nullable(),
  restart_id: z.string().nullable(),
  state: z.enum(['off', 'running', 'paused', 'done']),
  updated_at_ms: ms,
  seen: seenSchema,
});

export interface Stored<S> {
  readonly state: S;
  readonly seen: SeenRange;
}

export function encodeLive({ state, seen }: Stored<LiveState>): Buffer {
  const record: z.input<typeof liveSchema> = {
    version: 1,
    started_at_ms: state.startedAtMs,
    cursor_ms: state.cursorMs,
    walk: state.walk === null ? null : plainWalk(state.walk),
    cap_ms: state.capMs,
    walk_started_at_ms: state.walkStartedAtMs,
    seen,
  };
  return Buffer.from(JSON.stringify(record));
}

export function decodeLive(key: string, value: Buffer): Stored<LiveState> {
  const record = parse(liveSchema, key, value);
  return {
    seen: record.seen,
    state: {
      startedAtMs: record.started_at_ms,
      cursorMs: record.cursor_ms,
      walk: record.walk === null ? null : walkOf(record.walk),
      capMs: record.cap_ms,
      walkStartedAtMs: record.walk_started_at_ms,
    },
  };
}

export function encodeBackfill({ state, seen }: Stored<BackfillState>): Buffer {
  const { part } = state;
  const record: z.input<typeof backfillSchema> = {
    version: 1,
    started_at_ms: state.startedAtMs,
    covered_from_ms: state.coveredFromMs,
    part:
      part === null
        ? null
        : {
            from_ms: part.fromMs,
            to_ms: part.toMs,
            phase: part.phase,
            archive_to_ms: part.archiveToMs,
            walk: plainWalk(part.walk),
          },
    rows_done: state.rowsDone,
    rows_left: state.rowsLeft,
    rows_per_second: state.rowsPerSecond,
    restart_id: state.restartId,
    state: state.status,
    updated_at_ms: state.updatedAtMs,
    seen,
  };
  return Buffer.from(JSON.stringify(record));
}

export function decodeBackfill(key: string, value: Buffer): Stored<BackfillState> {
  const record = parse(backfillSchema, key, value);
  const { part } = record;
  return {
    seen: record.seen,
    state: {
      startedAtMs: record.started_at_ms,
      coveredFromMs: record.covered_from_ms,
      part:
        part === null
          ? null
          : {
              fromMs: part.from_ms,
              toMs: part.to_ms,
              phase: part.phase,
              archiveToMs: part.archive_to_ms,
              walk: walkOf(part.walk),
            },
      rowsDone: record.rows_done,
      rowsLeft: record.rows_left,
      rowsPerSecond: record.rows_per_second,
      restartId: record.restart_id,
      status: record.state,
      updatedAtMs: record.updated_at_ms,
    },
  };
}

/** A cursor that cannot be read is not begun anew: that would read the store again, or skip. */
function parse<T>(schema: z.ZodType<T>, key: string, value: Buffer): T {
  try {
    return schema.parse(JSON.parse(value.toString()));
  } catch (error) {
    throw new CodedError('cursor_unreadable', `The cursor ${key} cannot be read`, { key }, { cause: error });
  }
}

type PlainWalk = z.infer<typeof walkSchema>;

function plainWalk({ fromMs, toMs, maxMs, place }: Walk): PlainWalk {
  return { from_ms: fromMs, to_ms: toMs, max_ms: maxMs, place: plainPlace(place) };
}

/** Of a group that is counted through only where it is: see walk.ts. */
function plainPlace(place: Place): PlainWalk['place'] {
  if (place.kind === 'range') return { kind: 'range', from_ms: place.fromMs, page: place.page };
  if (place.kind === 'tie') return { kind: 'tie', at_ms: place.atMs, created_from_ms: place.createdFromMs };
  return place.kind === 'head' ? place : { kind: 'pages', at_ms: place.atMs, created_ms: place.createdMs };
}

function walkOf({ from_ms, to_ms, max_ms, place }: PlainWalk): Walk {
  return { fromMs: from_ms, toMs: to_ms, maxMs: max_ms, place: placeOf(place) };
}

function placeOf(place: PlainWalk['place']): Place {
  if (place.kind === 'range') return { kind: 'range', fromMs: place.from_ms, page: place.page };
  if (place.kind === 'tie') return { kind: 'tie', atMs: place.at_ms, createdFromMs: place.created_from_ms };
  if (place.kind === 'head') return place;
  return {
    kind: 'pages',
    atMs: place.at_ms,
    createdMs: place.created_ms,
    page: 1,
    pass: 1,
    ids: new Set(),
    total: null,
  };
}
