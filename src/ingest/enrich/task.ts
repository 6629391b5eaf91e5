/**
 * The detour of customers as a stream task: a body comes in, the customer's orders are read, and the body goes back to the
 * raw topic with the orders in it, in the transaction that also moves on here. A crash in between reads again and loses
 * nothing; should a body come back twice, the processor knows the change by then.
 *
 * Records of a customer keep their order: one batch at a time, and within it the order they came in.
 */
import { HEADER } from '../../kafka/headers.ts';
import type { Append, LogRecord } from '../../kafka/port.ts';
import type { StreamTask } from '../../kafka/task.ts';
import { peek } from '../../kustomer/peek.ts';
import { enrichedBody, type OrdersAnswer, type OrdersState } from './body.ts';
import { type FetcherDeps, fetchOrders } from './fetcher.ts';
import type { Wish } from './plan.ts';

export interface EnrichDeps extends FetcherDeps {
  readonly rawTopic: string;
  /** Told once per decided batch. */
  onOutcome(outcome: EnrichOutcome): void;
}

export interface EnrichOutcome {
  readonly states: Readonly<Partial<Record<OrdersState, number>>>;
  /** How long the first of the batch has been under way. */
  readonly oldestMs: number;
}

const UNREADABLE: OrdersAnswer = { state: 'unavailable', orders: null, fetchedAtMs: null };

export function createEnrichTask(deps: EnrichDeps): StreamTask {
  /** What was read for a batch: the other half of the input of its decision. */
  const prepared = new WeakMap<readonly LogRecord[], readonly OrdersAnswer[]>();
  return {
    prepare: async (records) => {
      const wishes = records.map(wishOf);
      const answers = await fetchOrders(
        deps,
        wishes.filter((wish) => wish !== null),
      );
      let next = 0;
      prepared.set(
        records,
        wishes.map((wish) => (wish === null ? UNREADABLE : (answers[next++] as OrdersAnswer))),
      );
    },
    decide(records, _state, nowMs) {
      const answers = prepared.get(records);
      if (answers === undefined) throw new Error('a batch is decided that was not prepared');
      const states: Partial<Record<OrdersState, number>> = {};
      for (const { state } of answers) states[state] = (states[state] ?? 0) + 1;
      deps.onOutcome({ states, oldestMs: nowMs - Math.min(...records.map(({ timestampMs }) => timestampMs)) });
      return records.map((record, index) => goingBack(deps.rawTopic, record, answers[index] as OrdersAnswer));
    },
  };
}

/** To the partition it came from, where the state of its customer is. */
function goingBack(topic: string, { partition, key, value, headers }: LogRecord, answer: OrdersAnswer): Append {
  return { topic, partition, key, value: value === null ? null : enrichedBody(value, answer), headers };
}

/** Null where nobody can be asked: such a body goes back as it is, and is dealt with where all bodies are. */
function wishOf({ headers, value, timestampMs }: LogRecord): Wish | null {
  const tenantId = headers[HEADER.tenant]?.toString();
  const connectionId = headers[HEADER.connection]?.toString();
  const customerId = value === null ? null : peek(value).resourceId;
  if (tenantId === undefined || connectionId === undefined || customerId === null) return null;
  const lane = headers[HEADER.channel]?.toString() === 'backfill' ? 'backfill' : 'poll';
  return { tenantId, connectionId, customerId, lane, askedAtMs: timestampMs };
}
