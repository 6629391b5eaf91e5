/** Policies: applied, checked, read with their versions, tried out. What no policy allows is blocked. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CAPABILITIES } from '../fibric/policy/capabilities.ts';
import { RULE_KINDS, WINDOW_UNITS } from '../fibric/policy/document.ts';
import { evaluatePolicy } from '../fibric/policy/evaluate.ts';
import { type ParsedPolicy, parsePolicy } from '../fibric/policy/parse.ts';
import type { PolicyProblem } from '../fibric/policy/problems.ts';
import { currentVersion, type Policy, type PolicyChange, type PolicyVersion } from '../fibric/policy/versions.ts';
import { byLine } from './caller.ts';
import { ApiError, type ApiProblem, notFound } from './errors.ts';
import { onlyOne } from './grants.ts';
import { connectionRef, operatorName } from './names.ts';
import { listOf, pageQuery, paginate, timeKey } from './pagination.ts';
import { policyYaml, ruleFields } from './policy-text.ts';
import type { CorePorts, Installed } from './ports.ts';
import { integer, rfc3339, time } from './query.ts';
import { defineRoute, type Route } from './route.ts';

type Ports = Pick<CorePorts, 'policies' | 'grants' | 'connectors'>;

const rule = z.strictObject({
  ...Object.fromEntries(RULE_KINDS.map((kind) => [kind, z.string().optional()])),
  limit: z.strictObject({ per: z.enum(WINDOW_UNITS as [string, ...string[]]), max: z.number() }).optional(),
  single_flight: z.string().optional(),
  max_value: z.number().optional(),
});

const policy = z.strictObject({
  object: z.literal('policy'),
  id: z.string(),
  name: z.string(),
  status: z.enum(['active', 'disabled', 'deleted']),
  version: z.number().int(),
  document: z.string().describe('YAML.'),
  applies_to: z.string().nullable().describe('Operator; null = every one.'),
  rules: z.array(rule),
  created_at: time,
  updated_at: time,
  applied_by: z.string(),
  /** What the request came to. */
  change: z.enum(['created', 'changed', 'activated', 'unchanged', 'disabled', 'deleted']).optional(),
});

/** Of one that could not be read: there is nothing else to say of it. */
const discarded = z.strictObject({ object: z.literal('policy_discarded'), name: z.string() });

const problem = z.strictObject({
  field: z.null(),
  code: z.string(),
  message: z.string(),
  remedy: z.string(),
  line: z.number().int(),
  column: z.number().int(),
});

const documentBody = z.strictObject({
  document: z.string().max(40_000, 'is longer than a policy may be').describe('The YAML text of one policy.'),
});

/** Anything, so that a name that no policy can have is answered as one that none has. */
const nameParams = z.object({ name: z.string() });

const evaluation = z.strictObject({
  object: z.literal('policy_evaluation'),
  decision: z.enum(['ALLOW', 'ALERT', 'BLOCK']),
  cause: z.string(),
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

/** Deleted ones too: their versions are kept, in the memory of every process. */
export const MAX_POLICY_NAMES = 1_000;

export function policyRoutes(ports: Ports): readonly Route[] {
  const { policies } = ports;
  const found = (tenantId: string, name: string): Policy => {
    const one = policies.set(tenantId).get(name);
    if (one !== undefined && one.status !== 'deleted') return one;
    throw unreadable(ports, tenantId, name) ?? notFound('policy');
  };
  return [
    defineRoute({
      id: 'applyPolicy',
      method: 'POST',
      url: '/v1/policies',
      summary: 'Apply a policy: a new one, or a new version of the one of that name. In force at once.',
      tag: 'policies',
      scope: 'policies:write',
      body: documentBody,
      response: { 200: policy, 201: policy },
      idempotent: {},
      handler: async ({ caller, body }) => {
        const parsed = parsePolicy(body.document, CAPABILITIES);
        if (!parsed.ok) throw invalid(parsed.problems);
        const { tenantId } = caller;
        const broken = unreadable(ports, tenantId, parsed.document.name);
        if (broken !== undefined) throw broken;
        const all = policies.set(tenantId);
        if (all.size >= MAX_POLICY_NAMES && !all.has(parsed.document.name)) {
          const message = `there are ${MAX_POLICY_NAMES} policies with those that were deleted; use the name of one of them`;
          throw new ApiError('state_conflict', message);
        }
        const change = await policies.apply(tenantId, parsed.document, byLine(caller));
        if (change.outcome === 'full') throw new ApiError('state_conflict', 'too many policies are in force');
        return { status: change.outcome === 'created' ? 201 : 200, body: changed(tenantId, change) };
      },
    }),
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
          rules: z.array(rule),
          problems: z.array(problem),
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
    defineRoute({
      id: 'listPolicies',
      method: 'GET',
      url: '/v1/policies',
      summary: 'The policies of the tenant, the last changed first.',
      tag: 'policies',
      scope: 'policies:read',
      query: z.strictObject({ ...pageQuery, status: z.enum(['active', 'disabled']).optional() }),
      response: { 200: listOf(policy) },
      handler: async ({ caller, query }) => {
        const { status, ...page } = query;
        const all = [...policies.set(caller.tenantId).values()].filter(
          (one) => one.status !== 'deleted' && (status ?? one.status) === one.status,
        );
        const binding = { route: 'listPolicies', tenantId: caller.tenantId, filters: { status } };
        const listed = paginate(all, { ...page, binding, keyOf: (one) => timeKey(one.updatedAtMs, one.name) });
        return { body: { ...listed, data: listed.data.map((one) => shown(caller.tenantId, one)) } };
      },
    }),
    defineRoute({
      id: 'getPolicy',
      method: 'GET',
      url: '/v1/policies/:name',
      summary: 'One policy, as it is or as a version of it was.',
      tag: 'policies',
      scope: 'policies:read',
      params: nameParams,
      query: z.strictObject({ version: integer(1, 1_000_000_000).optional() }),
      response: { 200: policy },
      handler: async ({ caller, params, query }) => {
        // A receipt may cite a version of what has been deleted since.
        const one =
          query.version === undefined
            ? found(caller.tenantId, params.name)
            : policies.set(caller.tenantId).get(params.name);
        const version = one?.versions.find((kept) => kept.version === query.version);
        if (one === undefined || (query.version !== undefined && version === undefined)) throw notFound('policy');
        return { body: shown(caller.tenantId, one, version) };
      },
    }),
    defineRoute({
      id: 'listPolicyVersions',
      method: 'GET',
      url: '/v1/policies/:name/versions',
      summary: 'The versions of a policy that are kept, newest first.',
      tag: 'policies',
      scope: 'policies:read',
      params: nameParams,
      query: z.strictObject(pageQuery),
      response: { 200: listOf(policy) },
      handler: async ({ caller, params, query }) => {
        const { tenantId } = caller;
        const one = policies.set(tenantId).get(params.name);
        if (one === undefined) throw unreadable(ports, tenantId, params.name) ?? notFound('policy');
        const binding = { route: 'listPolicyVersions', tenantId, filters: { name: params.name } };
        const listed = paginate(one.versions, { ...query, binding, keyOf: ({ version }) => timeKey(version, '') });
        return { body: { ...listed, data: listed.data.map((version) => shown(tenantId, one, version)) } };
      },
    }),
    defineRoute({
      id: 'disablePolicy',
      method: 'POST',
      url: '/v1/policies/:name/disable',
      summary: 'Put a policy out of force. Applying it puts it back.',
      tag: 'policies',
      scope: 'policies:write',
      params: nameParams,
      body: z.strictObject({}),
      response: { 200: policy },
      idempotent: {},
      handler: async ({ caller, params }) => {
        found(caller.tenantId, params.name);
        const change = await policies.disable(caller.tenantId, params.name);
        if (change.outcome === 'unknown') throw notFound('policy');
        return { body: changed(caller.tenantId, change) };
      },
    }),
    defineRoute({
      id: 'deletePolicy',
      method: 'DELETE',
      url: '/v1/policies/:name',
      summary:
        'Delete a policy. Its versions stay, for receipts cite them; one that cannot be read goes with all of them.',
      tag: 'policies',
      scope: 'policies:write',
      params: nameParams,
      response: { 200: z.union([policy, discarded]) },
      handler: async ({ caller, params }) => {
        if (unreadable(ports, caller.tenantId, params.name) !== undefined) {
          await policies.discard(caller.tenantId, params.name);
          return { body: { object: 'policy_discarded' as const, name: params.name } };
        }
        found(caller.tenantId, params.name);
        const change = await policies.delete(caller.tenantId, params.name);
        if (change.outcome === 'unknown') throw notFound('policy');
        return { body: changed(caller.tenantId, change) };
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
  const decision = evaluatePolicy(request, {
    policies: policies.of(tenantId),
    grants: grants.of(target.connection),
    nowMs,
    used: policies.used,
  });
  const { citation } = decision;
  return {
    object: 'policy_evaluation',
    decision: decision.decision,
    cause: decision.cause,
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

function changed(tenantId: string, { policy: one, outcome }: PolicyChange): z.input<typeof policy> {
  if (one === null) throw notFound('policy');
  return { ...shown(tenantId, one), change: outcome as 'created' };
}

function shown(
  tenantId: string,
  one: Policy,
  version: PolicyVersion = currentVersion(one),
): z.input<typeof policy> & { readonly change?: never } {
  const { document } = version;
  return {
    object: 'policy',
    id: policyId(tenantId, one.name),
    name: one.name,
    status: one.status,
    version: version.version,
    document: policyYaml(document),
    applies_to: document.appliesTo,
    rules: document.rules.map(ruleFields),
    created_at: rfc3339(one.createdAtMs),
    updated_at: rfc3339(version === currentVersion(one) ? one.updatedAtMs : version.appliedAtMs),
    applied_by: version.appliedBy,
  };
}

/** A policy's name never changes, so its id is made of it. */
function policyId(tenantId: string, name: string): string {
  return `grd_${createHash('sha256').update(`${tenantId}/${name}`).digest('hex').slice(0, 16)}`;
}

function shownProblem({ code, problem, remedy, line, column }: PolicyProblem) {
  return { field: null, code, message: problem, remedy, line, column };
}

function invalid(found: readonly PolicyProblem[]): ApiError {
  const problems: readonly ApiProblem[] = found.map(shownProblem);
  const [first] = found;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return new ApiError(
    'policy_invalid',
    `line ${first?.line}, column ${first?.column}: ${first?.problem}; ${first?.remedy}${more}`,
    { problems },
  );
}

/** One that is there and cannot be read is not missing: everything of the tenant is blocked for its sake. */
function unreadable({ policies }: Ports, tenantId: string, name: string): ApiError | undefined {
  const one = policies.unreadable(tenantId).find(({ key }) => key === `${tenantId}/${name}`);
  if (one === undefined) return undefined;
  const message = `the policy ${name} cannot be read here, so everything is blocked. Delete it, and apply it anew`;
  return new ApiError('state_conflict', message);
}
