/**
 * The policy decided the plain way: look through all rules of all documents, every time. The bench divides by it, and the
 * tests hold the compiled one to it.
 */
import type { PolicyDocument, PolicyRule } from '../../src/fibric/policy/document.ts';
import { type Grants, grantOf } from '../../src/fibric/policy/grants.ts';

export interface LinearRequest {
  readonly capability: string;
  readonly operator: string | null;
  readonly args: Readonly<Record<string, unknown>>;
  readonly value: number | null;
}

/** `used` by name of the policy and rule, as far as the window. */
export type LinearUsed = (policy: string, rule: PolicyRule) => number;

export function decideLinearly(
  documents: readonly PolicyDocument[],
  grants: Grants,
  { capability, operator, args, value }: LinearRequest,
  used: LinearUsed,
): 'ALLOW' | 'ALERT' | 'BLOCK' {
  let isAllowed = false;
  let isHeld = false;
  for (const { name, appliesTo, rules } of documents) {
    if (appliesTo !== null && appliesTo !== operator) continue;
    for (const rule of rules) {
      if (rule.capability !== capability) continue;
      if (rule.kind === 'deny') return 'BLOCK';
      if (rule.maxValue !== null && (value === null || value < 0 || value > rule.maxValue)) return 'BLOCK';
      if (rule.singleFlight !== null && typeof args[rule.singleFlight] !== 'string') return 'BLOCK';
      if (rule.limit !== null && used(name, rule) >= rule.limit.max) return 'BLOCK';
      isAllowed = true;
      isHeld ||= rule.kind === 'require_confirmation';
    }
  }
  if (!isAllowed || grantOf(grants, operator, capability) !== 'granted') return 'BLOCK';
  return isHeld ? 'ALERT' : 'ALLOW';
}
