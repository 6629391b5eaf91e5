/**
 * A policy: a document of rules, each of which allows, holds for confirmation or denies one capability. What a document
 * does not allow is denied; there is no other default.
 */
import { createHash } from 'node:crypto';

export const RULE_KINDS = ['allow', 'require_confirmation', 'deny'] as const;
export type RuleKind = (typeof RULE_KINDS)[number];

export const WINDOW_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;
export type WindowUnit = keyof typeof WINDOW_MS;
export const WINDOW_UNITS = Object.keys(WINDOW_MS) as readonly WindowUnit[];

export interface RuleLimit {
  readonly per: WindowUnit;
  readonly max: number;
}

export interface PolicyRule {
  readonly kind: RuleKind;
  readonly capability: string;
  /** So many in any window of this length. */
  readonly limit: RuleLimit | null;
  /** The argument of which one write at a time may be in flight. */
  readonly singleFlight: string | null;
  /** The action's value may not exceed it. */
  readonly maxValue: number | null;
}

export interface PolicyDocument {
  /** Unique in its tenant, and how receipts cite it. */
  readonly name: string;
  /** The operator it governs; null = every operator. */
  readonly appliesTo: string | null;
  readonly rules: readonly PolicyRule[];
}

/** Each granted reservation is remembered for its window, so the largest limit bounds the memory of a rule. */
export const MAX_LIMIT = 100_000;
export const MAX_SOURCE_BYTES = 32 * 1024;
export const MAX_NAME_LENGTH = 100;

/** The rule as receipts and refusals name it, such as `allow: conversation.note.write`. */
export function ruleText({ kind, capability }: PolicyRule): string {
  return `${kind}: ${capability}`;
}

/**
 * One text for all ways to write a policy: comments, quotes, indentation, the order of keys and what is left out make no
 * difference. The order of the rules does: receipts cite rules by their number. It is YAML too (JSON is).
 */
export function canonicalText({ name, appliesTo, rules }: PolicyDocument): string {
  return JSON.stringify({
    policy: name,
    ...(appliesTo === null ? {} : { applies_to: appliesTo }),
    rules: rules.map(({ kind, capability, limit, singleFlight, maxValue }) => ({
      [kind]: capability,
      ...(limit === null ? {} : { limit: { per: limit.per, max: limit.max } }),
      ...(singleFlight === null ? {} : { single_flight: singleFlight }),
      ...(maxValue === null ? {} : { max_value: maxValue }),
    })),
    default: 'deny',
  });
}

/** SHA-256 of the canonical text, in hex. */
export function contentHash(document: PolicyDocument): string {
  return createHash('sha256').update(canonicalText(document)).digest('hex');
}
