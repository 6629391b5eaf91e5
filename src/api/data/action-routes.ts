/** `POST /v1/actions` */
import { z } from 'zod';
import { MODES } from '../../fibric/commands/command.ts';
import { parseInstant } from '../../fibric/commands/instant.ts';
import { CONNECTOR_TEST } from '../../fibric/policy/grants.ts';
import { ApiError, notFound } from '../errors.ts';
import { RESERVED_OPERATOR } from '../names.ts';
import { defineRoute, type Route } from '../route.ts';
import { type Actions, MAX_WAIT_MS } from './actions.ts';
import type { DataPorts } from './ports.ts';
import { receiptRow, receiptRowOf } from './receipts.ts';

const DEFAULT_WAIT_MS = 15_000;
/** The time to publish, and the topic of a tenant's first receipts. */
const BEYOND_MS = 20_000;

const actionBody = z.strictObject({
  connection: z.string().min(1).max(255).describe('Id or name.'),
  capability: z.string().min(1).max(255),
  args: z.record(z.string(), z.unknown()),
  idempotency_key: z.string().describe('The one logical side effect: it takes effect at most once.'),
  operator: z
    .string()
    .refine((name) => name !== CONNECTOR_TEST, RESERVED_OPERATOR)
    .describe('Who asks: its grants and policies decide.'),
  mode: z.enum(MODES).default('dry_run').describe('Nothing is written unless this says `live`.'),
  correlation_id: z.string().optional(),
  event_id: z.string().nullable().optional().describe('The envelope that caused it.'),
  value: z.number().nullable().optional().describe("What a policy's max_value is compared with."),
  deadline: z.string().nullable().optional().describe('After this it is not begun any more, RFC 3339.'),
  wait_ms: z.number().int().min(0).max(MAX_WAIT_MS).default(DEFAULT_WAIT_MS),
});

const ACTION_STATUSES = ['disposed', 'pending', 'held', 'parked'] as const;

const actionRow = z.strictObject({
  object: z.literal('action'),
  command_id: z.string(),
  status: z.enum(ACTION_STATUSES),
  receipt: receiptRow.nullable(),
  approval_id: z.string().nullable().describe('With `held`: the approval it waits for.'),
  receipt_url: z.string().describe('Where the receipt is, or will be.'),
});

export function actionRoutes(actions: Actions, { connections }: Pick<DataPorts, 'connections'>): readonly Route[] {
  return [
    defineRoute({
      id: 'createAction',
      method: 'POST',
      url: '/v1/actions',
      summary: 'Send one write through policy, single-flight and dedup; its receipt, when it comes in time.',
      tag: 'actions',
      scope: 'actions:write',
      body: actionBody,
      response: { 200: actionRow, 202: actionRow },
      idempotent: {},
      timeoutMs: MAX_WAIT_MS + BEYOND_MS,
      handler: async ({ caller: { tenantId }, body, signal }) => {
        // The same for one that is missing and one of another tenant.
        const connection = connections.find(tenantId, body.connection);
        if (connection === undefined) throw notFound('connection');
        const sent = await actions.send(
          {
            tenantId,
            connection: body.connection,
            capability: body.capability,
            args: body.args,
            idempotencyKey: body.idempotency_key,
            operator: body.operator,
            mode: body.mode,
            correlationId: body.correlation_id,
            eventId: body.event_id,
            value: body.value,
            deadlineMs: deadlineOf(body.deadline),
          },
          { waitMs: body.wait_ms, signal },
        );
        if (sent.kind === 'invalid') {
          const problems = sent.problems.map(({ field, code, message }) => ({
            field,
            code,
            message: message.startsWith(`${field} `) ? message.slice(field.length + 1) : message,
          }));
          const said = sent.problems.map(({ message }) => message).join('; ');
          throw new ApiError('validation_failed', said, { problems });
        }
        const url = `/v1/receipts?command_id=${encodeURIComponent(sent.commandId)}`;
        const head = { object: 'action' as const, command_id: sent.commandId, receipt_url: url };
        if (sent.kind === 'pending') {
          const { waiting } = sent;
          const body202 = {
            ...head,
            status: waiting?.kind ?? ('pending' as const),
            receipt: null,
            approval_id: waiting?.kind === 'held' ? waiting.id : null,
          };
          return { status: 202, body: body202, headers: { location: url } };
        }
        const { receipt } = sent;
        const row = receiptRowOf(receipt, { timestampMs: Date.parse(receipt.timings.disposed_at) }, null);
        return { body: { ...head, status: 'disposed' as const, receipt: row, approval_id: null } };
      },
    }),
  ];
}

function deadlineOf(text: string | null | undefined): number | null {
  if (text === null || text === undefined) return null;
  const ms = parseInstant(text);
  if (ms !== null) return ms;
  const message = 'is not a time with its zone, such as 2026-01-31T12:00:00Z';
  throw new ApiError('validation_failed', `deadline ${message}`, {
    problems: [{ field: 'deadline', code: 'malformed', message }],
  });
}
