/** Policies: applied, checked, read with their versions, tried out. What no policy allows is blocked. */
import type { CorePorts } from '../ports.ts';
import type { Route } from '../route.ts';
import { changeRoutes } from './change.ts';
import { lookRoutes } from './look.ts';
import { tryRoutes } from './try.ts';

export function policyRoutes(ports: Pick<CorePorts, 'policies' | 'grants' | 'connectors'>): readonly Route[] {
  return [...changeRoutes(ports), ...tryRoutes(ports), ...lookRoutes(ports)];
}
