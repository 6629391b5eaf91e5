/**
 * May this be done? The policies of the tenant and the grants of the operator decide, and the answer is no unless
 * somebody said yes.
 *
 * P1 Closed by default: no policy, no rule that matches, or no grant → BLOCK, naming what is absent.
 * P2 A deny that matches blocks, whatever else allows.
 * P3 Every constraint of every matching rule must hold, whichever policy it stands in; the first that fails blocks and
 *    is named. What cannot be judged (no value, no argument, an unknown count) has failed.
 * P4 A rule that asks for confirmation makes ALERT of what would be ALLOW; it never lifts a BLOCK.
 * P5 The same policies, grants, request and counts give the same decision, in whatever order policies were applied.
 * P6 Total: no arguments make it throw.
 * P7 A decision names every quota that must be reserved before the call. It only looks at the counts: the reservation
 *    decides, and a decision without one promises nothing.
 *
 * A rule with a constraint is two things: it lets the capability through, and it narrows it for all that match. So
 * taking such a rule away can allow more. Never allowing more: adding a deny or a constraint, taking away an unconstrained
 * allow, taking away all rules of a capability, a policy's name for another order, more use, less granted.
 */
import type { Ceiling, Citation, CompiledPolicies, FlightNeed, QuotaNeed, RuleSet } from './compile.ts';
import { type Grants, grantOf } from './grants.ts';

export interface PolicyRequest {
  readonly capability: string;
  /** Null = none is known; then nothing is granted. */
  readonly operator: string | null;
  /** As they came; only fields that rules name are looked at. */
  readonly args: unknown;
  /** The worth of the action, where it has one. */
  readonly value: number | null;
}

/** What stands beside the request: who may what, and how much of a quota is used. */
export interface PolicyContext {
  readonly policies: CompiledPolicies;
  readonly grants: Grants;
  readonly nowMs: number;
  /** Granted in the window that ends now, as far as is known here; null = unknown, which blocks. */
  readonly used: (quota: QuotaNeed, nowMs: number) => number | null;
}

export type PolicyCause =
  | 'allowed'
  | 'needs_confirmation'
  | 'denied'
  | 'unreadable'
  | 'no_policy'
  | 'no_rule'
  | 'not_exposed'
  | 'not_granted'
  | 'value_missing'
  | 'value_exceeded'
  | 'argument_missing'
  | 'limit_reached'
  | 'limit_unknown';

export interface PolicyDecision {
  readonly decision: 'ALLOW' | 'ALERT' | 'BLOCK';
  readonly cause: PolicyCause;
  /** The rule it rests on; null when it rests on the absence of one, or of a grant. */
  readonly citation: Citation | null;
  /** One sentence for people. Holds names of rules and arguments, and no argument's value. */
  readonly reason: string;
  /** To be reserved, all of them, before the call; empty on BLOCK. */
  readonly quotas: readonly QuotaNeed[];
  /** `field:value` of which only one write may be in flight; empty on BLOCK. */
  readonly flights: readonly string[];
}

const NONE: readonly never[] = Object.freeze([]);
/** Longer ids are not ids. */
const MAX_FLIGHT_LENGTH = 255;

export function evaluatePolicy(request: PolicyRequest, context: PolicyContext): PolicyDecision {
  const { capability, operator } = request;
  const { policies, grants } = context;
  const rules = rulesFor(policies, capability, operator);
  if (rules === undefined) return blockedByAbsence(policies, request);
  const { denial, confirmation, allowance } = rules;
  if (denial !== null) return block('denied', denial, `${cite(denial)} denies it`);
  // A rule that neither allows, asks nor denies does not exist, so one of them stands.
  const rest = (confirmation ?? allowance) as Citation;
  const flights: string[] = [];
  const failed =
    failedCeiling(rules.ceilings, request.value) ??
    failedFlight(rules.flights, request.args, flights) ??
    failedQuota(rules.quotas, context);
  if (failed !== null) return failed;
  const grant = grantOf(grants, operator, capability);
  if (grant !== 'granted') return blockedByGrant(grant, request);
  return {
    decision: confirmation === null ? 'ALLOW' : 'ALERT',
    cause: confirmation === null ? 'allowed' : 'needs_confirmation',
    citation: rest,
    reason: confirmation === null ? `${cite(rest)} allows it` : `${cite(rest)} asks for a person's approval`,
    quotas: rules.quotas,
    flights,
  };
}

/** Undefined when no rule matches. */
function rulesFor(policies: CompiledPolicies, capability: string, operator: string | null): RuleSet | undefined {
  const found = policies.byCapability.get(capability);
  const rules = (operator === null ? undefined : found?.byOperator.get(operator)) ?? found?.others;
  if (rules === undefined || (rules.denial ?? rules.confirmation ?? rules.allowance) === null) return undefined;
  return rules;
}

/** `support-writes v3 rule 1 (allow: conversation.note.write)` */
export function cite({ policy, version, rule, text }: Citation): string {
  return `${policy} v${version} rule ${rule} (${text})`;
}

function block(cause: PolicyCause, citation: Citation | null, reason: string): PolicyDecision {
  return { decision: 'BLOCK', cause, citation, reason, quotas: NONE, flights: NONE };
}

function blockedByAbsence(
  { policies, byCapability, closed }: CompiledPolicies,
  request: PolicyRequest,
): PolicyDecision {
  if (closed !== undefined) return block('unreadable', null, closed);
  const capability = shown(request.capability);
  if (policies === 0) return block('no_policy', null, 'no policy is applied; without one everything is blocked');
  if (!byCapability.has(request.capability)) {
    return block('no_rule', null, `no rule of the ${policies} applied policies names ${capability}`);
  }
  const whom = request.operator === null ? 'a command without operator' : `the operator ${shown(request.operator)}`;
  return block('no_rule', null, `the rules for ${capability} apply to other operators, none to ${whom}`);
}

function blockedByGrant(grant: 'not_exposed' | 'not_granted', request: PolicyRequest): PolicyDecision {
  const capability = shown(request.capability);
  if (grant === 'not_exposed') return block(grant, null, `the connection does not expose ${capability}`);
  const reason =
    request.operator === null
      ? `a command without operator has no grant of ${capability}`
      : `the operator ${shown(request.operator)} has no grant of ${capability}`;
  return block(grant, null, reason);
}

function failedCeiling(ceilings: readonly Ceiling[], value: unknown): PolicyDecision | null {
  for (const { maxValue, citation } of ceilings) {
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
      const reason = `${cite(citation)} bounds the value by ${maxValue}, and the action has none that can be judged`;
      return block('value_missing', citation, reason);
    }
    if (value > maxValue) {
      return block('value_exceeded', citation, `${cite(citation)} bounds the value by ${maxValue}; it is ${value}`);
    }
  }
  return null;
}

function failedFlight(needs: readonly FlightNeed[], args: unknown, flights: string[]): PolicyDecision | null {
  for (const { field, citation } of needs) {
    const value = argument(args, field);
    if (value === null) {
      const reason = `${cite(citation)} wants one write in flight per ${field}, which the arguments do not name`;
      return block('argument_missing', citation, reason);
    }
    flights.push(`${field}:${value}`);
  }
  return null;
}

/** Only own data fields: nothing is called, whatever the arguments are. */
function argument(args: unknown, field: string): string | null {
  if (typeof args !== 'object' || args === null) return null;
  const value: unknown = Object.getOwnPropertyDescriptor(args, field)?.value;
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_FLIGHT_LENGTH ? value : null;
}

function failedQuota(quotas: readonly QuotaNeed[], { used, nowMs }: PolicyContext): PolicyDecision | null {
  for (const quota of quotas) {
    const count = used(quota, nowMs);
    if (typeof count === 'number' && count >= 0 && count < quota.max) continue;
    const { citation, max, per } = quota;
    return count !== null && count >= max
      ? block('limit_reached', citation, `${cite(citation)} allows ${max} per ${per}; they are used up`)
      : block('limit_unknown', citation, `how much of the ${max} per ${per} of ${cite(citation)} is used is not known`);
  }
  return null;
}

/** Names come from commands: they may be anything, also what is no text and cannot be made one (P6). */
function shown(name: unknown): string {
  if (typeof name !== 'string') return 'what is no name';
  return name.length > 100 ? `${name.slice(0, 100)}…` : name;
}
