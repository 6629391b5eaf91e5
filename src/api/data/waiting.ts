/** What waits for a person: approvals (held by a policy) and parked commands (of which nobody knows whether they happened). */
import { z } from 'zod';
import { ApiError, notFound } from '../errors.ts';
import { listOf, pageQuery, paginate, timeKey } from '../pagination.ts';
import { defineRoute, type Route } from '../route.ts';
import { ANSWER_MS, type AnsweringOptions, answered, answeredRow, throwDecided } from './answering.ts';
import type { DataPorts, WaitingCommand } from './ports.ts';
import { HELD_STATES, rowOf, waitingRow } from './waiting-rows.ts';

const MAX_NOTE = 1000;
const MAX_VENDOR_ID = 255;
const ID_BYTES = 12;

export interface WaitingRouteOptions extends AnsweringOptions, Pick<DataPorts, 'random' | 'connections'> {}

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
      timeoutMs: ANSWER_MS,
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
      timeoutMs: ANSWER_MS,
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
