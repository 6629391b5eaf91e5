/** What tries policies without doing anything: a text, and an action. */
import { z } from 'zod';
import { blockCode } from '../../fibric/block-code.ts';
import { CAPABILITIES } from '../../fibric/policy/capabilities.ts';
import { evaluatePolicy } from '../../fibric/policy/evaluate.ts';
import { type ParsedPolicy, parsePolicy } from '../../fibric/policy/parse.ts';
import { notFound } from '../errors.ts';
import { onlyOne } from '../grants.ts';
import { connectionRef, operatorName } from '../names.ts';
import type { CorePorts, Installed } from '../ports.ts';
import { defineRoute, type Route } from '../route.ts';
import { problemRow, shownProblem } from './problems.ts';
import { documentBody, ruleRow } from './rows.ts';
import { ruleFields } from './text.ts';

const evaluation = z.strictObject({
  object: z.literal('policy_evaluation'),
  decision: z.enum(['ALLOW', 'ALERT', 'BLOCK']),
  cause: z.string(),
  code: z.string().nullable().describe('On BLOCK: the code that the error of a receipt has.'),
  reason: z.string(),
  policy: z.strictObject({ name: z.string(), version: z.number().int(), rule: z.string() }).nullable(),
  limits: z.array(
    z.strictObject({
      policy: z.string(),
      rule: z.string(),
      per: z.string(),
      max: z.number(),
      used: z.number().nullable(),
    }),
  ),
});

const evaluateBody = z.strictObject({
  capability: z.string().max(128),
  args: z.record(z.string(), z.unknown()).default({}),
  operator: operatorName,
  connection: connectionRef.optional(),
  value: z.number().nullable().optional(),
});

export function tryRoutes(ports: Pick<CorePorts, 'policies' | 'grants' | 'connectors'>): readonly Route[] {
  return [
    defineRoute({
      id: 'validatePolicy',
      method: 'POST',
      url: '/v1/policies/validate',
      summary: 'Say everything that is wrong with a policy, without applying it.',
      tag: 'policies',
      scope: 'policies:read',
      body: documentBody,
      response: {
        200: z.strictObject({
          object: z.literal('policy_validation'),
          valid: z.boolean(),
          name: z.string().nullable(),
          rules: z.array(ruleRow),
          problems: z.array(problemRow),
        }),
      },
      handler: async ({ body }) => {
        const parsed: ParsedPolicy = parsePolicy(body.document, CAPABILITIES);
        const nothing = { name: null, rules: [], problems: [] };
        const told = parsed.ok
          ? { ...nothing, name: parsed.document.name, rules: parsed.document.rules.map(ruleFields) }
          : { ...nothing, problems: parsed.problems.map(shownProblem) };
        return { body: { object: 'policy_validation' as const, valid: parsed.ok, ...told } };
      },
    }),
    defineRoute({
      id: 'evaluatePolicies',
      method: 'POST',
      url: '/v1/policies/evaluate',
      summary: 'What the policies and grants would say of an action, without doing it.',
      tag: 'policies',
      scope: 'policies:read',
      body: evaluateBody,
      response: { 200: evaluation },
      handler: async ({ caller, body, nowMs }) => {
        const { capability, args, operator, value = null } = body;
        const target =
          body.connection === undefined
            ? onlyOne(ports, caller)
            : ports.connectors.find(caller.tenantId, body.connection);
        if (target === undefined) throw notFound('connector');
        return { body: evaluated(ports, { capability, args, operator, value }, { ...caller, target, nowMs }) };
      },
    }),
  ];
}

interface EvaluateContext {
  readonly tenantId: string;
  readonly target: Pick<Installed, 'connection'>;
  readonly nowMs: number;
}

interface EvaluateRequest {
  readonly capability: string;
  readonly args: unknown;
  readonly operator: string;
  readonly value: number | null;
}

/** What `evaluatePolicies` answers; the connector test asks the same. */
export function evaluated(
  { policies, grants }: Pick<CorePorts, 'policies' | 'grants'>,
  request: EvaluateRequest,
  { tenantId, target, nowMs }: EvaluateContext,
): z.input<typeof evaluation> {
  const compiled = policies.of(tenantId);
  const decision = evaluatePolicy(request, {
    policies: compiled,
    grants: grants.of(target.connection),
    nowMs,
    used: policies.used,
  });
  const { citation } = decision;
  return {
    object: 'policy_evaluation',
    decision: decision.decision,
    cause: decision.cause,
    code: decision.decision === 'BLOCK' ? blockCode(decision.cause, request.capability, compiled) : null,
    reason: decision.reason,
    policy: citation === null ? null : { name: citation.policy, version: citation.version, rule: citation.text },
    limits: decision.quotas.map((quota) => ({
      policy: quota.citation.policy,
      rule: quota.citation.text,
      per: quota.per,
      max: quota.max,
      used: policies.used(quota, nowMs),
    })),
  };
}
