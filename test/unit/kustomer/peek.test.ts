import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { webhookBody } from '../../../bench/receiver/body.ts';
import { peek, peekByParsing } from '../../../src/kustomer/peek.ts';
import { scanFields } from '../../../src/kustomer/scan.ts';

const bytes = (text: string) => Buffer.from(text);
const typical = webhookBody('65aa000000000000000000c1', 14);

/** S1: where the scanner answers at all, it answers as JSON.parse does. */
function expectAgreement(body: Buffer): 'answered' | 'left' {
  const scanned = scanFields(body);
  if (scanned === undefined) return 'left';
  expect(scanned, body.toString('latin1')).toEqual(peekByParsing(body));
  return 'answered';
}

describe('peek', () => {
  it('reads what the receiver routes by', () => {
    expect(peek(bytes(typical))).toMatchObject({
      malformed: false,
      name: 'kustomer.conversation.update',
      org: '5a8f1c2e9b1d4e0012ab34cd',
      resourceType: 'conversation',
      resourceId: '65aa000000000000000000c1',
      rev: 14,
    });
  });

  it.each([
    '',
    ' ',
    'null',
    '[]',
    '"x"',
    '7',
    '{',
    '{"a":1}}',
    '{"a":1,}',
    '{"a" 1}',
    "{'a':1}",
    '\ufeff{}',
    '{"a":01}',
    'nope',
  ])('calls %j malformed', (text) =>
    expect(peek(bytes(text))).toEqual({
      malformed: true,
      eventId: null,
      name: null,
      org: null,
      resourceType: null,
      resourceId: null,
      rev: null,
    }),
  );

  it('takes the revision from the change before the snapshot, which may already be newer', () => {
    const body = {
      data: { type: 'c', id: '1', attributes: { rev: 15 } },
      changes: { attributes: { rev: { before: 13, after: 14 } } },
    };
    expect(peek(bytes(JSON.stringify(body))).rev).toBe(14);
    expect(peek(bytes(JSON.stringify({ ...body, changes: null }))).rev).toBe(15);
    expect(peek(bytes(JSON.stringify({ ...body, changes: { attributes: {}, relationships: {} } }))).rev).toBe(15);
  });

  it.each([
    [{ attributes: { status: { before: 'open', after: 'done' } } }],
    [{ attributes: { rev: { after: null } } }],
    [{ attributes: {}, relationships: { customer: { after: null } } }],
  ])('regression: two updates sharing one snapshot collapsed where changes had no rev: %j', (changes) => {
    const of = (name: string | undefined) =>
      bytes(JSON.stringify({ name, data: { type: 'c', id: '1', attributes: { rev: 15 } }, changes }));
    for (const name of ['kustomer.conversation.update', undefined]) {
      expect(peek(of(name)).rev).toBeNull();
      expect(expectAgreement(of(name))).toBe('answered');
    }
    expect(peek(of('kustomer.conversation.create')).rev).toBe(15);
    expect(expectAgreement(of('kustomer.conversation.create'))).toBe('answered');
  });
});

describe('the scanner', () => {
  it('answers for a typical body instead of leaving it to JSON.parse', () => {
    expect(expectAgreement(bytes(typical))).toBe('answered');
    expect(expectAgreement(bytes(JSON.stringify(JSON.parse(typical), null, 2)))).toBe('answered');
  });

  it.each([
    ['a repeated key', '{"id":"1","id":"2"}'],
    ['an escape in a key', '{"\\u0069d":"1"}'],
    ['an escape in a field', '{"id":"a\\u0062"}'],
    ['a non-ASCII field', '{"id":"ä"}'],
    ['a fraction', '{"data":{"attributes":{"rev":1.0}}}'],
    ['an exponent', '{"data":{"attributes":{"rev":1e1}}}'],
    ['a revision beyond 2^53', '{"data":{"attributes":{"rev":9007199254740993}}}'],
    ['deep nesting', `{"a":${'['.repeat(40)}${']'.repeat(40)}}`],
  ])('S2: leaves %s to JSON.parse', (_what, text) => {
    expect(scanFields(bytes(text))).toBeUndefined();
    expect(peek(bytes(text)).malformed).toBe(false);
  });

  it.each([
    '{"id":"1","x":{"id":"2","data":{"id":"3"}},"data":[{"id":"4"}]}',
    '{"data":{"relationships":{"id":"no"},"id":"yes","links":[{"id":"no"}]}}',
    '{"changes":{"attributes":{"rev":{"after":3,"x":{"after":9}}},"rev":{"after":8}}}',
    '{"data":{"attributes":{"rev":"5","x":{"rev":6}}},"rev":7}',
    '{"id":"","name":7,"org":null,"data":"x","changes":true}',
    '{"text":"\\"id\\":\\"no\\", \\\\","id":"1"}',
    '{"text":"\u00e4\u{1f600}","id":"1"}',
    '{"a":[1,-0.5e+3,true,false,null,{},[]],"id":"1"}',
    '{}',
    ' {\t"id" :\r\n"1" } ',
  ])('S1: agrees on %s', (text) => expect(expectAgreement(bytes(text))).toBe('answered'));

  it('S1: agrees on every truncation of a body', () => {
    for (let end = 0; end <= typical.length; end += 1) expectAgreement(bytes(typical.slice(0, end)));
  });

  it('S1: agrees on arbitrary JSON under the keys that matter', () => {
    const keys = fc.constantFrom(
      'id',
      'name',
      'org',
      'data',
      'type',
      'attributes',
      'rev',
      'changes',
      'relationships',
      'after',
      '__proto__',
      'x',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 6 },
        fc.jsonValue({ maxDepth: 1 }),
        fc.integer(),
        fc.string({ unit: 'binary' }),
        tie('object'),
        fc.array(tie('tree'), { maxLength: 3 }),
      ),
      object: fc
        .array(fc.tuple(keys, tie('tree')), { maxLength: 6 })
        .map((pairs) => new Raw(pairs as [string, unknown][])),
    }));
    fc.assert(
      fc.property(fc.array(fc.tuple(keys, tree), { maxLength: 8 }), fc.boolean(), (pairs, spaced) => {
        const text = write(new Raw(pairs));
        expectAgreement(bytes(spaced ? text.replaceAll('{', '{ \n').replaceAll(',', ' ,\t') : text));
      }),
      { numRuns: 5_000 },
    );
  });

  it('S1: agrees on JSON of any kind', () => {
    fc.assert(
      fc.property(fc.json(), (text) => void expectAgreement(bytes(text))),
      { numRuns: 2_000 },
    );
  });

  it('S1: agrees on 50,000 mutations of real bodies', () => {
    const bodies = [
      typical,
      JSON.stringify(JSON.parse(typical), null, 1),
      '{"id":"1","data":{"id":"2","attributes":{"rev":3}}}',
    ].map(bytes);
    const splice = fc.record({
      at: fc.nat(),
      cut: fc.nat({ max: 4 }),
      put: fc.oneof(
        fc.uint8Array({ maxLength: 3 }).map((a) => Buffer.from(a)),
        fc
          .constantFrom(
            '"',
            '\\',
            '{',
            '}',
            '[',
            ']',
            ',',
            ':',
            '0',
            '-',
            '.',
            'e',
            ' ',
            '\u0000',
            'null',
            '"id":"z"',
            '"rev":1',
          )
          .map(bytes),
      ),
    });
    let answered = 0;
    fc.assert(
      fc.property(fc.constantFrom(...bodies), fc.array(splice, { minLength: 1, maxLength: 3 }), (body, splices) => {
        let mutated = body;
        for (const { at, cut, put } of splices) {
          const from = at % (mutated.length + 1);
          mutated = Buffer.concat([mutated.subarray(0, from), put, mutated.subarray(from + cut)]);
        }
        if (expectAgreement(mutated) === 'answered') answered += 1;
      }),
      { numRuns: 50_000 },
    );
    expect(answered).toBeGreaterThan(1_000);
  }, 60_000);
});

/** An object written pair by pair, so that keys may repeat. */
class Raw {
  readonly pairs: readonly [string, unknown][];
  constructor(pairs: readonly [string, unknown][]) {
    this.pairs = pairs;
  }
}

function write(value: unknown): string {
  if (value instanceof Raw)
    return `{${value.pairs.map(([key, inner]) => `${JSON.stringify(key)}:${write(inner)}`).join(',')}}`;
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  return JSON.stringify(value);
}
