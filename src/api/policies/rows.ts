/** Policies as the API takes and shows them. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { RULE_KINDS, WINDOW_UNITS } from '../../fibric/policy/document.ts';
import { currentVersion, type Policy, type PolicyChange, type PolicyVersion } from '../../fibric/policy/versions.ts';
import { notFound } from '../errors.ts';
import { rfc3339, time } from '../query.ts';
import { policyYaml, ruleFields } from './text.ts';

export const ruleRow = z.strictObject({
  ...Object.fromEntries(RULE_KINDS.map((kind) => [kind, z.string().optional()])),
  limit: z.strictObject({ per: z.enum(WINDOW_UNITS as [string, ...string[]]), max: z.number() }).optional(),
  single_flight: z.string().optional(),
  max_value: z.number().optional(),
});

export const documentBody = z.strictObject({
  document: z.string().max(40_000, 'is longer than a policy may be').describe('The YAML text of one policy.'),
});

export const policyRow = z.strictObject({
  object: z.literal('policy'),
  id: z.string(),
  name: z.string(),
  status: z.enum(['active', 'disabled', 'deleted']),
  version: z.number().int(),
  document: z.string().describe('YAML.'),
  applies_to: z.string().nullable().describe('Operator; null = every one.'),
  rules: z.array(ruleRow),
  created_at: time,
  updated_at: time,
  applied_by: z.string(),
  /** What the request came to. */
  change: z.enum(['created', 'changed', 'activated', 'unchanged', 'disabled', 'deleted']).optional(),
});

export function changed(tenantId: string, { policy: one, outcome }: PolicyChange): z.input<typeof policyRow> {
  if (one === null) throw notFound('policy');
  return { ...shown(tenantId, one), change: outcome as 'created' };
}

export function shown(
  tenantId: string,
  one: Policy,
  version: PolicyVersion = currentVersion(one),
): z.input<typeof policyRow> & { readonly change?: never } {
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
