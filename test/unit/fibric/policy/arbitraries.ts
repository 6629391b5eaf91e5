/** Valid policies by chance, over few names, so that rules meet. */
import fc from 'fast-check';
import { WRITE_CAPABILITIES } from '../../../../src/fibric/policy/capabilities.ts';
import {
  type PolicyDocument,
  type PolicyRule,
  RULE_KINDS,
  WINDOW_UNITS,
} from '../../../../src/fibric/policy/document.ts';

export const OPERATORS = ['triage', 'radar'] as const;
export const NAMES = ['support-writes', 'night-shift', 'a', 'z9'] as const;
export const CAPABILITIES = WRITE_CAPABILITIES.map(({ name }) => name);

const option = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null });

export const rules: fc.Arbitrary<PolicyRule> = fc
  .record({
    kind: fc.constantFrom(...RULE_KINDS),
    known: fc.constantFrom(...WRITE_CAPABILITIES),
    limit: option(fc.record({ per: fc.constantFrom(...WINDOW_UNITS), max: fc.integer({ min: 1, max: 5 }) })),
    hasFlight: fc.boolean(),
    flightAt: fc.nat(2),
    maxValue: option(fc.integer({ min: 0, max: 10 })),
  })
  .map(({ kind, known, limit, hasFlight, flightAt, maxValue }): PolicyRule => {
    const field = known.flightFields[flightAt % known.flightFields.length] ?? null;
    const constraints = { limit, singleFlight: hasFlight ? field : null, maxValue };
    const free = { limit: null, singleFlight: null, maxValue: null };
    return { kind, capability: known.name, ...(kind === 'deny' ? free : constraints) };
  });

export const documents: fc.Arbitrary<PolicyDocument> = fc.record({
  name: fc.constantFrom(...NAMES),
  appliesTo: option(fc.constantFrom(...OPERATORS)),
  rules: fc.uniqueArray(rules, {
    minLength: 1,
    maxLength: 6,
    selector: ({ kind, capability }) => `${kind} ${capability}`,
  }),
});

/** One document of each name at most, as in a tenant's set. */
export const documentLists: fc.Arbitrary<readonly PolicyDocument[]> = fc.uniqueArray(documents, {
  maxLength: NAMES.length,
  selector: ({ name }) => name,
});
