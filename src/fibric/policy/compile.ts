/**
 * The active policies of a tenant, arranged for deciding: by capability, then by operator, so that a decision looks only
 * at rules that match. Made once per change of a policy; decisions share its objects, which are frozen.
 */
import { type PolicyRule, ruleText, WINDOW_MS, type WindowUnit } from './document.ts';
import { activePolicies, currentVersion, type PolicySet } from './versions.ts';

/** The rule a decision rests on, as a receipt cites it. */
export interface Citation {
  readonly policy: string;
  readonly version: number;
  /** Place in its document, from 1. */
  readonly rule: number;
  /** Such as `allow: conversation.note.write`. */
  readonly text: string;
}

/** What must be reserved before the call is made; see quota.ts. */
export interface QuotaNeed {
  /** Of the tenant and the rule, the same for all its versions: applying a policy again does not begin a new count. */
  readonly key: string;
  readonly max: number;
  readonly per: WindowUnit;
  readonly windowMs: number;
  readonly citation: Citation;
}

export interface Ceiling {
  readonly maxValue: number;
  readonly citation: Citation;
}

export interface FlightNeed {
  readonly field: string;
  readonly citation: Citation;
}

/** All rules that match one capability and one operator. */
export interface RuleSet {
  /** The first that denies; then nothing else matters. */
  readonly denial: Citation | null;
  /** The first that asks for confirmation. */
  readonly confirmation: Citation | null;
  readonly allowance: Citation | null;
  readonly ceilings: readonly Ceiling[];
  /** One for each field. */
  readonly flights: readonly FlightNeed[];
  readonly quotas: readonly QuotaNeed[];
}

export interface CapabilityRules {
  /** For operators no policy names. */
  readonly others: RuleSet;
  readonly byOperator: ReadonlyMap<string, RuleSet>;
}

export interface CompiledPolicies {
  readonly tenantId: string;
  /** How many are in force. */
  readonly policies: number;
  readonly byCapability: ReadonlyMap<string, CapabilityRules>;
  /** Why everything is blocked, whatever the policies say; absent where they are what decides. */
  readonly closed?: string;
}

interface Placed {
  readonly rule: PolicyRule;
  readonly appliesTo: string | null;
  readonly citation: Citation;
}

/** For a tenant whose policies are not known as a whole: the missing one may be what forbids. */
export function closedPolicies(tenantId: string, why: string): CompiledPolicies {
  return { tenantId, policies: 0, byCapability: new Map(), closed: why };
}

export function compilePolicies(tenantId: string, set: PolicySet): CompiledPolicies {
  const active = activePolicies(set);
  const placed = active.flatMap((policy) => {
    const { version, document } = currentVersion(policy);
    return document.rules.map((rule, index): Placed => {
      const citation = Object.freeze({ policy: policy.name, version, rule: index + 1, text: ruleText(rule) });
      return { rule, appliesTo: document.appliesTo, citation };
    });
  });
  const byCapability = new Map<string, CapabilityRules>();
  for (const [capability, rules] of Map.groupBy(placed, ({ rule }) => rule.capability)) {
    const operators = new Set(rules.flatMap(({ appliesTo }) => (appliesTo === null ? [] : [appliesTo])));
    const rulesFor = (operator: string | null): RuleSet =>
      ruleSet(
        tenantId,
        rules.filter(({ appliesTo }) => appliesTo === null || appliesTo === operator),
      );
    byCapability.set(capability, {
      others: rulesFor(null),
      byOperator: new Map([...operators].map((operator) => [operator, rulesFor(operator)])),
    });
  }
  return { tenantId, policies: active.length, byCapability };
}

function ruleSet(tenantId: string, rules: readonly Placed[]): RuleSet {
  const first = (kind: PolicyRule['kind']): Citation | null =>
    rules.find(({ rule }) => rule.kind === kind)?.citation ?? null;
  const flights = new Map<string, FlightNeed>();
  for (const { rule, citation } of rules) {
    const field = rule.singleFlight;
    if (field !== null && !flights.has(field)) flights.set(field, Object.freeze({ field, citation }));
  }
  return {
    denial: first('deny'),
    confirmation: first('require_confirmation'),
    allowance: first('allow'),
    ceilings: rules.flatMap(({ rule: { maxValue }, citation }) => (maxValue === null ? [] : [{ maxValue, citation }])),
    flights: [...flights.values()],
    quotas: Object.freeze(rules.flatMap((placed) => quotaOf(tenantId, placed))),
  };
}

function quotaOf(tenantId: string, { rule, citation }: Placed): QuotaNeed[] {
  if (rule.limit === null) return [];
  const { per, max } = rule.limit;
  const key = [tenantId, citation.policy, rule.kind, rule.capability, per].join('/');
  return [Object.freeze({ key, max, per, windowMs: WINDOW_MS[per], citation })];
}
