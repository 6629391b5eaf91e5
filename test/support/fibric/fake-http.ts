/** Small things of HTTP that the API of the tests needs. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Json } from './fixtures.ts';

export function parseHeaders(headers: IncomingHttpHeaders): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}

/** A page of a list; the cursor is the place. Out of range is refused, never clamped. */
export function pageOf(all: readonly Json[], query: Readonly<Record<string, string>>): Json | null {
  const limit = Number(query['limit'] ?? 20);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) return null;
  const from = Number((query['cursor'] ?? 'cur_0').slice('cur_'.length));
  const data = all.slice(from, from + limit);
  const hasMore = from + limit < all.length;
  return { object: 'list', data, has_more: hasMore, next_cursor: hasMore ? `cur_${from + limit}` : null };
}

/** `*` is exactly one segment. */
export function matchesGlob(glob: string, type: string): boolean {
  const want = glob.split('.');
  const have = type.split('.');
  return want.length === have.length && want.every((segment, index) => segment === '*' || segment === have[index]);
}
