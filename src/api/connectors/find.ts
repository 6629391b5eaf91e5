/** A connector named in a path, by id or name. */
import { z } from 'zod';
import { notFound } from '../errors.ts';
import { connectionRef } from '../names.ts';
import type { CorePorts, Installed } from '../ports.ts';

export const refParams = z.object({ ref: connectionRef });

export type Find = (tenantId: string, ref: string) => Installed;

/** Kustomer may be asked several things, one after another. */
export const ASKING_MS = 60_000;

/** Of the caller's tenant; throws not_found in the words that another tenant's gets too. */
export function foundBy({ connectors }: Pick<CorePorts, 'connectors'>): Find {
  return (tenantId, ref) => {
    const one = connectors.find(tenantId, ref);
    if (one === undefined) throw notFound('connector');
    return one;
  };
}
