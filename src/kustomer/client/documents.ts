/** Kustomer's answers, read loosely: what identifies an object must be there, everything else is as it is. */
import { z } from 'zod';
import type { JsonObject } from '../json.ts';

/** An object of Kustomer's as it came, whatever else stands in it. */
export interface Resource extends JsonObject {
  readonly type: string;
  readonly id: string;
}

export interface Page {
  readonly items: readonly Resource[];
  /** Entries without a type or id: counted, never guessed at. */
  readonly unreadable: number;
  readonly page: number | null;
  readonly pageSize: number | null;
  readonly total: number | null;
  readonly totalPages: number | null;
  /** Follow it with `nextPage` until null; a short page is not the end. */
  readonly next: string | null;
}

const resourceSchema = z.looseObject({ type: z.string().min(1), id: z.string().min(1) });
const documentSchema = z.looseObject({ data: resourceSchema });
const number = z.number().nullish().catch(null);
const pageSchema = z.looseObject({
  data: z.array(z.unknown()),
  meta: z.looseObject({ page: number, pageSize: number, total: number, totalPages: number }).catch({}),
  links: z.looseObject({ next: z.string().min(1).nullish().catch(null) }).catch({}),
});

export function readDocument(body: unknown): Resource | undefined {
  return documentSchema.safeParse(body).data?.data;
}

export function readPage(body: unknown): Page | undefined {
  const parsed = pageSchema.safeParse(body).data;
  if (parsed === undefined) return undefined;
  const items = parsed.data.flatMap((item) => resourceSchema.safeParse(item).data ?? []);
  const { page = null, pageSize = null, total = null, totalPages = null } = parsed.meta;
  return {
    items,
    unreadable: parsed.data.length - items.length,
    page,
    pageSize,
    total,
    totalPages,
    next: parsed.links.next ?? null,
  };
}
