/** Cites the invariants of evaluate.ts (P1 to P7). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideLinearly } from '../../../../bench/lib/linear-policy.ts';
import { compilePolicies, type QuotaNeed } from '../../../../src/fibric/policy/compile.ts';
import type { PolicyDocument, PolicyRule } from '../../../../src/fibric/policy/document.ts';
import { evaluatePolicy, type PolicyDecision, type PolicyRequest } from '../../../../src/fibric/policy/evaluate.ts';
import { CONNECTOR_TEST, type Grants, grantOf, NO_GRANTS } from '../../../../src/fibric/policy/grants.ts';
import { changePolicies, NO_POLICIES, type PolicySet } from '../../../../src/fibric/policy/versions.ts';
import { CAPABILITIES, documentLists, NAMES, OPERATORS, rules } from './arbitraries.ts';

const NOTE = 'conversation.note.write';
const ALL: Grants = {
  exposed: new Set(CAPABILITIES),
  granted: new Map(OPERATORS.map((operator) => [operator, new Set(CAPABILITIES)])),
};
const FREE = { limit: null, singleFlight: null, maxValue: null };

function setOf(documents: readonly PolicyDocument[]): PolicySet {
  let set = NO_POLICIES;
  for (const document of documents) set = changePolicies(set, { do: 'apply', document, by: 'test', nowMs: 0 }).set;
  return set;
}

interface Circumstances {
  readonly grants?: Grants;
  readonly used?: (quota: QuotaNeed) => number | null;
}

function decide(
  documents: readonly PolicyDocument[],
  request: Partial<PolicyRequest>,
  { grants = ALL, used = () => 0 }: Circumstances = {},
): PolicyDecision {
  const policies = compilePolicies('t_acme', setOf(documents));
  const args = { conversation_id: 'c1', call_id: 'k1', customer_id: 'u1' };
  const full = { capability: NOTE, operator: 'triage', args, value: null, ...request };
  return evaluatePolicy(full, { policies, grants, nowMs: 0, used });
}

const policy = (
  name: string,
  list: readonly Partial<PolicyRule>[],
  appliesTo: string | null = null,
): PolicyDocument => ({
  name,
  appliesTo,
  rules: list.map((rule) => ({ kind: 'allow', capability: NOTE, ...FREE, ...rule })),
});

const short = ({ decision, cause, citation }: PolicyDecision) =>
  `${decision} ${cause}${citation === null ? '' : ` ${citation.policy} v${citation.version} rule ${citation.rule}`}`;

describe('P1: closed by default', () => {
  it.each([
    ['no policy', [], {}, 'BLOCK no_policy'],
    ['no rule for the capability', [policy('a', [{ capability: 'call.status.write' }])], {}, 'BLOCK no_rule'],
    ['no rule for the operator', [policy('a', [{}], 'radar')], {}, 'BLOCK no_rule'],
    ['no rule without operator', [policy('a', [{}], 'radar')], { operator: null }, 'BLOCK no_rule'],
    ['no such capability', [policy('a', [{}])], { capability: '__proto__' }, 'BLOCK no_rule'],
    ['no grant for an unknown operator', [policy('a', [{}])], { operator: 'nobody' }, 'BLOCK not_granted'],
    ['no grant without operator', [policy('a', [{}])], { operator: null }, 'BLOCK not_granted'],
    ['everything there', [policy('a', [{}])], {}, 'ALLOW allowed a v1 rule 1'],
  ])('%s', (_, documents, request, expected) => {
    expect(short(decide(documents, request))).toBe(expected);
  });

  it('names what is absent', () => {
    expect(decide([], {}).reason).toBe('no policy is applied; without one everything is blocked');
    expect(decide([policy('a', [{}], 'radar')], {}).reason).toBe(
      'the rules for conversation.note.write apply to other operators, none to the operator triage',
    );
    expect(decide([policy('a', [{}])], {}, { grants: NO_GRANTS }).reason).toBe(
      'the connection does not expose conversation.note.write',
    );
    expect(decide([policy('a', [{}])], { operator: 'nobody' }).reason).toBe(
      'the operator nobody has no grant of conversation.note.write',
    );
  });

  it('a disabled or deleted policy governs nothing', () => {
    for (const how of ['disable', 'delete'] as const) {
      const { set } = changePolicies(setOf([policy('a', [{}])]), { do: how, name: 'a', nowMs: 1 });
      const policies = compilePolicies('t_acme', set);
      const request = { capability: NOTE, operator: 'triage', args: {}, value: null };
      expect(evaluatePolicy(request, { policies, grants: ALL, nowMs: 0, used: () => 0 }).cause).toBe('no_policy');
    }
  });

  it('the policy speaks before the grants', () => {
    expect(decide([policy('a', [{ kind: 'deny' }])], {}, { grants: NO_GRANTS }).cause).toBe('denied');
  });

  it('granting is of one capability to one operator of one connection', () => {
    const grants: Grants = { exposed: new Set([NOTE]), granted: new Map([['triage', new Set([NOTE, 'x'])]]) };
    expect(grantOf(grants, 'triage', NOTE)).toBe('granted');
    expect(grantOf(grants, 'radar', NOTE)).toBe('not_granted');
    expect(grantOf(grants, 'triage', 'x')).toBe('not_exposed');
    expect(grantOf(grants, null, NOTE)).toBe('not_granted');
  });

  it('who tries a connection has what it exposes without a grant, and the policies apply', () => {
    const grants: Grants = { exposed: new Set([NOTE]), granted: new Map() };
    const tester = { operator: CONNECTOR_TEST };
    expect(grantOf(grants, CONNECTOR_TEST, 'x')).toBe('not_exposed');
    expect(short(decide([policy('a', [{}])], tester, { grants }))).toBe('ALLOW allowed a v1 rule 1');
    expect(short(decide([], tester, { grants }))).toBe('BLOCK no_policy');
    expect(short(decide([policy('a', [{ kind: 'deny' }])], tester, { grants }))).toBe('BLOCK denied a v1 rule 1');
    expect(short(decide([policy('a', [{}], 'radar')], tester, { grants }))).toBe('BLOCK no_rule');
    expect(short(decide([policy('a', [{}])], {}, { grants }))).toBe('BLOCK not_granted');
  });
});

describe('P2, P3, P4: rules together', () => {
  it('P2: a deny wins, wherever it stands', () => {
    const documents = [policy('a', [{}]), policy('z', [{}, { kind: 'deny' }], 'triage')];
    expect(short(decide(documents, {}))).toBe('BLOCK denied z v1 rule 2');
    expect(decide(documents, { operator: 'radar' }).decision).toBe('ALLOW');
  });

  it.each([
    ['a value beyond the ceiling', { maxValue: 10 }, { value: 11 }, 'BLOCK value_exceeded b v1 rule 1'],
    ['a value at the ceiling', { maxValue: 10 }, { value: 10 }, 'ALLOW allowed a v1 rule 1'],
    ['no value where one is bounded', { maxValue: 10 }, { value: null }, 'BLOCK value_missing b v1 rule 1'],
    ['a value that is none', { maxValue: 10 }, { value: Number.NaN }, 'BLOCK value_missing b v1 rule 1'],
    ['a negative value', { maxValue: 10 }, { value: -1 }, 'BLOCK value_missing b v1 rule 1'],
    ['no such argument', { singleFlight: 'conversation_id' }, { args: {} }, 'BLOCK argument_missing b v1 rule 1'],
    [
      'an inherited argument',
      { singleFlight: 'x' },
      { args: Object.create({ x: 'y' }) },
      'BLOCK argument_missing b v1 rule 1',
    ],
    ['an empty argument', { singleFlight: 'x' }, { args: { x: '' } }, 'BLOCK argument_missing b v1 rule 1'],
    ['no arguments', { singleFlight: 'conversation_id' }, { args: null }, 'BLOCK argument_missing b v1 rule 1'],
  ])('P3: %s', (_, constraint, request, expected) => {
    expect(short(decide([policy('a', [{}]), policy('b', [constraint])], request))).toBe(expected);
  });

  it.each([
    ['below the limit', 2, 'ALLOW allowed a v1 rule 1'],
    ['at the limit', 3, 'BLOCK limit_reached b v1 rule 1'],
    ['beyond the limit', 4, 'BLOCK limit_reached b v1 rule 1'],
    ['an unknown count', null, 'BLOCK limit_unknown b v1 rule 1'],
    ['a count that is none', Number.NaN, 'BLOCK limit_unknown b v1 rule 1'],
    ['a negative count', -1, 'BLOCK limit_unknown b v1 rule 1'],
  ])('P3: %s', (_, count, expected) => {
    const documents = [policy('a', [{}]), policy('b', [{ limit: { per: 'hour', max: 3 } }])];
    expect(short(decide(documents, {}, { used: () => count }))).toBe(expected);
  });

  it('P3: the refusal says how much is allowed, and quotes no argument', () => {
    const documents = [policy('b', [{ limit: { per: 'hour', max: 3 } }])];
    expect(decide(documents, {}, { used: () => 3 }).reason).toBe(
      'b v1 rule 1 (allow: conversation.note.write) allows 3 per hour; they are used up',
    );
  });

  it('P4: a confirmation makes ALERT of ALLOW, and nothing of BLOCK', () => {
    const held = policy('h', [{ kind: 'require_confirmation' }]);
    expect(short(decide([held], {}))).toBe('ALERT needs_confirmation h v1 rule 1');
    expect(decide([held, policy('a', [{}])], {}).decision).toBe('ALERT');
    expect(decide([held, policy('a', [{ kind: 'deny' }])], {}).decision).toBe('BLOCK');
    expect(decide([held], {}, { grants: NO_GRANTS }).decision).toBe('BLOCK');
  });
});

describe('P7: what is to be reserved', () => {
  const limited = policy('support-writes', [{ limit: { per: 'hour', max: 100 }, singleFlight: 'conversation_id' }]);

  it('every limit that matches, and what may be in flight once', () => {
    const burst = policy('burst', [{ kind: 'require_confirmation', limit: { per: 'minute', max: 5 } }]);
    const { quotas, flights } = decide([limited, burst], {});
    expect(quotas.map(({ key, max, windowMs }) => ({ key, max, windowMs }))).toEqual([
      { key: 't_acme/burst/require_confirmation/conversation.note.write/minute', max: 5, windowMs: 60_000 },
      { key: 't_acme/support-writes/allow/conversation.note.write/hour', max: 100, windowMs: 3_600_000 },
    ]);
    expect(flights).toEqual(['conversation_id:c1']);
  });

  it('nothing for what is blocked', () => {
    const { quotas, flights } = decide([limited, policy('z', [{ maxValue: 1 }])], {});
    expect([quotas, flights]).toEqual([[], []]);
  });

  it('under a key that a new version does not change, and another tenant does', () => {
    const keyOf = (tenantId: string, documents: readonly PolicyDocument[]): readonly (string | number)[] => {
      const policies = compilePolicies(tenantId, setOf(documents));
      const request = { capability: NOTE, operator: 'triage', args: { conversation_id: 'c' }, value: null };
      const { quotas, citation } = evaluatePolicy(request, { policies, grants: ALL, nowMs: 0, used: () => 0 });
      return [quotas[0]?.key ?? '', citation?.version ?? 0];
    };
    const [key] = keyOf('t_acme', [limited]);
    expect(keyOf('t_acme', [limited, policy('support-writes', [{ limit: { per: 'hour', max: 7 } }])])).toEqual([
      key,
      2,
    ]);
    expect(keyOf('t_other', [limited])[0]).not.toBe(key);
  });
});

const RANK = { BLOCK: 0, ALERT: 1, ALLOW: 2 } as const;
const requests = fc.record({
  capability: fc.constantFrom(...CAPABILITIES),
  operator: fc.option(fc.constantFrom(...OPERATORS, 'nobody'), { nil: null }),
  args: fc.constantFrom({ conversation_id: 'c1', call_id: 'k1', customer_id: 'u1' }, { conversation_id: 'c1' }, {}),
  value: fc.option(fc.integer({ min: 0, max: 12 }), { nil: null }),
});
const counts = fc.array(fc.nat(6), { minLength: 1, maxLength: 8 });

/** The same count for the same key, whatever else there is. */
const usedFrom =
  (list: readonly number[]) =>
  ({ key }: { readonly key: string }): number =>
    list[[...key].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % list.length] as number;

const rankOf = (...parameters: Parameters<typeof decide>): number => RANK[decide(...parameters).decision];

/** `documents` with this rule in a policy of its own. */
const withRule = (documents: readonly PolicyDocument[], rule: PolicyRule, appliesTo: string | null = null) => [
  ...documents,
  { name: 'one-more', appliesTo, rules: [rule] },
];

describe('for all policies and requests', () => {
  it('decides as looking through all rules does', () => {
    fc.assert(
      fc.property(documentLists, requests, counts, (documents, request, list) => {
        const used = usedFrom(list);
        const expected = decideLinearly(documents, ALL, request, (name, rule) =>
          used({ key: ['t_acme', name, rule.kind, rule.capability, rule.limit?.per].join('/') }),
        );
        const decided = decide(documents, request, { used });
        expect(decided.decision).toBe(expected);
        expect(decided.decision === 'BLOCK' || decided.citation !== null).toBe(true);
      }),
      { numRuns: 10_000 },
    );
  });

  it('P2: adding a deny never allows more, and blocks whom it governs', () => {
    fc.assert(
      fc.property(
        documentLists,
        requests,
        rules,
        fc.option(fc.constantFrom(...OPERATORS), { nil: null }),
        (documents, request, rule, appliesTo) => {
          const deny: PolicyRule = { ...rule, ...FREE, kind: 'deny' };
          const after = decide(withRule(documents, deny, appliesTo), request);
          expect(RANK[after.decision]).toBeLessThanOrEqual(rankOf(documents, request));
          const isGoverned =
            deny.capability === request.capability && (appliesTo === null || appliesTo === request.operator);
          if (isGoverned) expect(after.cause).toBe('denied');
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('P3: adding a constraint to a rule never allows more', () => {
    fc.assert(
      fc.property(documentLists, requests, counts, rules, (documents, request, list, rule) => {
        const circumstances = { used: usedFrom(list) };
        const loose = { ...rule, ...FREE };
        const tight = rankOf(withRule(documents, rule), request, circumstances);
        expect(tight).toBeLessThanOrEqual(rankOf(withRule(documents, loose), request, circumstances));
      }),
      { numRuns: 3_000 },
    );
  });

  it('taking away an unconstrained allow, or all rules of a capability, never allows more', () => {
    fc.assert(
      fc.property(documentLists, requests, fc.constantFrom(...CAPABILITIES), (documents, request, capability) => {
        const allow: PolicyRule = { kind: 'allow', capability, ...FREE };
        expect(rankOf(documents, request)).toBeLessThanOrEqual(rankOf(withRule(documents, allow), request));
        const without = documents.map((one) => ({
          ...one,
          rules: one.rules.filter((rule) => rule.capability !== request.capability),
        }));
        expect(rankOf(without, request)).toBe(0);
      }),
      { numRuns: 3_000 },
    );
  });

  it('taking away a rule that limits may allow more: it narrows others too', () => {
    const open = policy('a', [{}]);
    const limited = policy('b', [{ limit: { per: 'hour', max: 1 } }]);
    expect(rankOf([open, limited], {}, { used: () => 1 })).toBe(0);
    expect(rankOf([open], {}, { used: () => 1 })).toBe(2);
  });

  it('P4: asking for confirmation never allows more than the same rule that allows', () => {
    fc.assert(
      fc.property(documentLists, requests, rules, (documents, request, rule) => {
        const held = rankOf(withRule(documents, { ...rule, ...FREE, kind: 'require_confirmation' }), request);
        const allowed = rankOf(withRule(documents, { ...rule, ...FREE, kind: 'allow' }), request);
        expect(held).toBeLessThanOrEqual(allowed);
        if (rule.capability === request.capability) expect(held).toBeLessThan(2);
      }),
      { numRuns: 3_000 },
    );
  });

  it('more use, a higher value and fewer grants never allow more', () => {
    fc.assert(
      fc.property(
        documentLists,
        requests,
        counts,
        fc.nat(3),
        fc.boolean(),
        (documents, request, list, more, granted) => {
          const used = usedFrom(list);
          const before = rankOf(documents, request, { used });
          expect(rankOf(documents, request, { used: (quota) => used(quota) + more })).toBeLessThanOrEqual(before);
          const value = request.value === null ? null : request.value + more;
          expect(rankOf(documents, { ...request, value }, { used })).toBeLessThanOrEqual(before);
          const grants = granted ? ALL : NO_GRANTS;
          expect(rankOf(documents, request, { used, grants })).toBeLessThanOrEqual(before);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('P5: the order in which policies were applied makes no difference', () => {
    fc.assert(
      fc.property(documentLists, requests, counts, fc.nat(NAMES.length), (documents, request, list, by) => {
        const used = usedFrom(list);
        const turned = [...documents.slice(by), ...documents.slice(0, by)].reverse();
        expect(decide(turned, request, { used })).toEqual(decide(documents, request, { used }));
        expect(decide(documents, request, { used })).toEqual(decide(documents, request, { used }));
      }),
      { numRuns: 2_000 },
    );
  });

  it('P6: whatever the arguments are, there is a decision, and no secret of them in it', () => {
    fc.assert(
      fc.property(documentLists, fc.anything(), fc.anything(), fc.anything(), (documents, args, value, capability) => {
        const garbage = { args, value, operator: 'triage' } as PolicyRequest;
        const { decision } = decide(documents, garbage);
        expect(['ALLOW', 'ALERT', 'BLOCK']).toContain(decision);
        const foreign = decide(documents, { ...garbage, capability, operator: args } as PolicyRequest);
        if (!CAPABILITIES.includes(capability as string)) expect(foreign.decision).toBe('BLOCK');
        const secret = { conversation_id: { body: 's3cret' }, body: 's3cret' };
        expect(decide(documents, { args: secret }).reason).not.toContain('s3cret');
      }),
      { numRuns: 3_000 },
    );
  });

  it('P6: getters of the arguments are not run', () => {
    const args = {
      get conversation_id(): string {
        throw new Error('was run');
      },
    };
    expect(decide([policy('a', [{ singleFlight: 'conversation_id' }])], { args }).cause).toBe('argument_missing');
  });
});
