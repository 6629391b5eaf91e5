/** Kustomer's answers, read loosely: what identifies an object must be there, everything else is as it is. */
import { z } from 'zod';
import { isObject, type JsonObject, textOrNull } from '../json.ts';

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

const number = z.number().nullish().catch(null);
const pageSchema = z.looseObject({
  data: z.array(z.unknown()),
  meta: z.looseObject({ page: number, pageSize: number, total: number, totalPages: number }).catch({}),
  links: z.looseObject({ next: z.string().min(1).nullish().catch(null) }).catch({}),
});

/** By hand: every call comes by here, and a schema would copy the whole object. */
export function readDocument(body: unknown): Resource | undefined {
  return isObject(body) ? resourceIn(body['data']) : undefined;
}

export function readPage(body: unknown): Page | undefined {
  const parsed = pageSchema.safeParse(body).data;
  if (parsed === undefined) return undefined;
  const items = parsed.data.flatMap((item) => resourceIn(item) ?? []);
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

function resourceIn(value: unknown): Resource | undefined {
  const isOne = isObject(value) && textOrNull(value['type']) !== null && textOrNull(value['id']) !== null;
  return isOne ? (value as Resource) : undefined;
}
