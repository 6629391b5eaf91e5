/** Users, teams and tags: lists, for clients that turn ids into names. */
import { snapshotOf } from '../model/event.ts';
import type { Store } from '../model/store.ts';
import type { Org } from '../org.ts';
import { pageOfResources } from './paging.ts';
import { notFound, type Route } from './route.ts';

/** Larger than elsewhere. */
const STAFF_PAGE_SIZE = 500;

function directory(collection: string, store: (org: Org) => Store): readonly Route[] {
  return [
    {
      method: 'GET',
      path: `/v1/${collection}`,
      handle: (request) => pageOfResources(request, store(request.org).values(), { maxPageSize: STAFF_PAGE_SIZE }),
    },
    {
      method: 'GET',
      path: `/v1/${collection}/:id`,
      handle: ({ org, params }) => {
        const resource = store(org).get(params['id'] as string);
        if (resource === undefined) throw notFound();
        return { status: 200, body: { data: snapshotOf(resource) } };
      },
    },
  ];
}

export const staffRoutes: readonly Route[] = [
  ...directory('users', (org) => org.organisation.users),
  ...directory('teams', (org) => org.organisation.teams),
  ...directory('tags', (org) => org.organisation.tags),
];
