/** Receipts as the API shows them, and how one is found again: by its id, or by the command it is about. */
import { z } from 'zod';
import { DECISIONS, OUTCOMES } from '../../fibric/commands/receipt.ts';
import { RECEIPT_FIELDS, type WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import type { Connection } from '../../fibric/connection.ts';
import type { LogRecord } from '../../kafka/port.ts';
import { ApiError, notFound } from '../errors.ts';
import { listOf, pageQuery } from '../pagination.ts';
import { rfc3339, time } from '../query.ts';
import { defineRoute, type Route } from '../route.ts';
import type { DataPorts } from './ports.ts';
import { type Filter, Shelf } from './shelf.ts';
import { sinceMs, sinceQuery } from './since.ts';
import type { TopicViews } from './topic/views.ts';

const text = z.string().min(1).max(255);
const maybe = z.string().nullable();

const verdict = z.strictObject({ decision: z.enum(DECISIONS), rule: maybe, tier: z.number().int().nullable() });
const policy = z.strictObject({ name: z.string(), version: z.number().int() });
const problem = z.strictObject({ field: z.string(), code: z.string(), message: z.string() });

/** The fields of the record, and where it stands. */
export const receiptRow = z.strictObject({
  object: z.literal('receipt'),
  id: z.string(),
  receipt_id: z.string(),
  command_id: z.string(),
  command_position: z.string(),
  reseller_id: maybe,
  tenant_id: z.string(),
  workspace_id: maybe,
  connector: z.string(),
  connection: z.string(),
  connection_id: maybe,
  capability: maybe,
  entity_key: maybe,
  idempotency_key: maybe,
  fingerprint: maybe,
  operator: maybe,
  agent_id: maybe,
  plan_id: maybe,
  action_id: maybe,
  event_id: maybe,
  correlation_id: maybe,
  mode: z.string(),
  verdict,
  policy: policy.nullable(),
  approver: maybe,
  outcome: z.enum(OUTCOMES),
  unchanged: z.boolean(),
  first_receipt_id: maybe,
  attempts: z.number().int(),
  reconciled: z.boolean(),
  external_id: maybe,
  vendor: z.strictObject({ type: z.string(), id: maybe }).nullable(),
  timings: z.strictObject({
    requested_at: maybe,
    received_at: z.string(),
    started_at: maybe,
    first_sent_at: maybe,
    last_sent_at: maybe,
    disposed_at: z.string(),
  }),
  error: z
    .strictObject({ code: z.string(), message: z.string(), next_step: z.string(), problems: z.array(problem) })
    .nullable(),
  written_at: time,
  cursor: maybe.describe('For the stream; null in the answer to an action.'),
});
export type ReceiptRow = z.input<typeof receiptRow>;

export const receiptFilterQuery = {
  verdict: z.enum(DECISIONS).optional(),
  outcome: z.enum(OUTCOMES).optional(),
  capability: text.optional(),
  operator: text.optional(),
  connection: text.optional().describe('Id or name.'),
  entity_key: text.optional().describe('Such as `conversation:5f…`.'),
  idempotency_key: text.optional(),
  command_id: text.optional(),
  event_id: text.optional().describe('The envelope that caused it.'),
  correlation_id: text.optional(),
};
type Given<T> = { readonly [K in keyof T]?: string | undefined };
export type ReceiptFilters = Given<typeof receiptFilterQuery>;

export type ReceiptShelf = Shelf<WireReceipt, ReceiptRow>;

export function receiptShelf({ receipts, observer }: DataPorts, views: TopicViews, findRecords?: number): ReceiptShelf {
  return new Shelf({
    route: 'receipts',
    port: receipts,
    views,
    observer,
    ...(findRecords !== undefined && { findRecords }),
    rowOf: (_, ...rest) => receiptRowOf(...rest),
  });
}

/** `find`: of the tenant, by id or name, so that both find what was sent under either. */
export function receiptFilter(
  given: ReceiptFilters,
  find: (ref: string) => Connection | undefined = () => undefined,
): Filter<WireReceipt> {
  const { verdict: decision, connection, ...fields } = given;
  const equal = Object.entries(fields).filter((entry): entry is [keyof WireReceipt, string] => entry[1] !== undefined);
  const known = connection === undefined ? undefined : find(connection);
  const refs = connection === undefined ? [] : [...new Set([connection, known?.connectionId, known?.name])];
  const connections = refs.filter((ref) => ref !== undefined);
  return {
    needles: [
      ...equal.map(([, value]) => [Buffer.from(value)]),
      ...(decision === undefined ? [] : [[Buffer.from(decision)]]),
      ...(connections.length === 0 ? [] : [connections.map((ref) => Buffer.from(ref))]),
    ],
    mayMatch: () => true,
    matches: (receipt) =>
      equal.every(([field, value]) => receipt[field] === value) &&
      (decision === undefined || receipt.verdict.decision === decision) &&
      (connections.length === 0 ||
        connections.includes(receipt.connection) ||
        connections.includes(receipt.connection_id ?? '')),
  };
}

/** Not those that only name it, as receipts of DEDUP do. */
export function byReceiptId(id: string): Filter<WireReceipt> {
  return { needles: [[Buffer.from(id)]], mayMatch: () => true, matches: (receipt) => receipt.receipt_id === id };
}

export function receiptRowOf(
  receipt: WireReceipt,
  record: Pick<LogRecord, 'timestampMs'>,
  cursor: string | null,
): ReceiptRow {
  const fields = Object.fromEntries(RECEIPT_FIELDS.map(({ name }) => [name, plain(receipt[name] ?? null)]));
  return {
    object: 'receipt',
    id: receipt.receipt_id,
    ...(fields as unknown as WireReceipt),
    written_at: rfc3339(record.timestampMs),
    cursor,
  } as ReceiptRow;
}

/** What avsc decodes has methods. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

const RECEIPT_ID = /^rc_[0-9a-f]{32}$/;

function searchEnd(topic: string, looked: number): string {
  return [
    `there is no receipt of this id among the newest ${looked.toLocaleString('en')} of the tenant, and older ones were not looked at.`,
    'List them with `since` and `entity_key`, `idempotency_key` or `command_id`, page by page;',
    `or read the topic ${topic}, where the key of a receipt is its entity_key, or the command_id where it has none`,
  ].join(' ');
}

/** Null = there is none. Throws where it was not looked to the end. */
export async function findReceipt(
  shelf: ReceiptShelf,
  tenantId: string,
  id: string,
  signal: AbortSignal,
): Promise<ReceiptRow | null> {
  if (!RECEIPT_ID.test(id)) return null;
  const found = await shelf.find(tenantId, byReceiptId(id), signal);
  if (found === undefined) throw new ApiError('not_found', searchEnd(shelf.port.topic(tenantId), shelf.findRecords));
  return found;
}

export function receiptRoutes(shelf: ReceiptShelf, { connections }: Pick<DataPorts, 'connections'>): readonly Route[] {
  return [
    defineRoute({
      id: 'listReceipts',
      method: 'GET',
      url: '/v1/receipts',
      summary: 'Receipts, newest first: what became of each command.',
      tag: 'receipts',
      scope: 'receipts:read',
      query: z.strictObject({ ...receiptFilterQuery, since: sinceQuery, ...pageQuery }),
      response: { 200: listOf(receiptRow) },
      handler: async ({ caller: { tenantId }, query: { limit, cursor, since, ...filters }, nowMs, signal }) => ({
        body: await shelf.list({
          tenantId,
          limit,
          cursor,
          sinceMs: sinceMs(since, nowMs),
          filter: receiptFilter(filters, (ref) => connections.find(tenantId, ref)),
          filters: { ...filters, since },
          signal,
        }),
      }),
    }),
    defineRoute({
      id: 'getReceipt',
      method: 'GET',
      url: '/v1/receipts/:id',
      summary: 'One receipt.',
      tag: 'receipts',
      scope: 'receipts:read',
      params: z.strictObject({ id: z.string() }),
      response: { 200: receiptRow },
      handler: async ({ caller: { tenantId }, params: { id }, signal }) => {
        const found = await findReceipt(shelf, tenantId, id, signal);
        if (found === null) throw notFound('receipt');
        return { body: found };
      },
    }),
  ];
}
