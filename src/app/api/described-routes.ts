/** The routes as they are declared, for documents: made without ports, so that none of their handlers may be called. */
import { openData } from '../../api/data/index.ts';
import { apiRoutes } from '../../api/index.ts';
import type { Route } from '../../api/route.ts';

export function describedRoutes(): readonly Route[] {
  const nothing = {} as never;
  return apiRoutes(nothing, openData({ log: nothing } as never).routes);
}
