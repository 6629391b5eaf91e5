/** Tables, times, JSON arguments, diffs: what turns data into words. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actionKey } from '../../../src/cli/action-key.ts';
import { parseEndpoint } from '../../../src/cli/http/endpoint.ts';
import { findCredential, parseJsonObject } from '../../../src/cli/json-arg.ts';
import { diffLines } from '../../../src/cli/line-diff.ts';
import { readPolicy, renderPolicy, showProblems } from '../../../src/cli/policy-source.ts';
import { Redactor } from '../../../src/cli/redact.ts';
import { jsonText } from '../../../src/cli/terminal/output.ts';
import { noPaint, paintFor } from '../../../src/cli/terminal/style.ts';
import { formatTable } from '../../../src/cli/terminal/table.ts';
import { displayWidth, truncate } from '../../../src/cli/terminal/width.ts';
import { durationMs, parseSince, relative, showTime } from '../../../src/cli/times.ts';

const NOW_MS = Date.parse('2026-01-31T12:00:00Z');

describe('tables', () => {
  const columns = [{ title: 'ID' }, { title: 'NAME', shrinks: true }, { title: 'N' }];

  it('line up, letters of double width too', () => {
    const lines = formatTable(
      columns,
      [
        ['a', '会話', '1'],
        ['bb', 'plain', '22'],
      ],
      { width: null, paint: noPaint },
    );
    expect(lines).toEqual(['ID  NAME   N', 'a   会話   1', 'bb  plain  22']);
  });

  it('are cut where there is no room, and never the ids', () => {
    const rows = [['id-that-is-long', 'a name that is much too long for it', '1']];
    const lines = formatTable(columns, rows, { width: 36, paint: noPaint });
    expect(lines[1]).toBe('id-that-is-long  a name that is…   1');
    expect(formatTable(columns, rows, { width: null, paint: noPaint })[1]).toContain('much too long for it');
  });

  it('fit into any terminal that is wide enough for what must not be cut', () => {
    const cell = fc.string({ unit: 'grapheme', maxLength: 40 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 18, max: 90 }),
        (rows, width) => {
          const both = [
            { title: 'A', shrinks: true },
            { title: 'B', shrinks: true },
          ];
          for (const line of formatTable(both, rows, { width, paint: noPaint })) {
            expect(displayWidth(line)).toBeLessThanOrEqual(width);
          }
        },
      ),
    );
  });

  it('hold nothing that a terminal would obey', () => {
    const [, line] = formatTable(columns, [['\u001b[2J', 'a\nb\u202e', '\u0007']], { width: null, paint: noPaint });
    expect(line).toMatch(/^\u{fffd}\[2J {2}a b\u{fffd} +\u{fffd}$/u);
  });

  it('keep to the width when cutting', () => {
    expect(truncate('会話会話', 5)).toBe('会話…');
    expect(truncate('short', 5)).toBe('short');
    expect(truncate('anything', 0)).toBe('');
  });
});

describe('colours', () => {
  it.each([
    ['a pipe', { isTTY: false }, {}, false],
    ['a terminal', { isTTY: true }, {}, true],
    ['NO_COLOR', { isTTY: true }, { NO_COLOR: '1' }, false],
    ['a terminal without any', { isTTY: true }, { TERM: 'dumb' }, false],
  ])('%s', (_what, stream, env, coloured) => {
    expect(paintFor(stream, env)('good', 'ready') !== 'ready').toBe(coloured);
  });
});

describe('times', () => {
  it.each([
    ['500ms', 500],
    ['15s', 15_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    ['15', null],
    ['-1s', null],
    ['1 h', null],
  ])('%s', (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });

  it.each([
    ['1h', '2026-01-31T11:00:00.000Z'],
    ['2026-01-01', '2026-01-01T00:00:00.000Z'],
    ['2026-01-01T10:00:00+02:00', '2026-01-01T08:00:00.000Z'],
  ])('since %s', (text, wanted) => {
    expect(parseSince('--since', text, NOW_MS)).toBe(wanted);
  });

  it.each(['yesterday', '2026-02-30', '2026-01-01T10:00:00', '', '1w'])('refuses since %j', (text) => {
    expect(() => parseSince('--since', text, NOW_MS)).toThrow(/--since is how long ago/);
  });

  it('are shown in UTC', () => {
    expect(showTime('2026-01-31T13:00:00.123+01:00')).toBe('2026-01-31 12:00:00Z');
    expect(relative('2026-02-01T00:00:00Z', NOW_MS)).toBe('in 12 h');
    expect(relative('2026-01-31T11:57:00Z', NOW_MS)).toBe('3 min ago');
  });
});

describe('JSON arguments', () => {
  it('are objects', () => {
    expect(parseJsonObject('--args', '{"a":1}')).toEqual({ a: 1 });
    for (const text of ['[1]', '"a"', 'null', '{a:1}', ''])
      expect(() => parseJsonObject('--args', text)).toThrow(/--args is/);
  });

  it('are not repeated where they are wrong: they may hold what nobody should read', () => {
    expect(() => parseJsonObject('--config', '{"x":"canary-secret"')).toThrow(/^(?!.*canary)/);
  });

  it.each([
    [{ api_key: 'abc' }, 'api_key'],
    [{ apiKey: 'abc' }, 'apiKey'],
    [{ nested: { access_token: 'abc' } }, 'nested.access_token'],
    [{ subdomain: 'eyJhbGciOiJIUzI1NiJ9.x.y' }, 'subdomain'],
    [{ note: 'Bearer abcdefghijkl' }, 'note'],
  ])('%j holds a credential', (config, path) => {
    expect(findCredential(config)).toBe(path);
  });

  it.each([
    {},
    { subdomain: 'acme', poll_interval: '60s', backfill_since: '2026-01-01' },
    { order_klass: 'order', machine_user: '5f0c', monkey: 'x' },
  ])('%j holds none', (config) => {
    expect(findCredential(config)).toBeNull();
  });
});

describe('the key of an action that was given none', () => {
  const action = {
    connection: 'c',
    operator: 'o',
    capability: 'conversation.note.write',
    args: { a: 1, b: [{ c: 2, d: 3 }] },
  };

  it('is the same for the same action, in whatever order it was typed', () => {
    expect(actionKey({ ...action, args: { b: [{ d: 3, c: 2 }], a: 1 } })).toBe(actionKey(action));
    expect(actionKey(action)).toMatch(/^o:conversation\.note\.write:[0-9a-f]{24}$/);
  });

  it.each([{ connection: 'x' }, { operator: 'x' }, { capability: 'x' }, { args: { a: 2 } }])(
    'is another for %j',
    (other) => {
      expect(actionKey({ ...action, ...other })).not.toBe(actionKey(action));
    },
  );
});

describe('differences', () => {
  it('tell what went and what came', () => {
    expect(diffLines('a\nb\nc', 'a\nx\nc').map(({ sign, text }) => sign + text)).toEqual([' a', '-b', '+x', ' c']);
  });

  it('lead from one text to the other', () => {
    const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 8 });
    fc.assert(
      fc.property(lines, lines, (before, after) => {
        const diff = diffLines(before.join('\n'), after.join('\n'));
        const side = (sign: string): string =>
          diff
            .filter((line) => line.sign === ' ' || line.sign === sign)
            .map(({ text }) => text)
            .join('\n');
        expect(side('-')).toBe(before.join('\n'));
        expect(side('+')).toBe(after.join('\n'));
      }),
    );
  });
});

describe('policies', () => {
  const text =
    'policy: p\nrules:\n  - allow: conversation.note.write\n    limit: { per: hour, max: 3 }\ndefault: deny\n';

  it('are written so that they are read as the same', () => {
    const document = readPolicy(text);
    expect(document).not.toBeNull();
    if (document !== null) expect(readPolicy(renderPolicy(document))).toEqual(document);
  });

  it('show what is wrong under its place', () => {
    const problem = { line: 3, column: 5, message: 'unknown key "alow" in a rule', remedy: 'did you mean allow?' };
    expect(showProblems('policy: p\nrules:\n  - alow: x\n', './p.yaml', [problem])).toEqual([
      './p.yaml:3:5: unknown key "alow" in a rule; did you mean allow?',
      '  3 |   - alow: x',
      '    |     ^',
    ]);
  });
});

describe('endpoints', () => {
  it.each([
    ['http://127.0.0.1:8080/', 'http://127.0.0.1:8080'],
    ['https://api.example.com/v1', 'https://api.example.com'],
    ['https://example.com/fibric/v1/', 'https://example.com/fibric'],
  ])('%s', (text, wanted) => {
    expect(parseEndpoint(text)).toBe(wanted);
  });

  it.each(['example.com', 'ftp://example.com', 'https://user:canary@example.com'])(
    'refuses %s, repeating none of it',
    (text) => {
      expect(() => parseEndpoint(text)).toThrow(/^(?!.*canary)/);
    },
  );
});

describe('the last wall', () => {
  it('takes known secrets out of everything, JSON too', () => {
    const redactor = new Redactor();
    redactor.add('a"canary"secret');
    redactor.add('short');
    expect(redactor.apply('x a"canary"secret y short')).toBe('x [secret] y short');
    expect(redactor.apply(JSON.stringify({ a: 'a"canary"secret' }))).toBe('{"a":"[secret]"}');
  });

  it('leaves JSON what it was, without what a terminal would obey', () => {
    const value = { a: 'x\u001b[2J\u202e\u009b', b: '\u{e0001}' };
    const text = jsonText(value, 2);
    expect(text).toMatch(/^[\n -~]*$/);
    expect(JSON.parse(text)).toEqual(value);
  });
});
