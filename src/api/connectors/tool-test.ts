/**
 * `POST /v1/connectors/:ref/test`: one tool, tried dry or for real.
 *
 * T1  Who may administer the connection tries it under a name of its own, which has every capability without a grant: the
 *     policies decide. Others, and whoever names an operator, try it as an operator with what that one was granted.
 * T2  What was tried stands in receipts as tried by nobody's operator, unless one was named.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type CommandInput, composeCommand } from '../../fibric/commands/compose-command.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import { CONNECTOR_TEST, type Grants } from '../../fibric/policy/grants.ts';
import type { TenantCaller } from '../caller.ts';
import { ApiError, notFound } from '../errors.ts';
import { TOOLS, toolNamed } from '../listing.ts';
import { operatorName } from '../names.ts';
import { evaluated } from '../policies/try.ts';
import type { CorePorts } from '../ports.ts';
import { defineRoute, type Route } from '../route.ts';
import { refParams } from './find.ts';

const body = z.strictObject({
  tool: z.string().max(100).describe('Such as note.write, or its capability.'),
  args: z.record(z.string(), z.unknown()),
  mode: z.enum(['dry_run', 'live']).default('dry_run').describe('live executes, once per idempotency_key.'),
  operator: operatorName
    .optional()
    .describe(
      `As whom; default: ${CONNECTOR_TEST} where the token may administer the connection, else one with the grant.`,
    ),
  idempotency_key: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('For live; default: one of the tool and its arguments.'),
  value: z.number().nullable().optional(),
  wait_ms: z.number().int().min(0).max(60_000).default(15_000).describe('For live: longest wait for the receipt.'),
});

const verdict = z.strictObject({
  decision: z.string(),
  rule: z.string().nullable(),
  reason: z.string().nullable(),
  code: z.string().nullable().describe('On BLOCK, why: the code that the error of a receipt has.'),
});

const answer = z.strictObject({
  object: z.literal('connector_test'),
  connector: z.string(),
  tool: z.string(),
  capability: z.string(),
  mode: z.enum(['dry_run', 'live']),
  operator: z.string(),
  verdict: verdict.nullable().describe('Null where the arguments are wrong: then no policy was asked.'),
  outcome: z.string().describe('dry_run, applied, refused, deduplicated, failed, invalid or pending.'),
  policy: z.strictObject({ name: z.string(), version: z.number().int(), rule: z.string().nullable() }).nullable(),
  command_id: z.string().nullable(),
  receipt: z.record(z.string(), z.unknown()).nullable(),
  problems: z.array(z.strictObject({ field: z.string(), code: z.string(), message: z.string() })),
});

type Answer = z.input<typeof answer>;

const SLACK_MS = 5_000;

export function connectorTestRoutes(ports: CorePorts): readonly Route[] {
  return [
    defineRoute({
      id: 'testConnector',
      method: 'POST',
      url: '/v1/connectors/:ref/test',
      summary: 'Validate arguments and evaluate the policies; with mode live also carry it out.',
      tag: 'connectors',
      scope: 'actions:write',
      params: refParams,
      body,
      response: { 200: answer, 202: answer },
      idempotent: {},
      timeoutMs: 60_000 + SLACK_MS,
      handler: async ({ caller, params, body, nowMs, signal }) => {
        const installed = ports.connectors.find(caller.tenantId, params.ref);
        if (installed === undefined) throw notFound('connector');
        const tool = toolNamed(body.tool);
        if (tool === undefined) {
          const names = TOOLS.map(({ name }) => name).join(', ');
          throw new ApiError('invalid_parameter', `tool is none of this connector; there are ${names}`);
        }
        const { connectionId } = installed.connection;
        const { capability } = tool;
        const { args, mode, value = null } = body;
        const context = { tenantId: caller.tenantId, target: installed, nowMs };
        const evaluate = (operator: string) => evaluated(ports, { capability, args, operator, value }, context);
        const operator = operatorFor(caller, body.operator, () =>
          likelyOperator(ports.grants.of(installed.connection), capability, evaluate),
        );
        const head = {
          ...{ object: 'connector_test' as const, connector: connectionId, tool: tool.name, capability },
          ...{ mode, operator },
        };
        if (!tool.sideEffect && mode === 'live') {
          throw new ApiError('invalid_parameter', `${tool.name} reads; use GET /v1/read, or mode dry_run`);
        }
        const action = {
          tenantId: caller.tenantId,
          connection: connectionId,
          capability,
          args,
          idempotencyKey: body.idempotency_key ?? testKey(operator, capability, args),
          operator,
          mode,
          value,
        };
        const problems = tool.sideEffect ? wrongWith(action, nowMs) : [];
        if (problems.length > 0) return { body: { ...head, ...NOTHING, outcome: 'invalid', problems: [...problems] } };
        const told = evaluate(operator);
        if (mode === 'dry_run') {
          return {
            body: {
              ...head,
              ...NOTHING,
              verdict: {
                ...{ decision: told.decision, rule: told.policy?.rule ?? null, reason: told.reason },
                code: told.code,
              },
              outcome: told.decision === 'BLOCK' ? 'refused' : 'dry_run',
              policy: told.policy,
            },
          };
        }
        const sent = await ports.actions.send(action, { waitMs: body.wait_ms, signal });
        if (sent.kind === 'invalid') {
          return { body: { ...head, ...NOTHING, outcome: 'invalid', problems: [...sent.problems] } };
        }
        const { commandId } = sent;
        if (sent.kind === 'pending') {
          return { status: 202, body: { ...head, ...NOTHING, outcome: 'pending', command_id: commandId } };
        }
        return { body: { ...head, ...NOTHING, command_id: commandId, ...ofReceipt(sent.receipt) } };
      },
    }),
  ];
}

const NOTHING = {
  verdict: null,
  policy: null,
  command_id: null,
  receipt: null,
  problems: [],
} satisfies Partial<Answer>;

/** T1 */
function operatorFor({ scopes }: TenantCaller, named: string | undefined, likely: () => string | undefined): string {
  const mayAdminister = scopes.has('connectors:write');
  if (named === CONNECTOR_TEST && !mayAdminister) {
    throw new ApiError('insufficient_scope', `only a token with connectors:write may act as ${CONNECTOR_TEST}`);
  }
  const operator = named ?? (mayAdminister ? CONNECTOR_TEST : likely());
  if (operator === undefined) {
    throw new ApiError('invalid_parameter', 'operator is missing, and nobody was granted the capability');
  }
  return operator;
}

/** One that may use it stands for what operators would get. */
function likelyOperator(
  { granted }: Grants,
  capability: string,
  evaluate: (operator: string) => { readonly decision: string },
): string | undefined {
  const able = [...granted].flatMap(([operator, names]) => (names.has(capability) ? [operator] : [])).sort();
  return able.find((operator) => evaluate(operator).decision !== 'BLOCK') ?? able[0];
}

function wrongWith(action: Omit<CommandInput, 'commandId' | 'correlationId'>, nowMs: number): Answer['problems'] {
  const composed = composeCommand({ ...action, commandId: 'test', correlationId: 'test' }, nowMs);
  return 'problems' in composed ? [...composed.problems] : [];
}

/** The same test again is the same side effect: a second note is what nobody wants of a check. */
function testKey(operator: string, capability: string, args: unknown): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([capability, args]))
    .digest('hex')
    .slice(0, 24);
  return `${operator}:test:${hash}`;
}

function ofReceipt(receipt: WireReceipt): Pick<Answer, 'verdict' | 'outcome' | 'policy' | 'receipt'> {
  const { verdict, policy, outcome, error, receipt_id } = receipt;
  return {
    verdict: {
      ...{ decision: verdict.decision, rule: verdict.rule, reason: error?.message ?? null },
      code: verdict.decision === 'BLOCK' ? (error?.code ?? null) : null,
    },
    outcome,
    policy: policy === null ? null : { ...policy, rule: verdict.rule },
    receipt: { object: 'receipt', id: receipt_id, ...receipt },
  };
}
