/**
 * What waits for a person: approvals (held by a policy) and parked commands (of which nobody knows whether they happened).
 *
 * An answer is a record in the lane of its command; it has taken effect when the command does not wait any more. That is
 * waited for, for a moment: whoever answers hears what came of it, and two who answer at once do not both hear that it was
 * their answer.
 */
import { z } from 'zod';
import type { TenantCaller } from '../caller.ts';
import { byLine } from '../caller.ts';
import { ApiError, notFound } from '../errors.ts';
import { listOf, pageQuery, paginate, timeKey } from '../pagination.ts';
import { rfc3339, rfc3339OrNull, time } from '../query.ts';
import { defineRoute, type Route } from '../route.ts';
import type { Answered, DataPorts, WaitingCommand } from './ports.ts';
import { byReceiptId, findReceipt, type ReceiptRow, type ReceiptShelf, receiptRow } from './receipts.ts';

const MAX_NOTE = 1000;
const MAX_VENDOR_ID = 255;
const ID_BYTES = 12;
/** For the owner of the partition to read the answer and commit what comes of it. */
const EFFECT_MS = 10_000;
/** The receipt of a refusal is in the same commit as its effect; that of an approval comes with the call's end. */
const RECEIPT_MS = 10_000;
const LOOK_EVERY_MS = 200;

const HELD_STATES = ['waiting', 'expired'] as const;

const waitingRow = z.strictObject({
  object: z.enum(['approval', 'parked']),
  id: z.string(),
  state: z.enum([...HELD_STATES, 'parked']),
  receipt_id: z.string(),
  command_id: z.string(),
  capability: z.string(),
  args: z.record(z.string(), z.unknown()).nullable().describe('Null where the command cannot be read.'),
  operator: z.string().nullable(),
  connection: z.string(),
  connection_id: z.string(),
  entity_key: z.string(),
  idempotency_key: z.string(),
  mode: z.string().nullable(),
  correlation_id: z.string().nullable(),
  event_id: z.string().nullable(),
  policy: z.strictObject({ name: z.string(), version: z.number().int() }).nullable(),
  rule: z.string().nullable(),
  tier: z.number().int().nullable(),
  requested_at: z.string().nullable(),
  held_at: time,
  expires_at: time.nullable(),
});

const answeredRow = z.strictObject({
  object: z.enum(['approval', 'parked']),
  id: z.string(),
  state: z
    .enum(['approved', 'rejected', 'expired', 'applied', 'not_applied', 'answered'])
    .describe('`answered`: published; it takes effect when its turn in the lane comes.'),
  receipt_id: z.string(),
  receipt: receiptRow.nullable().describe('Null while there is none yet.'),
  command_id: z.string().nullable().describe('Of the command that was sent again, with `resend`.'),
});
type AnsweredRow = z.input<typeof answeredRow>;

export interface WaitingRouteOptions extends Pick<DataPorts, 'log' | 'random' | 'waiting' | 'connections'> {
  readonly receipts: ReceiptShelf;
}

export function waitingRoutes(options: WaitingRouteOptions): readonly Route[] {
  const { waiting, log } = options;
  const nowMs = () => log.clock.nowMs();
  const row = (tenantId: string, one: WaitingCommand) => rowOf(one, nameOf(options, tenantId, one), nowMs());
  const findHeld = (tenantId: string, id: string): WaitingCommand | undefined => {
    const one = id.startsWith('apr_') ? waiting.get(tenantId, id) : undefined;
    return one?.kind === 'held' ? one : undefined;
  };
  const held = (tenantId: string, id: string): WaitingCommand => {
    const one = findHeld(tenantId, id);
    if (one === undefined) throw notFound('approval');
    return one;
  };
  const answerHeld = (answer: 'approve' | 'reject') =>
    defineRoute({
      id: `${answer}Approval`,
      method: 'POST',
      url: `/v1/approvals/:id/${answer}`,
      summary:
        answer === 'approve'
          ? 'Let it run. Policy is asked again: an approval does not overrule a block.'
          : 'Refuse it for good; its receipt says so.',
      tag: 'approvals',
      scope: 'plans:approve',
      params: z.strictObject({ id: z.string() }),
      body: z.strictObject({ note: z.string().max(MAX_NOTE).nullable().optional() }),
      response: { 200: answeredRow, 202: answeredRow },
      idempotent: {},
      timeoutMs: EFFECT_MS + RECEIPT_MS + 15_000,
      handler: async ({ caller, params: { id }, body: { note }, signal }) => {
        const one = findHeld(caller.tenantId, id) ?? (await throwDecided(options, caller, { id, signal }));
        if (one.expiresAtMs !== null && one.expiresAtMs <= nowMs()) {
          throw new ApiError('state_conflict', 'the approval has expired; the operator has to ask again');
        }
        const said = { answer, note: note ?? null, vendorId: null, resendAs: null };
        return answered(options, { caller, one, said, signal });
      },
    });

  return [
    defineRoute({
      id: 'listApprovals',
      method: 'GET',
      url: '/v1/approvals',
      summary: 'What waits for approval, newest first. What was answered is among the receipts.',
      tag: 'approvals',
      scope: 'actions:read',
      query: z.strictObject({ state: z.enum(HELD_STATES).optional(), ...pageQuery }),
      response: { 200: listOf(waitingRow) },
      handler: async ({ caller: { tenantId }, query: { state, ...page } }) => {
        const all = waiting.list(tenantId).filter(({ kind }) => kind === 'held');
        const rows = all.map((one) => row(tenantId, one)).filter((one) => state === undefined || one.state === state);
        return { body: pageOf(rows, { ...page, route: 'approvals', tenantId, filters: { state } }) };
      },
    }),
    defineRoute({
      id: 'getApproval',
      method: 'GET',
      url: '/v1/approvals/:id',
      summary: 'What would be done, with its arguments.',
      tag: 'approvals',
      scope: 'actions:read',
      params: z.strictObject({ id: z.string() }),
      response: { 200: waitingRow },
      handler: async ({ caller: { tenantId }, params: { id } }) => ({ body: row(tenantId, held(tenantId, id)) }),
    }),
    answerHeld('approve'),
    answerHeld('reject'),
    defineRoute({
      id: 'listParked',
      method: 'GET',
      url: '/v1/parked',
      summary: 'Commands of which nobody knows whether they happened, newest first.',
      tag: 'receipts',
      scope: 'actions:read',
      query: z.strictObject(pageQuery),
      response: { 200: listOf(waitingRow) },
      handler: async ({ caller: { tenantId }, query }) => {
        const rows = waiting
          .list(tenantId)
          .filter(({ kind }) => kind === 'parked')
          .map((one) => row(tenantId, one));
        return { body: pageOf(rows, { ...query, route: 'parked', tenantId, filters: {} }) };
      },
    }),
    defineRoute({
      id: 'resolveReceipt',
      method: 'POST',
      url: '/v1/receipts/:id/resolve',
      summary: 'Say whether a parked command happened, after a look at Kustomer.',
      tag: 'receipts',
      scope: 'plans:approve',
      params: z.strictObject({ id: z.string() }),
      body: z.strictObject({
        outcome: z.enum(['applied', 'not_applied']),
        vendor_id: z.string().min(1).max(MAX_VENDOR_ID).optional().describe('With `applied`: what was written.'),
        resend: z.boolean().default(false).describe('With `not_applied`: send it again now, as a new command.'),
        note: z.string().max(MAX_NOTE).nullable().optional(),
      }),
      response: { 200: answeredRow, 202: answeredRow },
      idempotent: {},
      timeoutMs: EFFECT_MS + RECEIPT_MS + 15_000,
      handler: async ({ caller, params: { id }, body, signal }) => {
        const { outcome, vendor_id: vendorId = null, resend, note = null } = body;
        if (outcome === 'applied' && resend) throw contradiction('resend', 'is for what did not happen');
        if (outcome === 'not_applied' && vendorId !== null) throw contradiction('vendor_id', 'is for what did happen');
        const one = waiting
          .list(caller.tenantId)
          .find((parked) => parked.kind === 'parked' && (parked.receiptId === id || parked.id === id));
        if (one === undefined) throw notFound('parked command');
        const resendAs = resend ? `cmd_${options.random(ID_BYTES).toString('hex')}` : null;
        return answered(options, { caller, one, said: { answer: outcome, note, vendorId, resendAs }, signal });
      },
    }),
  ];
}

interface Answering {
  readonly caller: TenantCaller;
  readonly one: WaitingCommand;
  readonly said: Omit<Answered, 'by' | 'nowMs'>;
  readonly signal: AbortSignal;
}

const DONE = { approve: 'approved', reject: 'rejected', applied: 'applied', not_applied: 'not_applied' } as const;

async function answered(options: WaitingRouteOptions, { caller, one, said, signal }: Answering) {
  const { waiting, log, receipts } = options;
  const { tenantId } = caller;
  const gone = whenGone(options, tenantId, one, signal);
  try {
    await waiting.answer(tenantId, one.id, { ...said, by: byLine(caller), nowMs: log.clock.nowMs() });
    const isGone = await gone.within(EFFECT_MS);
    const receipt = isGone ? await receiptOf(receipts, log, { tenantId, one, signal }) : null;
    const body: AnsweredRow = {
      object: one.kind === 'held' ? 'approval' : 'parked',
      id: one.id,
      state: isGone ? stateOf(said.answer, receipt) : 'answered',
      receipt_id: one.receiptId,
      receipt,
      command_id: said.resendAs,
    };
    return { status: isGone ? 200 : 202, body };
  } finally {
    gone.stop();
  }
}

/** Of one that does not wait (any more): what was said to it, where that is known. */
async function throwDecided(
  { receipts }: WaitingRouteOptions,
  { tenantId }: TenantCaller,
  { id, signal }: { readonly id: string; readonly signal: AbortSignal },
): Promise<never> {
  // The digits of an approval are those of its receipt.
  const receiptId = id.replace(/^apr_/, 'rc_');
  const receipt = receiptId === id ? null : await findReceipt(receipts, tenantId, receiptId, signal).catch(toMissing);
  if (receipt === null || !wasHeld(receipt)) throw notFound('approval');
  const said = stateOf('approve', receipt);
  throw new ApiError('state_conflict', `the approval was ${said} already; its receipt is ${receipt.id}`);
}

function toMissing(error: unknown): null {
  if (error instanceof ApiError && error.code === 'not_found') return null;
  throw error;
}

/** Only what was held has an id of an approval. */
function wasHeld({ verdict, approver, error }: ReceiptRow): boolean {
  return verdict.decision === 'ALERT' || approver !== null || error?.code.startsWith('confirmation_') === true;
}

/** Somebody else may have been quicker, or the time have run out: the receipt knows. */
function stateOf(answer: Answered['answer'], receipt: ReceiptRow | null): AnsweredRow['state'] {
  const code = receipt?.error?.code;
  if (code === 'confirmation_expired') return 'expired';
  if (code === 'confirmation_rejected') return 'rejected';
  if (answer === 'reject' && receipt !== null) return 'approved';
  return DONE[answer];
}

function whenGone(
  { waiting, log }: WaitingRouteOptions,
  tenantId: string,
  { id }: WaitingCommand,
  signal: AbortSignal,
) {
  const gone = Promise.withResolvers<true>();
  const stop = waiting.onChange((changed) => {
    if (changed === tenantId && waiting.get(tenantId, id) === undefined) gone.resolve(true);
  });
  return {
    stop,
    async within(ms: number): Promise<boolean> {
      if (waiting.get(tenantId, id) === undefined) return true;
      const over = new AbortController();
      const late = log.clock.sleep(ms, AbortSignal.any([over.signal, signal])).then(() => false);
      return Promise.race([gone.promise, late]).finally(() => over.abort());
    },
  };
}

interface Looking {
  readonly tenantId: string;
  readonly one: WaitingCommand;
  readonly signal: AbortSignal;
}

/** What is approved is carried out then; its receipt comes with the end of the call. */
async function receiptOf(shelf: ReceiptShelf, log: DataPorts['log'], { tenantId, one, signal }: Looking) {
  const untilMs = log.clock.nowMs() + RECEIPT_MS;
  const filter = byReceiptId(one.receiptId);
  while (!signal.aborted) {
    const since = { tenantId, limit: 1, cursor: undefined, sinceMs: one.sinceMs, filter, filters: {}, signal };
    const [receipt] = (await shelf.list(since)).data;
    if (receipt !== undefined) return receipt;
    if (log.clock.nowMs() >= untilMs) return null;
    await log.clock.sleep(LOOK_EVERY_MS, signal);
  }
  return null;
}

function rowOf(one: WaitingCommand, connection: string, nowMs: number): z.input<typeof waitingRow> {
  const { command, policy } = one;
  const isExpired = one.expiresAtMs !== null && one.expiresAtMs <= nowMs;
  return {
    object: one.kind === 'held' ? 'approval' : 'parked',
    id: one.id,
    state: one.kind === 'parked' ? 'parked' : isExpired ? 'expired' : 'waiting',
    receipt_id: one.receiptId,
    command_id: one.commandId,
    capability: one.capability,
    args: command === null ? null : { ...command.args },
    operator: command?.operator ?? null,
    connection,
    connection_id: one.connectionId,
    entity_key: one.entityKey,
    idempotency_key: one.idempotencyKey,
    mode: command?.mode ?? null,
    correlation_id: command?.correlationId ?? null,
    event_id: command?.eventId ?? null,
    policy: policy.name === null || policy.version === null ? null : { name: policy.name, version: policy.version },
    rule: policy.rule,
    tier: policy.tier,
    requested_at: command?.requestedAt ?? null,
    held_at: rfc3339(one.sinceMs),
    expires_at: rfc3339OrNull(one.expiresAtMs),
  };
}

function nameOf({ connections }: WaitingRouteOptions, tenantId: string, { connectionId }: WaitingCommand): string {
  return connections.find(tenantId, connectionId)?.name ?? connectionId;
}

interface PageAsk {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly route: string;
  readonly tenantId: string;
  readonly filters: Readonly<Record<string, unknown>>;
}

function pageOf(rows: readonly z.input<typeof waitingRow>[], { limit, cursor, ...binding }: PageAsk) {
  return paginate(rows, {
    limit,
    cursor,
    binding,
    keyOf: ({ held_at, id }) => timeKey(Date.parse(held_at), id),
  });
}

function contradiction(field: string, message: string): ApiError {
  return new ApiError('validation_failed', `${field} ${message}`, {
    problems: [{ field, code: 'contradiction', message }],
  });
}
