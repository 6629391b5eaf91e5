/** What a rule is called in the quota topics: of one length, and without names that somebody chose. */
import { hash } from 'node:crypto';
import type { QuotaNeed } from '../../fibric/policy/compile.ts';

const HEX_DIGITS = 32;
export const RULE_ID = /^[0-9a-f]{32}$/;

/** The form is part of what is stored: change it and what is used is forgotten. */
export function ruleIdOf({ key }: Pick<QuotaNeed, 'key'>): string {
  return hash('sha256', `fibric quota 1\n${key}`, 'hex').slice(0, HEX_DIGITS);
}
