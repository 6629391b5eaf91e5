/** Lists that come in pages: as many entries as were asked for, whatever a page holds. */
import { Option } from 'commander';
import { CliError, usageError } from './errors.ts';
import type { ApiClient, Query } from './http/client.ts';
import type { Output } from './terminal/output.ts';

export interface List<T> {
  readonly object: 'list';
  readonly data: readonly T[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

export interface PageOptions {
  readonly limit?: string;
  readonly cursor?: string;
}

const DEFAULT_LIMIT = 20;
/** The most that the API gives at once. */
const PAGE = 100;
const MOST = 10_000;

export const pageOptions = (): readonly Option[] => [
  new Option('--limit <n>', `at most so many (default: ${DEFAULT_LIMIT}, at most ${MOST})`),
  new Option('--cursor <cursor>', 'go on where an earlier list ended'),
];

export function parseCount(name: string, text: string, most: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > most) throw usageError(`${name} is a whole number from 1 to ${most}`);
  return count;
}

export async function fetchList<T>(
  api: ApiClient,
  path: string,
  query: Query,
  { limit, cursor }: PageOptions = {},
): Promise<List<T>> {
  const wanted = limit === undefined ? DEFAULT_LIMIT : parseCount('--limit', limit, MOST);
  const data: T[] = [];
  let next: string | null = cursor ?? null;
  do {
    const page: List<T> = await api.get(path, { ...query, limit: Math.min(PAGE, wanted - data.length), cursor: next });
    if (!Array.isArray(page?.data)) throw new CliError('not_the_api', 'the API sent something that is no list');
    data.push(...page.data);
    next = page.has_more === true ? (page.next_cursor ?? null) : null;
    if (page.data.length === 0) break;
  } while (next !== null && data.length < wanted);
  return { object: 'list', data, has_more: next !== null, next_cursor: next };
}

/** Everything there is, for lists that are short by nature. */
export function fetchAll<T>(api: ApiClient, path: string, query: Query = {}): Promise<List<T>> {
  return fetchList(api, path, query, { limit: String(MOST) });
}

/** On stderr, so that a table stays a table. */
export function noteMore({ next_cursor }: List<unknown>, out: Output): void {
  if (next_cursor !== null && !out.isJson) out.note(`there is more: --cursor ${next_cursor}`);
}
