/**
 * Reading a customer's orders: which pages, which of the orders, and what a failure means. The decisions are pure; the
 * reading itself is one function at the end.
 */
import type { KustomerClient } from '../../kustomer/client/client.ts';
import type { Page, Resource } from '../../kustomer/client/documents.ts';
import { type Ask, listCustomerKlass } from '../../kustomer/client/operations.ts';
import type { Failure, Outcome } from '../../kustomer/client/outcome.ts';
import { objectOrEmpty, textOrNull } from '../../kustomer/json.ts';
import type { OrdersState } from './body.ts';

/** As many as an envelope carries. */
export const MAX_ORDERS = 20;
/** Of what Kustomer says of them, in bytes; a custom object may be 100 kB by itself. */
const MAX_ORDERS_BYTES = 131_072;
const PAGE_SIZE = 100;
const MAX_PAGES = 4;

export interface Orders {
  readonly state: Extract<OrdersState, 'complete' | 'truncated'>;
  readonly orders: readonly Resource[];
}

/**
 * The pages to read after the first. In which order Kustomer lists is not documented: with many pages the last ones are
 * read as well as the first, so that the newest are among them either way.
 */
export function pagesAfterFirst({ totalPages, next }: Pick<Page, 'totalPages' | 'next'>): readonly number[] {
  const pages = totalPages ?? (next === null ? 1 : 2);
  const first = Math.max(2, pages - MAX_PAGES + 2);
  return Array.from({ length: Math.max(0, pages - first + 1) }, (_, i) => first + i);
}

/** Newest first, as many as fit. `isWhole`: nothing was left unread. */
export function newestOrders(items: readonly Resource[], isWhole: boolean): Orders {
  const unique = [...new Map(items.map((item) => [item.id, item])).values()];
  const live = unique.filter((item) => objectOrEmpty(item['attributes'])['deleted'] !== true);
  const sorted = live.sort((a, b) => createdMs(b) - createdMs(a)).slice(0, MAX_ORDERS);
  let bytes = 0;
  const fitting = sorted.filter((order) => {
    bytes += Buffer.byteLength(JSON.stringify(order));
    return bytes <= MAX_ORDERS_BYTES;
  });
  return { state: isWhole && fitting.length === live.length ? 'complete' : 'truncated', orders: fitting };
}

function createdMs(order: Resource): number {
  const { createdAt, updatedAt } = objectOrEmpty(order['attributes']);
  return Date.parse(textOrNull(createdAt) ?? textOrNull(updatedAt) ?? '') || 0;
}

/** What to do about a failure, and what is said of the orders if it stays at that. */
export interface Reaction {
  /** Null = this will not change soon: ask this connection again only after a good while. */
  readonly next: 'again' | 'give_up' | 'remember';
  readonly state: Extract<OrdersState, 'forbidden' | 'unavailable' | 'skipped'>;
  readonly reason: string;
}

export function reactionTo({ kind, code, status, message, errors }: Failure): Reaction {
  switch (kind) {
    case 'permission':
      return { next: 'remember', state: 'forbidden', reason: message };
    case 'config':
      return { next: 'remember', state: 'unavailable', reason: message };
    case 'refuse': {
      // The customer may be gone; the klass, named in the path as {name}, is a matter of the connection.
      const isKlass = status === 404 && errors.some(({ parameter }) => parameter === 'name');
      return { next: isKlass ? 'remember' : 'give_up', state: 'unavailable', reason: message };
    }
    case 'not_sent':
      // The wait for the budget was as long as there was time.
      if (code === 'budget_exhausted') return { next: 'give_up', state: 'skipped', reason: message };
      return { next: 'again', state: 'unavailable', reason: message };
    case 'wait':
      return { next: 'again', state: 'skipped', reason: message };
    default:
      return { next: 'again', state: 'unavailable', reason: message };
  }
}

export interface OrdersAsk extends Ask {
  readonly customerId: string;
  readonly klass: string;
}

export async function readOrders(client: KustomerClient, ask: OrdersAsk): Promise<Orders | Failure> {
  const page = (number: number): Promise<Outcome<Page>> =>
    listCustomerKlass(client, { ...ask, page: number, pageSize: PAGE_SIZE });
  const first = await page(1);
  if (first.kind !== 'ok') return first;
  const items = [...first.body.items];
  const numbers = pagesAfterFirst(first.body);
  let last = first.body;
  for (const number of numbers) {
    const outcome = await page(number);
    if (outcome.kind !== 'ok') return outcome;
    last = outcome.body;
    items.push(...last.items);
  }
  const isWhole = numbers.length + 1 >= (first.body.totalPages ?? 1) && last.next === null;
  return newestOrders(items, isWhole);
}
