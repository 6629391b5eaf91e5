/** A limit as the places of tests are taken in: of one rule, by the hour unless said otherwise. */
import type { QuotaNeed } from '../../../src/fibric/policy/compile.ts';

export const HOUR_MS = 3_600_000;

export function need(max: number, more: Partial<QuotaNeed> = {}): QuotaNeed {
  const citation = { policy: 'support-writes', version: 3, rule: 1, text: 'allow: conversation.note.write' };
  return { key: 't_acme/support-writes/allow/note/hour', max, per: 'hour', windowMs: HOUR_MS, citation, ...more };
}
