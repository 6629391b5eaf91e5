/** What is polled, and how its rows are read. One line each; the rest of the room knows no field of Kustomer's. */
import { isObject, objectOrEmpty } from '../../kustomer/json.ts';

export const STREAMS = ['conversations', 'messages', 'customers', 'sla'] as const;
export type StreamName = (typeof STREAMS)[number];

/** What history is read of. SLA breaches of the past stand in the conversations. */
export const BACKFILL_STREAMS = ['conversations', 'messages', 'customers'] as const;
export type BackfillStreamName = (typeof BACKFILL_STREAMS)[number];

/** One criterion of a search, such as `{conversation_sla_breached: {equals: true}}`. */
export type Filter = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface StreamSpec {
  readonly name: StreamName;
  readonly queryContext: string;
  /** The time rows are sorted and bounded by. */
  readonly timeField: string;
  /** Splits rows of the same time; never changes. */
  readonly createdField: string;
  readonly filters: readonly Filter[];
  /** Read again on top of the overlap. */
  readonly lookbackMs: number;
  readonly timeOf: (attributes: Readonly<Record<string, unknown>>) => unknown;
}

/**
 * A breach is sorted by its deadline, and becomes one when Kustomer looks: after a pause, a change of priority or a
 * delay of its own that may be well after the deadline.
 */
const SLA_LOOKBACK_MS = 3_600_000;

const updatedAt = (attributes: Readonly<Record<string, unknown>>): unknown => attributes['updatedAt'];

function byUpdate(name: StreamName, queryContext: string): StreamSpec {
  return {
    name,
    queryContext,
    timeField: `${queryContext}_updated_at`,
    createdField: `${queryContext}_created_at`,
    filters: [],
    lookbackMs: 0,
    timeOf: updatedAt,
  };
}

export const STREAM_SPECS: Readonly<Record<StreamName, StreamSpec>> = {
  conversations: byUpdate('conversations', 'conversation'),
  messages: byUpdate('messages', 'message'),
  customers: byUpdate('customers', 'customer'),
  sla: {
    name: 'sla',
    queryContext: 'conversation',
    timeField: 'conversation_sla_breach_at',
    createdField: 'conversation_created_at',
    filters: [{ conversation_sla_breached: { equals: true } }],
    lookbackMs: SLA_LOOKBACK_MS,
    timeOf: (attributes) => objectOrEmpty(objectOrEmpty(attributes['sla'])['breach'])['at'],
  },
};

/** A resource as a search shows it. */
export interface Row<R = unknown> {
  readonly id: string;
  /** Null: the vendor did not say; then the time stands in. */
  readonly rev: number | null;
  /** Null: without a time that can be read. Such a row is published, and moves nothing. */
  readonly timeMs: number | null;
  readonly createdMs: number | null;
  readonly resource: R;
}

export function rowOf<R extends { readonly id: string }>(spec: StreamSpec, resource: R): Row<R> {
  const raw = (resource as { readonly attributes?: unknown }).attributes;
  const attributes = isObject(raw) ? raw : {};
  const rev = attributes['rev'];
  return {
    id: resource.id,
    rev: typeof rev === 'number' && Number.isSafeInteger(rev) && rev >= 0 ? rev : null,
    timeMs: timeOf(spec.timeOf(attributes)),
    createdMs: timeOf(attributes['createdAt']),
    resource,
  };
}

function timeOf(value: unknown): number | null {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isFinite(ms) ? ms : null;
}
