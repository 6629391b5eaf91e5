/**
 * Where a reader stands in a topic: the next offset of each partition, by its number. What a cursor holds. Pure.
 *
 * As text it is the offsets in base 36: with the 64 partitions of a large installation still well below the longest cursor.
 */
import { z } from 'zod';

export type Positions = readonly number[];

const MAX_PARTITIONS = 1024;
const OFFSETS = /^[0-9a-z]{1,11}(?:\.[0-9a-z]{1,11})*$/;

export function positionsText(positions: Positions): string {
  return positions.map((offset) => offset.toString(36)).join('.');
}

/** Of one topic; a cursor made before the topic grew has fewer, and one of another topic may have more. */
export const positionsSchema = z
  .string()
  .regex(OFFSETS)
  .transform((text) => text.split('.').map((offset) => Number.parseInt(offset, 36)))
  .refine((offsets) => offsets.length <= MAX_PARTITIONS && offsets.every(Number.isSafeInteger));
