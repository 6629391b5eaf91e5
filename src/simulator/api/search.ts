/** Search, whatever its address says, over several kinds of object; and its archive for what is older than the horizon. */
import { snapshotOf } from '../model/event.ts';
import type { Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import { parseQuery } from '../search/query.ts';
import { showCustomer } from './customers.ts';
import { linksOf, pageAsked } from './paging.ts';
import { type ApiAnswer, type ApiRequest, badParameter, type Route } from './route.ts';

function search(request: ApiRequest, archive: boolean): ApiAnswer {
  const { org, body, query: parameters, nowMs } = request;
  const { maxPages, maxPageSize } = org.search.settings;
  const { page, pageSize } = pageAsked(request, maxPageSize);
  const sortByAny = org.search.settings.sorting !== 'refused';
  const query = parseQuery(body, { archive, sortByAny });
  if (page > maxPages) throw badParameter(`page must be at most ${maxPages}`, 'page');
  const { total, items } = org.search.search(query, { nowMs, archive, page, pageSize });
  const totalPages = Math.max(1, Math.ceil(total / pageSize));
  const lastPage = Math.min(maxPages, totalPages);
  const links = linksOf(request, { page, pageSize, lastPage });
  const show = parameters['idsOnly'] === 'true' ? idOf : (item: Resource) => shown(org, item);
  return {
    status: 200,
    body: {
      meta: { pageSize, page, total, totalPages, aggregations: {} },
      data: items.map(show),
      links: { ...links, last: linksOf(request, { page: lastPage, pageSize, lastPage }).self },
    },
  };
}

const idOf = ({ type, id }: Resource): unknown => ({ type, id });

function shown(org: Org, item: Resource): unknown {
  return item.type === 'customer' ? showCustomer(org, item) : snapshotOf(item);
}

export const searchRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/customers/search',
    isSearch: true,
    handle: (request) => search(request, false),
  },
  {
    method: 'POST',
    path: '/v1/customers/archive/search',
    isSearch: true,
    handle: (request) => search(request, true),
  },
];
