/** Lists as the vendor pages them: `page` from 1, `pageSize` quietly capped, links relative. */

import { snapshotOf } from '../model/event.ts';
import type { Resource } from '../model/resource.ts';
import type { ApiAnswer, ApiRequest } from './route.ts';

const DEFAULT_PAGE_SIZE = 100;

export interface PageOptions {
  /** 100 for most, 500 for users and teams. */
  readonly maxPageSize?: number;
}

export function pageOf<T>(
  request: Pick<ApiRequest, 'query' | 'url'>,
  items: readonly T[],
  show: (item: T) => unknown,
  options: PageOptions = {},
): ApiAnswer {
  const pageSize = Math.min(
    positive(request.query['pageSize']) ?? DEFAULT_PAGE_SIZE,
    options.maxPageSize ?? DEFAULT_PAGE_SIZE,
  );
  const page = positive(request.query['page']) ?? 1;
  const from = (page - 1) * pageSize;
  const totalPages = Math.max(1, Math.ceil(items.length / pageSize));
  const link = (to: number): string => {
    const url = new URL(request.url, 'http://simulator');
    url.searchParams.set('page', String(to));
    url.searchParams.set('pageSize', String(pageSize));
    return url.pathname + url.search;
  };
  return {
    status: 200,
    body: {
      meta: { pageSize, page, total: items.length, totalPages },
      data: items.slice(from, from + pageSize).map(show),
      links: {
        self: link(page),
        first: link(1),
        prev: page > 1 ? link(page - 1) : null,
        next: page < totalPages ? link(page + 1) : null,
      },
    },
  };
}

export function pageOfResources(request: ApiRequest, resources: Iterable<Resource>, options?: PageOptions): ApiAnswer {
  return pageOf(request, [...resources], snapshotOf, options);
}

/** One object. */
export function documentOf(resource: Resource, status = 200): ApiAnswer {
  return { status, body: { data: snapshotOf(resource) } };
}

function positive(text: string | undefined): number | null {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : null;
}
