/** Cites the invariants of versions.ts (V1 to V6). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentHash, type PolicyDocument } from '../../../../src/fibric/policy/document.ts';
import {
  activePolicies,
  changePolicies,
  currentVersion,
  MAX_POLICIES,
  MAX_VERSIONS,
  NO_POLICIES,
  type PolicyChange,
  type PolicyCommand,
  type PolicySet,
  policyVersion,
} from '../../../../src/fibric/policy/versions.ts';
import { documents, NAMES } from './arbitraries.ts';

const rule = { kind: 'allow', capability: 'call.status.write', singleFlight: null, maxValue: null } as const;
const limited = (max: number, name = 'p'): PolicyDocument => ({
  name,
  appliesTo: null,
  rules: [{ ...rule, limit: { per: 'hour', max } }],
});
const apply = (set: PolicySet, document: PolicyDocument, nowMs = 0): PolicyChange =>
  changePolicies(set, { do: 'apply', document, by: 'ann', nowMs });
const told = ({ outcome, policy }: PolicyChange) =>
  policy === null ? outcome : `${outcome} ${policy.status} v${currentVersion(policy).version}`;

describe('applying', () => {
  it('V2: makes a version of what changed, and none of what did not', () => {
    const first = apply(NO_POLICIES, limited(1), 5);
    const again = apply(first.set, limited(1), 6);
    const second = apply(again.set, limited(2), 7);
    const back = apply(second.set, limited(1), 8);
    expect([first, again, second, back].map(told)).toEqual([
      'created active v1',
      'unchanged active v1',
      'changed active v2',
      'changed active v3',
    ]);
    expect(again.set).toBe(first.set);
    expect(back.policy).toMatchObject({ createdAtMs: 5, updatedAtMs: 8 });
  });

  it('V3: old versions stay as they were', () => {
    const { set } = apply(apply(NO_POLICIES, limited(1), 5).set, limited(2), 7);
    expect(policyVersion(set, 'p', 1)).toMatchObject({ document: limited(1), appliedAtMs: 5, appliedBy: 'ann' });
    expect(policyVersion(set, 'p', 2)?.document).toEqual(limited(2));
    expect(policyVersion(set, 'p', 3)).toBeNull();
    expect(policyVersion(set, 'q', 1)).toBeNull();
  });

  it('V3: the latest are kept, and numbers go on', () => {
    let set = NO_POLICIES;
    for (let max = 1; max <= MAX_VERSIONS + 5; max++) set = apply(set, limited(max)).set;
    expect(set.get('p')?.versions).toHaveLength(MAX_VERSIONS);
    expect(policyVersion(set, 'p', 5)).toBeNull();
    expect(policyVersion(set, 'p', 6)?.document).toEqual(limited(6));
    expect(policyVersion(set, 'p', MAX_VERSIONS + 5)).not.toBeNull();
  });

  it('V6: at most so many govern, and the next is refused rather than one dropped', () => {
    let set = NO_POLICIES;
    for (let n = 0; n < MAX_POLICIES; n++) set = apply(set, limited(1, `p${n}`)).set;
    expect(told(apply(set, limited(1, 'one-more')))).toBe('full');
    expect(apply(set, limited(1, 'one-more')).set).toBe(set);
    expect(told(apply(set, limited(2, 'p0')))).toBe('changed active v2');
    const room = changePolicies(set, { do: 'disable', name: 'p0', nowMs: 0 }).set;
    expect(told(apply(room, limited(1, 'one-more')))).toBe('created active v1');
  });
});

describe('disabling and deleting', () => {
  const { set } = apply(NO_POLICIES, limited(1));
  const command = (how: 'disable' | 'delete', name = 'p'): PolicyCommand => ({ do: how, name, nowMs: 9 });

  it('V4: puts a policy out of force, and applying it again into force', () => {
    const off = changePolicies(set, command('disable'));
    expect(told(off)).toBe('disabled disabled v1');
    expect(activePolicies(off.set)).toEqual([]);
    expect(changePolicies(off.set, command('disable'))).toMatchObject({ outcome: 'unchanged', set: off.set });
    expect(told(apply(off.set, limited(1)))).toBe('activated active v1');
    expect(told(apply(off.set, limited(2)))).toBe('changed active v2');
  });

  it('V5: a deleted policy is still cited, and its name goes on where it was', () => {
    const gone = changePolicies(set, command('delete'));
    expect(told(gone)).toBe('deleted deleted v1');
    expect(activePolicies(gone.set)).toEqual([]);
    expect(policyVersion(gone.set, 'p', 1)?.document).toEqual(limited(1));
    expect(told(changePolicies(gone.set, command('delete')))).toBe('unchanged deleted v1');
    expect(changePolicies(gone.set, command('disable')).outcome).toBe('unknown');
    expect(told(apply(gone.set, limited(2)))).toBe('changed active v2');
  });

  it('of a name nobody applied changes nothing', () => {
    for (const how of ['disable', 'delete'] as const) {
      expect(changePolicies(set, command(how, 'q'))).toEqual({ set, outcome: 'unknown', policy: null });
    }
  });
});

describe('for all histories', () => {
  const commands: fc.Arbitrary<PolicyCommand> = fc.oneof(
    { weight: 3, arbitrary: documents.map((document) => ({ do: 'apply' as const, document, by: 'ann', nowMs: 0 })) },
    fc.record({
      do: fc.constantFrom('disable' as const, 'delete' as const),
      name: fc.constantFrom(...NAMES),
      nowMs: fc.nat(),
    }),
  );

  it('V1 to V4: numbers count the changes, versions never change, what was applied last is in force', () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 40 }), (list) => {
        let set = NO_POLICIES;
        const cited = new Map<string, string>();
        for (const command of list) {
          const before = set;
          const { set: after, outcome, policy } = changePolicies(set, command);
          set = after;
          if (command.do === 'apply') {
            expect(policy?.status).toBe('active');
            expect(policy === null ? null : currentVersion(policy).hash).toBe(contentHash(command.document));
          } else expect(policy?.status ?? 'absent').not.toBe('active');
          if (['unchanged', 'unknown'].includes(outcome)) expect(after).toBe(before);
          for (const { name, versions } of set.values()) {
            expect(versions.map(({ version }) => version)).toEqual(versions.map((_, index) => index + 1));
            for (const { version, hash } of versions) {
              const citation = `${name} ${version}`;
              expect(cited.get(citation) ?? hash).toBe(hash);
              cited.set(citation, hash);
            }
            for (const [index, { hash }] of versions.entries()) expect(hash).not.toBe(versions[index - 1]?.hash);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
