/**
 * Why an action was blocked, as the error code its receipt carries: what to do differs, and whoever tells people must not have
 * to read it out of the message. Pure.
 */
import type { ErrorCode } from '../base/errors.ts';
import type { CompiledPolicies } from './policy/compile.ts';
import type { PolicyCause } from './policy/evaluate.ts';

const BY_CAUSE: Partial<Record<PolicyCause, ErrorCode>> = {
  limit_reached: 'limit_reached',
  limit_unknown: 'limit_reached',
  not_granted: 'grant_missing',
  not_exposed: 'capability_not_exposed',
};

export function blockCode(
  cause: PolicyCause,
  capability: string,
  { byCapability }: Pick<CompiledPolicies, 'byCapability'>,
): ErrorCode {
  // Rules there are, and none for this operator.
  if (cause === 'no_rule' && byCapability.has(capability)) return 'operator_without_rule';
  return BY_CAUSE[cause] ?? 'policy_blocked';
}
