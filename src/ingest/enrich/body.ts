/** A customer's body with the orders in it. Pure. */

export type OrdersState = 'complete' | 'truncated' | 'forbidden' | 'unavailable' | 'skipped';

export interface OrdersAnswer {
  readonly state: OrdersState;
  /** Newest first; null unless there are any to show. */
  readonly orders: readonly unknown[] | null;
  /** When they were read; null when they were not. */
  readonly fetchedAtMs: number | null;
}

/** Below the 2 MiB a raw record may have, with room for its headers. */
const MAX_BODY_BYTES = 2_000_000;
const CLOSING_BRACE = 0x7d;

/**
 * The bytes as they were, and one more key at the end. Parsing them and writing them anew would cost more and change
 * what Kustomer said. What does not end as an object does is left as it is: the processor sets it aside.
 */
export function enrichedBody(body: Buffer, answer: OrdersAnswer): Buffer {
  const end = body.lastIndexOf(CLOSING_BRACE);
  if (end === -1) return body;
  const enriched = withKey(body, end, answer);
  if (enriched.length <= MAX_BODY_BYTES || answer.orders === null) return enriched;
  return withKey(body, end, { ...answer, state: 'truncated', orders: [] });
}

function withKey(body: Buffer, end: number, { state, orders, fetchedAtMs }: OrdersAnswer): Buffer {
  const enrichment = {
    fetched_at: fetchedAtMs === null ? null : new Date(fetchedAtMs).toISOString(),
    orders_state: state,
    ...(orders === null ? {} : { orders }),
  };
  return Buffer.concat([
    body.subarray(0, end),
    Buffer.from(`,"enrichment":${JSON.stringify(enrichment)}`),
    body.subarray(end),
  ]);
}
