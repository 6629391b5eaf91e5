/** Why an action was blocked, in one code each: whoever tells people what to do goes by it. */
import { expect, it } from 'vitest';
import { blockCode } from '../../../src/fibric/block-code.ts';
import { CAPABILITIES } from '../../../src/fibric/policy/capabilities.ts';
import { type CompiledPolicies, closedPolicies, compilePolicies } from '../../../src/fibric/policy/compile.ts';
import { evaluatePolicy } from '../../../src/fibric/policy/evaluate.ts';
import type { Grants } from '../../../src/fibric/policy/grants.ts';
import { parsePolicy } from '../../../src/fibric/policy/parse.ts';
import { changePolicies } from '../../../src/fibric/policy/versions.ts';

const NOTE = 'conversation.note.write';
const NOTHING = compilePolicies('t_a', new Map());

function policies(yaml: string): CompiledPolicies {
  const parsed = parsePolicy(yaml, CAPABILITIES);
  if (!parsed.ok) throw new Error('the policy of the test is none');
  const change = changePolicies(new Map(), { do: 'apply', document: parsed.document, by: 'test', nowMs: 0 });
  return compilePolicies('t_a', change.set);
}

const allowing = (head: string) => policies(`policy: p\n${head}rules:\n  - allow: ${NOTE}\ndefault: deny\n`);
const GRANTED: Grants = { exposed: new Set([NOTE]), granted: new Map([['ann', new Set([NOTE])]]) };
const UNGRANTED: Grants = { ...GRANTED, granted: new Map() };
const UNEXPOSED: Grants = { exposed: new Set(), granted: new Map() };
const limited = policies(`policy: p\nrules:\n  - allow: ${NOTE}\n    limit: {per: hour, max: 1}\ndefault: deny\n`);

it.each([
  ['no policy', NOTHING, GRANTED, 0, 'policy_blocked'],
  ['policies that cannot be read', closedPolicies('t_a', 'damaged'), GRANTED, 0, 'policy_blocked'],
  [
    'no rule of the capability',
    policies('policy: p\nrules:\n  - allow: conversation.status.write\ndefault: deny\n'),
    GRANTED,
    0,
    'policy_blocked',
  ],
  ['rules of other operators', allowing('applies_to: bob\n'), GRANTED, 0, 'operator_without_rule'],
  [
    'a rule that forbids',
    policies(`policy: p\nrules:\n  - deny: ${NOTE}\ndefault: deny\n`),
    GRANTED,
    0,
    'policy_blocked',
  ],
  ['no grant', allowing(''), UNGRANTED, 0, 'grant_missing'],
  ['no key', allowing(''), UNEXPOSED, 0, 'capability_not_exposed'],
  ['a limit', limited, GRANTED, 1, 'limit_reached'],
  ['a limit nobody knows', limited, GRANTED, null, 'limit_reached'],
] as const)('%s', (_, compiled, grants, used, code) => {
  const request = { capability: NOTE, operator: 'ann', args: {}, value: null };
  const decided = evaluatePolicy(request, { policies: compiled, grants, nowMs: 0, used: () => used });
  expect([decided.decision, blockCode(decided.cause, NOTE, compiled)]).toEqual(['BLOCK', code]);
});
