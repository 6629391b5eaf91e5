import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WRITE_CAPABILITIES } from '../../../../src/fibric/policy/capabilities.ts';
import {
  canonicalText,
  contentHash,
  MAX_LIMIT,
  MAX_SOURCE_BYTES,
  type PolicyDocument,
} from '../../../../src/fibric/policy/document.ts';
import { parsePolicy } from '../../../../src/fibric/policy/parse.ts';
import { formatProblems, MAX_PROBLEMS } from '../../../../src/fibric/policy/problems.ts';
import { documents } from './arbitraries.ts';

/** As the connect guide has it. */
const GUIDE = `# governs writes back into Kustomer. default is deny.
policy: support-writes
rules:
- allow: conversation.note.write
  limit:
    per: hour
    max: 100
  single_flight: conversation_id # one write in flight per conversation
- allow: conversation.status.write
  limit:
    per: hour
    max: 25
default: deny
`;

const parse = (text: string) => parsePolicy(text, WRITE_CAPABILITIES);

function documentOf(text: string): PolicyDocument {
  const parsed = parse(text);
  if (!parsed.ok) throw new Error(formatProblems(parsed.problems, 'policy.yaml'));
  return parsed.document;
}

/** `line:column code` of each problem. */
function problemsOf(text: string): readonly string[] {
  const parsed = parse(text);
  return parsed.ok ? [] : parsed.problems.map(({ line, column, code }) => `${line}:${column} ${code}`);
}

/** One rule in an otherwise good policy; it begins in line 3. */
const withRule = (rule: string) => `policy: p\nrules:\n${rule}\ndefault: deny\n`;

describe('a good policy', () => {
  it('of the connect guide is taken as it is', () => {
    expect(documentOf(GUIDE)).toEqual({
      name: 'support-writes',
      appliesTo: null,
      rules: [
        {
          kind: 'allow',
          capability: 'conversation.note.write',
          limit: { per: 'hour', max: 100 },
          singleFlight: 'conversation_id',
          maxValue: null,
        },
        {
          kind: 'allow',
          capability: 'conversation.status.write',
          limit: { per: 'hour', max: 25 },
          singleFlight: null,
          maxValue: null,
        },
      ],
    });
  });

  it('may name an operator, hold for confirmation, deny and bound the value', () => {
    const text = `
policy: order-risk-guardrails
applies_to: op-order-sentinel
rules:
  - allow: call.status.write
    max_value: 0.5
    single_flight: call_id
  - require_confirmation: conversation.status.write
    limit: { per: day, max: ${MAX_LIMIT} }
  - deny: conversation.assignment.write
default: "deny"
`;
    const { appliesTo, rules } = documentOf(text);
    expect(appliesTo).toBe('op-order-sentinel');
    expect(rules.map(({ kind }) => kind)).toEqual(['allow', 'require_confirmation', 'deny']);
    expect(rules[0]).toMatchObject({ maxValue: 0.5, singleFlight: 'call_id' });
    expect(rules[1]?.limit).toEqual({ per: 'day', max: MAX_LIMIT });
  });

  it('may allow, hold and deny one capability in rules of their own', () => {
    const rules = ['allow', 'require_confirmation', 'deny'].map((kind) => `- ${kind}: call.status.write`);
    expect(documentOf(withRule(rules.join('\n'))).rules).toHaveLength(3);
  });
});

describe('everything wrong is told at once, where it stands', () => {
  it('in one file', () => {
    const text = `policy: Support Writes
applys_to: triage
rules:
  - allow: conversation.notes.write
    limit: { per: week, max: "100" }
  - alow: conversation.status.write
  - allow: conversation.note.write
    single_flight: conversation
    max_value: -1
  - allow: conversation.note.write
  - deny: call.status.write
    limit: { per: hour, max: 0 }
  - allow: call.status.write
    require_confirmation: call.status.write
  - limit: { max: 5 }
  - conversation.note.write
  -
rules: []
default: allow
`;
    expect(problemsOf(text)).toEqual([
      '1:9 out_of_range',
      '2:1 unknown_key',
      '4:12 unknown_capability',
      '5:19 out_of_range',
      '5:30 wrong_type',
      '6:5 unknown_key',
      '8:20 unknown_field',
      '9:16 out_of_range',
      '10:5 duplicate_rule',
      '12:12 rule_kind',
      '12:30 out_of_range',
      '14:27 rule_kind',
      '15:5 missing_key',
      '15:12 missing_key',
      '16:5 wrong_type',
      '17:4 wrong_type',
      '18:1 duplicate_key',
      '19:10 default_not_deny',
    ]);
  });

  it('says what to do, in a line each', () => {
    const parsed = parse('policy: p\nrules:\n- allow: conversation.note.wirte\n');
    if (parsed.ok) throw new Error('should be refused');
    expect(formatProblems(parsed.problems, 'policy.yaml').split('\n')).toEqual([
      'policy.yaml:1:1: the key default is missing; add default: deny',
      'policy.yaml:3:10: unknown capability "conversation.note.wirte"; did you mean conversation.note.write?',
    ]);
  });

  it.each([
    ['nothing', '', '1:1 wrong_type'],
    ['a comment', '# later\n', '1:1 wrong_type'],
    ['a list', '- allow: call.status.write\n', '1:1 wrong_type'],
    ['a text', 'deny', '1:1 wrong_type'],
    ['two documents', `${GUIDE}---\npolicy: b\n`, '14:1 syntax'],
    ['an empty list of rules', 'policy: p\nrules: []\ndefault: deny\n', '2:8 out_of_range'],
    ['rules without a value', 'policy: p\nrules:\ndefault: deny\n', '2:1 wrong_type'],
    ['a number for a name', 'policy: 7\nrules: [deny: call.status.write]\ndefault: deny\n', '1:9 wrong_type'],
    [
      'two operators',
      'applies_to: [a, b]\npolicy: p\nrules: [deny: call.status.write]\ndefault: deny',
      '1:13 wrong_type',
    ],
    [
      'a default that is neither',
      'policy: p\nrules: [deny: call.status.write]\ndefault: require_confirmation\n',
      '3:10 default_not_deny',
    ],
    ['true for the default', 'policy: p\nrules: [deny: call.status.write]\ndefault: true\n', '3:10 wrong_type'],
    ['a key twice', withRule('- allow: call.status.write\n  max_value: 1\n  max_value: 2'), '5:3 duplicate_key'],
    ['a merge key', withRule('- allow: call.status.write\n  <<: { max_value: 1 }'), '4:3 unknown_key'],
    ['a key that is no text', withRule('- allow: call.status.write\n  ? [max_value]\n  : 1'), '4:5 unknown_key'],
    ['a tag', withRule('- allow: !!str call.status.write'), '3:16 tag'],
    ['an own tag', withRule('- allow: !secret call.status.write'), '3:18 tag'],
    ['an anchor', withRule('- &rule\n  allow: call.status.write'), '4:3 alias'],
    ['a limit of half', withRule('- allow: call.status.write\n  limit: { per: hour, max: 1.5 }'), '4:28 out_of_range'],
    [
      'a limit beyond',
      withRule(`- allow: call.status.write\n  limit: { per: hour, max: ${MAX_LIMIT + 1} }`),
      '4:28 out_of_range',
    ],
    ['an infinite limit', withRule('- allow: call.status.write\n  limit: { per: hour, max: .inf }'), '4:28 wrong_type'],
    ['a limit as a number', withRule('- allow: call.status.write\n  limit: 100'), '4:10 wrong_type'],
    ['a ceiling as a text', withRule('- allow: call.status.write\n  max_value: 5 EUR'), '4:14 wrong_type'],
    [
      'a free text as single flight',
      withRule('- allow: conversation.note.write\n  single_flight: body'),
      '4:18 unknown_field',
    ],
    [
      'a nearly good rule twice',
      withRule('- deny: call.status.write\n- deny: call.status.write'),
      '4:3 duplicate_rule',
    ],
  ])('%s', (_, text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });

  it('aliases are not followed, so no small file becomes a large one', () => {
    const bomb = Array.from({ length: 9 }, (_, i) => `k${i}: &a${i} [${`*a${Math.max(0, i - 1)}, `.repeat(9)}]`);
    const codes = new Set(problemsOf(bomb.join('\n')).map((problem) => problem.split(' ')[1]));
    expect([...codes].sort()).toEqual(['alias', 'missing_key', 'unknown_key']);
    expect(problemsOf(withRule('- allow: &c call.status.write\n- deny: *c'))).toEqual(['3:13 alias', '4:9 alias']);
  });

  it('what is missing is not claimed of a file that breaks off', () => {
    expect(
      problemsOf('policy: p\nrules:\n- allow: "call.status.write\n').map((problem) => problem.split(' ')[1]),
    ).toEqual(['syntax']);
  });

  it('files are bounded, and so is what is told of them', () => {
    expect(problemsOf(`${GUIDE}${'#'.repeat(MAX_SOURCE_BYTES)}`)).toEqual(['1:1 too_large']);
    expect(problemsOf(Array.from({ length: 500 }, (_, i) => `key${i}: 1`).join('\n'))).toHaveLength(MAX_PROBLEMS);
  });

  it.each([
    ['[', 20_000],
    ['{a: ', 8_000],
    ['- ', 16_000],
    ['? ', 16_000],
    ['&a ', 10_000],
    ['"', 20_000],
    ['*a ', 10_000],
  ])('nesting %j without end is refused, not followed', (piece, times) => {
    expect(problemsOf(piece.repeat(times)).length).toBeGreaterThan(0);
  });

  it('no text makes it throw, and nothing passes with a problem', () => {
    const pieces = fc.constantFrom(
      'policy: p\n',
      'rules:\n',
      '- allow: call.status.write\n',
      '  limit: ',
      '{per: hour, max: 1}\n',
      'default: deny\n',
      '  - deny: x\n',
      '[',
      '}',
      '&a ',
      '*a',
      '"',
      "'",
      '|',
      '!!str ',
      '---\n',
      '? ',
      '%YAML 1.1\n',
      '\t',
      '\u0000',
      ': ',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (source) => {
        const parsed = parse(source);
        if (parsed.ok) return expect(parse(canonicalText(parsed.document))).toEqual(parsed);
        expect(parsed.problems.length).toBeGreaterThan(0);
        for (const { line, column } of parsed.problems) {
          expect(line).toBeGreaterThan(0);
          expect(column).toBeGreaterThan(0);
          expect(line).toBeLessThanOrEqual(source.split(/\r\n|\n/).length);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the canonical form', () => {
  it('is a policy that says the same', () => {
    fc.assert(
      fc.property(documents, (document) => {
        expect(documentOf(canonicalText(document))).toEqual(document);
      }),
      { numRuns: 500 },
    );
  });

  it('does not see comments, quotes, indentation or the order of keys', () => {
    const otherwise = `
default: 'deny'
rules: [
  { limit: { max: 1e2, per: "hour" }, single_flight: conversation_id, allow: conversation.note.write },
  { allow: conversation.status.write, limit: { per: hour, max: 25 } } ]
policy: support-writes
`;
    expect(contentHash(documentOf(otherwise))).toBe(contentHash(documentOf(GUIDE)));
  });

  it.each([
    ['a number', 'max: 25', 'max: 26'],
    ['a window', 'per: hour\n    max: 25', 'per: day\n    max: 25'],
    ['a kind', '- allow: conversation.status', '- require_confirmation: conversation.status'],
    ['an operator', 'rules:', 'applies_to: triage\nrules:'],
    ['a name', 'support-writes', 'support'],
  ])('sees %s', (_, from, to) => {
    expect(contentHash(documentOf(GUIDE.replace(from, to)))).not.toBe(contentHash(documentOf(GUIDE)));
  });

  it('sees the order of the rules, for receipts cite their numbers', () => {
    const document = documentOf(GUIDE);
    const turned = { ...document, rules: document.rules.toReversed() };
    expect(contentHash(turned)).not.toBe(contentHash(document));
  });
});
