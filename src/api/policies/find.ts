/** A policy named in a path. */
import { z } from 'zod';
import type { Policy } from '../../fibric/policy/versions.ts';
import { notFound } from '../errors.ts';
import type { CorePorts } from '../ports.ts';
import { unreadable } from './problems.ts';

/** Anything, so that a name that no policy can have is answered as one that none has. */
export const nameParams = z.object({ name: z.string() });

/** One that is there and not deleted. */
export function foundPolicy(ports: Pick<CorePorts, 'policies'>, tenantId: string, name: string): Policy {
  const one = ports.policies.set(tenantId).get(name);
  if (one !== undefined && one.status !== 'deleted') return one;
  throw unreadable(ports, tenantId, name) ?? notFound('policy');
}
