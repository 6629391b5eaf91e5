/** How well the search index keeps up, and what it makes of a sort. */
import { z } from 'zod';

const YEAR_MS = 365 * 86_400_000;

export const searchSettingsSchema = z.strictObject({
  /** A revision can be found this long after it was made; each draws its own, so they appear out of order. */
  lagMs: z
    .strictObject({ min: z.number().min(0), max: z.number().min(0) })
    .refine(({ min, max }) => min <= max, 'min must not exceed max')
    .default({ min: 0, max: 0 }),
  /** A fraction takes longer by this much. */
  stragglers: z
    .strictObject({ fraction: z.number().min(0).max(1), lagMs: z.number().min(0) })
    .nullable()
    .default(null),
  /** How probably a search shows the copy before the newest it knows, per object. */
  stale: z.number().min(0).max(1).default(0),
  /** The order of objects updated in the same millisecond: by id, or another in every search. */
  ties: z.enum(['stable', 'shuffled']).default('stable'),
  /** Sorting by attributes not of customers: honoured, refused with 400 or silently ignored. */
  sorting: z.enum(['honoured', 'refused', 'ignored']).default('honoured'),
  /** Nobody gets beyond this page, however much there is. */
  maxPages: z.int().min(1).max(1000).default(100),
  /** A larger `pageSize` is quietly capped. */
  maxPageSize: z.int().min(1).max(500).default(500),
  /** Older ones are found by the archive search only. */
  horizonMs: z
    .number()
    .positive()
    .default(2 * YEAR_MS),
});

export type SearchSettings = z.infer<typeof searchSettingsSchema>;
export type SearchOptions = z.input<typeof searchSettingsSchema>;
