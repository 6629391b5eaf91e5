/**
 * What a tenant has in one topic, as the API lists it: pages, single entries, and where a stream begins. What events and
 * receipts have in common; what they are is in events.ts and receipts.ts.
 */
import { hasCode } from '../../base/errors.ts';
import type { LogRecord } from '../../kafka/port.ts';
import { ApiError } from '../errors.ts';
import { type CursorBinding, decodeCursor, encodeCursor, type Page } from '../pagination.ts';
import type { DataObserver, TopicPort } from './ports.ts';
import { type Positions, positionsSchema, positionsText } from './topic/positions.ts';
import type { Bounds, TopicView } from './topic/view.ts';
import type { Lease, TopicViews } from './topic/views.ts';
import { newestFirst, type WalkBounds } from './topic/walk.ts';

export interface Filter<T> {
  /** Texts that a record has somewhere if it matches, each in one of several spellings: looked for before it is decoded. */
  readonly needles: readonly (readonly Buffer[])[];
  /** By its headers; undecided = true. */
  readonly mayMatch: (record: LogRecord) => boolean;
  readonly matches: (entry: T) => boolean;
}

export interface ShelfOptions<T, R> {
  /** Of the list; streams have cursors of their own. */
  readonly route: string;
  readonly port: TopicPort<T>;
  readonly views: TopicViews;
  readonly observer: DataObserver;
  /** Looked at for a single entry, from the newest on; default FIND_RECORDS. */
  readonly findRecords?: number;
  /** An entry as the API shows it. */
  readonly rowOf: (tenantId: string, entry: T, record: LogRecord, cursor: string) => R;
}

export interface ListRequest<T> {
  readonly tenantId: string;
  readonly limit: number;
  readonly cursor: string | undefined;
  readonly sinceMs: number | undefined;
  readonly filter: Filter<T>;
  /** Every query parameter but `limit` and `cursor`. */
  readonly filters: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** Of one request. */
const MAX_BYTES = 8_388_608;
const LIST_BOUNDS: WalkBounds = { maxRecords: 50_000, maxBytes: MAX_BYTES };
const LIST_MS = 8_000;
/** Of one search for a single entry: some hundred megabytes of receipts at most. */
const FIND_RECORDS = 200_000;
const FIND_MS = 15_000;

export class Shelf<T, R> {
  readonly #options: ShelfOptions<T, R>;

  constructor(options: ShelfOptions<T, R>) {
    this.#options = options;
  }

  get port(): TopicPort<T> {
    return this.#options.port;
  }

  /** How many of the newest `find` looks at. */
  get findRecords(): number {
    return this.#options.findRecords ?? FIND_RECORDS;
  }

  lease(tenantId: string): Promise<Lease | undefined> {
    return this.#options.views.lease(this.#options.port.topic(tenantId));
  }

  async list(request: ListRequest<T>): Promise<Page<R>> {
    const { tenantId, cursor, filters } = request;
    const binding: CursorBinding = { route: this.#options.route, tenantId, filters };
    const at = cursor === undefined ? undefined : decodeCursor(binding, cursor, positionsSchema);
    const lease = await this.lease(tenantId);
    if (lease === undefined) return { object: 'list', data: [], has_more: false, next_cursor: null };
    try {
      return await this.#page(lease.view, request, binding, at);
    } finally {
      lease.release();
    }
  }

  async #page(view: TopicView, request: ListRequest<T>, binding: CursorBinding, at: Positions | undefined) {
    const { tenantId, limit, sinceMs, filter } = request;
    const bounds = await view.bounds();
    const from = at === undefined ? bounds.ends : await reached(view, at, bounds);
    const since = sinceMs === undefined ? null : await view.since(sinceMs);
    const { rows, next } = await newestFirst({
      source: view,
      from,
      floors: bounds.lows.map((low, partition) => Math.max(low, since?.[partition] ?? 0)),
      limit,
      // The broker answers with the first offset that is not older, and a few behind it may be.
      mayMatch: (record) => record.timestampMs >= (sinceMs ?? 0) && mayMatch(filter, record),
      read: async (record) => {
        const entry = await this.decode(record);
        return entry !== undefined && filter.matches(entry) ? { entry, record } : undefined;
      },
      bounds: LIST_BOUNDS,
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(LIST_MS)]),
    });
    const data = rows.map(({ item: { entry, record }, after }) =>
      this.row(tenantId, entry, record, this.streamCursor(tenantId, after)),
    );
    return {
      object: 'list' as const,
      data,
      has_more: next !== null,
      next_cursor: next === null ? null : encodeCursor(binding, positionsText(next)),
    };
  }

  /** The newest entry that matches. Null = there is none; undefined = not as far back as was looked. */
  async find(tenantId: string, filter: Filter<T>, signal: AbortSignal): Promise<R | null | undefined> {
    const lease = await this.lease(tenantId);
    if (lease === undefined) return null;
    try {
      const { lows, ends } = await lease.view.bounds();
      const { rows, next } = await newestFirst({
        source: lease.view,
        from: ends,
        floors: lows,
        limit: 1,
        mayMatch: (record) => mayMatch(filter, record),
        read: async (record) => {
          const entry = await this.decode(record);
          return entry !== undefined && filter.matches(entry) ? { entry, record } : undefined;
        },
        bounds: { maxRecords: this.findRecords, maxBytes: MAX_BYTES },
        signal: AbortSignal.any([signal, AbortSignal.timeout(FIND_MS)]),
      });
      const [found] = rows;
      if (found !== undefined) {
        const { entry, record } = found.item;
        return this.row(tenantId, entry, record, this.streamCursor(tenantId, found.after));
      }
      return next === null ? null : undefined;
    } finally {
      lease.release();
    }
  }

  /** Undefined for one that cannot be read: told, and left out. */
  async decode(record: LogRecord): Promise<T | undefined> {
    if (record.value === null) return undefined;
    try {
      return await this.#options.port.decode(record.value);
    } catch (error) {
      if (!hasCode(error, 'message_undecodable', 'schema_unknown')) throw error;
      const { topic, partition, offset } = record;
      this.#options.observer.undecodable({ topic, partition, offset, error });
      return undefined;
    }
  }

  row(tenantId: string, entry: T, record: LogRecord, cursor: string): R {
    return this.#options.rowOf(tenantId, entry, record, cursor);
  }

  /** A place in the tenant's stream, whatever it is filtered by. */
  streamCursor(tenantId: string, positions: Positions): string {
    return encodeCursor(this.#streamBinding(tenantId), positionsText(positions));
  }

  /** Throws `invalid_cursor`. */
  readStreamCursor(tenantId: string, cursor: string): Positions {
    return decodeCursor(this.#streamBinding(tenantId), cursor, positionsSchema);
  }

  #streamBinding(tenantId: string): CursorBinding {
    return { route: `${this.#options.route}.stream`, tenantId, filters: {} };
  }
}

export function mayMatch<T>({ needles, mayMatch: byHeaders }: Filter<T>, record: LogRecord): boolean {
  const { value } = record;
  if (value === null || !byHeaders(record)) return false;
  return needles.every((spellings) => spellings.some((needle) => value.includes(needle)));
}

/** Another process may have given the cursor, and have been a little ahead of this one. */
async function reached(view: TopicView, at: Positions, { highs }: Bounds): Promise<Positions> {
  if (at.length > highs.length) throw new ApiError('invalid_cursor', 'the topic is another now; begin again');
  const within = at.map((offset, partition) => Math.min(offset, highs[partition] as number));
  await view.reach(within);
  return within;
}
