/** From what the policies say to what the life of a command goes on from, and what its receipt cites. Pure. */
import type { ErrorCode } from '../base/errors.ts';
import type { PolicyDecision as Evaluated } from '../fibric/policy/evaluate.ts';
import { NO_POLICY, type PolicyRef } from './ledger/entry.ts';
import type { PolicyDecision } from './lifecycle/events.ts';

interface GateContext {
  readonly nowMs: number;
  readonly approvalTtlMs: number;
  readonly moved: boolean;
  /** Of the receipt, should it be blocked. */
  readonly code: ErrorCode;
}

export function policyDecision(
  { decision, citation, reason, quotas }: Evaluated,
  { nowMs, approvalTtlMs, moved, code }: GateContext,
): PolicyDecision {
  const policy: PolicyRef =
    citation === null
      ? NO_POLICY
      : { policy: citation.policy, version: citation.version, rule: citation.text, tier: null };
  const reserve = quotas.length > 0;
  if (decision === 'ALLOW') return { decision, policy, reserve, moved };
  if (decision === 'ALERT') return { decision, policy, reserve, moved, expiresAtMs: nowMs + approvalTtlMs };
  return { decision, policy, code, message: reason };
}
