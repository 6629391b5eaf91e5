/** Field types the bodies of several resources share. */
import { z } from 'zod';

export const objectId = z.string().regex(/^[0-9a-f]{24}$/, 'must be an object id');
export const externalId = z.string().max(256);
export const name = z.string().max(256);
export const objectIds = (max: number): z.ZodArray<typeof objectId> => z.array(objectId).max(max);
/** Any attributes; the simulator knows no definitions of custom attributes. */
export const custom = z.record(z.string(), z.unknown());
export const direction = z.enum(['in', 'out']);
export const time = z.iso.datetime();
