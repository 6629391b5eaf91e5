/** Lists as the vendor pages them: `page` from 1, `pageSize` quietly capped, links relative. */

import { snapshotOf } from '../model/event.ts';
import type { Resource } from '../model/resource.ts';
import { type ApiAnswer, type ApiRequest, badParameter } from './route.ts';

const DEFAULT_PAGE_SIZE = 100;

export interface PageOptions {
  /** 100 for most, 500 for users and teams. */
  readonly maxPageSize?: number;
  /** Takes `sort=desc`, newest first; there is nothing else to sort a list by. */
  readonly sortable?: boolean;
}

export function pageOf<T>(
  request: Pick<ApiRequest, 'query' | 'url'>,
  items: readonly T[],
  show: (item: T) => unknown,
  options: PageOptions = {},
): ApiAnswer {
  const { page, pageSize } = pageAsked(request, options.maxPageSize ?? DEFAULT_PAGE_SIZE);
  const from = (page - 1) * pageSize;
  const total = items.length;
  const totalPages = Math.max(1, Math.ceil(total / pageSize));
  return {
    status: 200,
    body: {
      meta: { pageSize, page, total, totalPages },
      data: items.slice(from, from + pageSize).map(show),
      links: linksOf(request, { page, pageSize, lastPage: totalPages }),
    },
  };
}

/** A page size that is too large is quietly capped. */
export function pageAsked(
  { query }: Pick<ApiRequest, 'query'>,
  maxPageSize: number,
): { readonly page: number; readonly pageSize: number } {
  const pageSize = Math.min(positive(query['pageSize']) ?? DEFAULT_PAGE_SIZE, maxPageSize);
  return { page: positive(query['page']) ?? 1, pageSize };
}

interface Place {
  readonly page: number;
  readonly pageSize: number;
  readonly lastPage: number;
}

export function linksOf({ url: asked }: Pick<ApiRequest, 'url'>, { page, pageSize, lastPage }: Place) {
  const link = (to: number): string => {
    const url = new URL(asked, 'http://simulator');
    url.searchParams.set('page', String(to));
    url.searchParams.set('pageSize', String(pageSize));
    return url.pathname + url.search;
  };
  return {
    self: link(page),
    first: link(1),
    prev: page > 1 ? link(page - 1) : null,
    next: page < lastPage ? link(page + 1) : null,
  };
}

export function pageOfResources(request: ApiRequest, resources: Iterable<Resource>, options?: PageOptions): ApiAnswer {
  const items = [...resources];
  const { sort } = request.query;
  if (options?.sortable === true && sort !== undefined) {
    if (sort !== 'desc') throw badParameter('must be desc', 'sort');
    items.reverse();
  }
  return pageOf(request, items, snapshotOf, options);
}

/** One object. */
export function documentOf(resource: Resource, status = 200): ApiAnswer {
  return { status, body: { data: snapshotOf(resource) } };
}

function positive(text: string | undefined): number | null {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : null;
}
