/**
 * Lists: a page, and an opaque cursor for the next one.
 *
 * A cursor is a place in one list of one tenant under certain filters. It is bound to those three, so that a client that
 * changes a filter half-way hears of it instead of reading a list nobody meant. It holds no secret and grants nothing: the
 * tenant of every read is the token's.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ApiError } from './errors.ts';
import { integer } from './query.ts';

export const MAX_LIMIT = 100;
export const DEFAULT_LIMIT = 20;
const MAX_CURSOR_LENGTH = 2048;

/** The query parameters of every list; spread them into the route's `query`. */
export const pageQuery = {
  limit: integer(1, MAX_LIMIT).default(DEFAULT_LIMIT).describe('Entries of one page.'),
  cursor: z.string().max(MAX_CURSOR_LENGTH).optional().describe('`next_cursor` of the page before.'),
};

export interface Page<T> {
  readonly object: 'list';
  readonly data: T[];
  readonly has_more: boolean;
  /** Null exactly when there is no more. */
  readonly next_cursor: string | null;
}

export function listOf<T extends z.ZodType>(item: T) {
  return z.strictObject({
    object: z.literal('list'),
    data: z.array(item),
    has_more: z.boolean(),
    next_cursor: z.string().nullable(),
  });
}

/** What a cursor is bound to. */
export interface CursorBinding {
  /** Id of the route. */
  readonly route: string;
  readonly tenantId: string;
  /** Every query parameter but `limit` and `cursor`; undefined counts as not given. */
  readonly filters: Readonly<Record<string, unknown>>;
}

export function encodeCursor(binding: CursorBinding, position: unknown): string {
  return `cur_${Buffer.from(JSON.stringify([bindingHash(binding), position])).toString('base64url')}`;
}

/** Throws `invalid_cursor` for what is not a cursor of this list. */
export function decodeCursor<T>(binding: CursorBinding, cursor: string, position: z.ZodType<T>): T {
  const [hash, at] = unpack(cursor);
  if (hash !== bindingHash(binding)) {
    throw new ApiError(
      'invalid_cursor',
      'the cursor is not of this list with these filters; begin again without a cursor',
    );
  }
  const parsed = position.safeParse(at);
  if (!parsed.success) throw new ApiError('invalid_cursor', 'the cursor is damaged; begin again without a cursor');
  return parsed.data;
}

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface PaginateOptions<T> extends PageRequest {
  readonly binding: CursorBinding;
  /** Unique, and the order of the list: descending unless said otherwise. */
  readonly keyOf: (item: T) => string;
  readonly order?: 'ascending' | 'descending';
}

/** A page of what is all in memory. Entries that come or go between two pages move no other entry over their border. */
export function paginate<T>(items: readonly T[], options: PaginateOptions<T>): Page<T> {
  const { limit, cursor, binding, keyOf, order = 'descending' } = options;
  const sign = order === 'ascending' ? 1 : -1;
  const compare = (a: string, b: string): number => (a === b ? 0 : a < b ? -sign : sign);
  const after = cursor === undefined ? null : decodeCursor(binding, cursor, z.string());
  const rest = items
    .map((item) => [keyOf(item), item] as const)
    .filter(([key]) => after === null || compare(after, key) < 0)
    .sort(([a], [b]) => compare(a, b));
  const data = rest.slice(0, limit);
  const last = data.at(-1);
  const more = rest.length > data.length && last !== undefined;
  return {
    object: 'list',
    data: data.map(([, item]) => item),
    has_more: more,
    next_cursor: more ? encodeCursor(binding, last[0]) : null,
  };
}

/** A sort key: newest first when descending, and unique by the id. */
export function timeKey(timeMs: number, id: string): string {
  return `${String(Math.trunc(timeMs)).padStart(15, '0')}/${id}`;
}

function unpack(cursor: string): readonly [unknown, unknown] {
  try {
    const packed: unknown = JSON.parse(Buffer.from(cursor.replace(/^cur_/, ''), 'base64url').toString('utf8'));
    if (cursor.startsWith('cur_') && Array.isArray(packed)) return [packed[0], packed[1]];
  } catch {
    // said below
  }
  throw new ApiError('invalid_cursor', 'this is no cursor; begin again without one');
}

function bindingHash({ route, tenantId, filters }: CursorBinding): string {
  const given = Object.entries(filters)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([route, tenantId, given]))
    .digest('base64url')
    .slice(0, 12);
}
