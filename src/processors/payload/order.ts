/** A customer's orders: custom objects, whose attributes each organisation names for itself. */
import type { PayloadFor } from '../../fibric/events/index.ts';
import type { Enrichment } from '../../kustomer/event.ts';
import { customOf, flagOf, numberOf, objectOf, textOf, timeOf } from '../read.ts';

type CustomerUpdated = PayloadFor<'customer.updated'>;
type Order = NonNullable<CustomerUpdated['orders']>[number];

export const MAX_ORDERS = 20;

const STATES: ReadonlySet<string | null> = new Set(['complete', 'truncated', 'forbidden', 'unavailable', 'skipped']);

export function ordersOf(enrichment: Enrichment | null): Pick<CustomerUpdated, 'orders' | 'orders_state'> {
  if (enrichment === null) return { orders: null, orders_state: null };
  const given = enrichment.ordersState;
  const state = STATES.has(given) ? given : 'unavailable';
  const { orders } = enrichment;
  if (orders === null || (state !== 'complete' && state !== 'truncated')) return { orders: null, orders_state: state };
  const read = orders.flatMap((item) => orderOf(item) ?? []).sort(newestFirst);
  return {
    orders: read.slice(0, MAX_ORDERS),
    orders_state: read.length > MAX_ORDERS ? 'truncated' : state,
  };
}

/** Null for what has no id, and for what was deleted. */
function orderOf(item: unknown): Order | null {
  const { id, attributes } = objectOf(item);
  const orderId = textOf(id);
  const facts = objectOf(attributes);
  if (orderId === null || flagOf(facts['deleted']) === true) return null;
  const custom = objectOf(facts['custom']);
  const named = (names: readonly string[]): unknown =>
    attributeNamed(custom, names) ?? attributeNamed(objectOf(facts['data']), names);
  return {
    order_id: orderId,
    external_id: textOf(facts['externalId']),
    title: textOf(facts['title']),
    number: textOrNumber(named(NAMES.number)),
    status: textOrNumber(named(NAMES.status)),
    total: amountOf(named(NAMES.total)),
    currency: textOf(named(NAMES.currency)),
    created_at: timeOf(facts['createdAt']),
    updated_at: timeOf(facts['updatedAt']),
    custom: customOf(facts['custom']),
  };
}

/** The first that is there wins. Lower case, without the suffix that names the type of a custom attribute. */
const NAMES = {
  number: ['ordernumber', 'number', 'ordername'],
  status: ['orderstatus', 'status'],
  total: ['ordertotal', 'totalprice', 'total', 'amount'],
  currency: ['currency', 'currencycode'],
} as const;

const TYPE_SUFFIX = /(?:Str|Txt|Num|At|Bool|Url|Id|Tree)$/;

function attributeNamed(attributes: Readonly<Record<string, unknown>>, names: readonly string[]): unknown {
  const keys = Object.keys(attributes);
  for (const name of names) {
    const key = keys.find((candidate) => candidate.replace(TYPE_SUFFIX, '').toLowerCase() === name);
    if (key !== undefined && attributes[key] !== null && attributes[key] !== '') return attributes[key];
  }
  return undefined;
}

function textOrNumber(value: unknown): string | null {
  return textOf(value) ?? (numberOf(value) === null ? null : String(value));
}

const AMOUNT = /^-?\d+(?:\.\d+)?$/;

/** Amounts come as numbers, and as texts that are numbers. */
function amountOf(value: unknown): number | null {
  return numberOf(value) ?? (typeof value === 'string' && AMOUNT.test(value) ? Number(value) : null);
}

/** Those without a time last; otherwise in the order given. */
function newestFirst(a: Order, b: Order): number {
  return millisOf(b) - millisOf(a);
}

function millisOf({ created_at: createdAt, updated_at: updatedAt }: Order): number {
  return Date.parse(createdAt ?? updatedAt ?? '') || 0;
}
