/** What a rule is called in the quota topics: of one length, and without names that somebody chose. */
import { hash } from 'node:crypto';
import type { QuotaNeed } from '../../fibric/policy/compile.ts';

const HEX_DIGITS = 32;
export const RULE_ID = /^[0-9a-f]{32}$/;

/** A rule that is compiled once is asked for with every command. */
const known = new WeakMap<object, string>();

/** The form is part of what is stored: change it and what is used is forgotten. */
export function ruleIdOf(need: Pick<QuotaNeed, 'key'>): string {
  const ruleId = known.get(need) ?? hash('sha256', `fibric quota 1\n${need.key}`, 'hex').slice(0, HEX_DIGITS);
  known.set(need, ruleId);
  return ruleId;
}
