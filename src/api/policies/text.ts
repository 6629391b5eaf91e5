/** A policy as YAML, the way the connect guide writes them. Comments and layout of what was applied are not kept. */
import { stringify } from 'yaml';
import type { PolicyDocument, PolicyRule } from '../../fibric/policy/document.ts';

export function policyYaml({ name, appliesTo, rules }: PolicyDocument): string {
  return stringify({
    policy: name,
    ...(appliesTo !== null && { applies_to: appliesTo }),
    rules: rules.map(ruleFields),
    default: 'deny',
  });
}

/** A rule as the document has it. */
export function ruleFields({ kind, capability, limit, singleFlight, maxValue }: PolicyRule) {
  return {
    [kind]: capability,
    ...(limit !== null && { limit: { per: limit.per, max: limit.max } }),
    ...(singleFlight !== null && { single_flight: singleFlight }),
    ...(maxValue !== null && { max_value: maxValue }),
  };
}
