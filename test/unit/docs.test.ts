/**
 * The documents against the project: links lead somewhere, what is said to be typed can be typed, and the page of
 * commands knows them all. The pages in docs/reference are generated and have a test of their own.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createContext, EXIT } from '../../src/app/cli/io.ts';
import { createProgram } from '../../src/app/cli/program.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const PAGES = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'bench/README.md',
  ...globSync('docs/**/*.md', { cwd: ROOT }).sort(),
];

const read = (page: string): string => readFileSync(resolve(ROOT, page), 'utf8');

/** Code as a reader would copy it: fenced blocks, and `such spans`. Lines broken with a backslash are one. */
function codeIn(text: string): readonly string[] {
  const fences = [...text.matchAll(/^ *```[a-z]*\n([\s\S]*?)^ *```$/gm)].map(([, code]) => code as string);
  const prose = text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code as string);
  return [
    ...fences.flatMap((code) =>
      code
        .trimEnd()
        .replaceAll(/\s*\\\n\s*/g, ' ')
        .split('\n'),
    ),
    ...spans,
  ];
}

/** Headings as GitHub makes anchors of them. */
function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    (title as string)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Relative links that lead to no file, or to no heading of it. */
function brokenLinks(page: string, text: string): readonly string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target as string)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? resolve(ROOT, page) : resolve(ROOT, dirname(page), path);
      if (!file.startsWith(ROOT.slice(0, -1)) || !existsSync(file)) return true;
      return anchor !== undefined && !anchorsOf(readFileSync(file, 'utf8')).includes(anchor);
    });
}

const TARGETS = new Set([...read('Makefile').matchAll(/^([a-z]+):/gm)].map(([, target]) => target as string));

function unknownTargets(code: readonly string[]): readonly string[] {
  return code
    .flatMap((line) => [...line.matchAll(/(?:^|[\s;&(])make ((?:-\S+ )*)([a-z][\w-]*)/g)])
    .map(([, , target]) => target as string)
    .filter((target) => !TARGETS.has(target));
}

const program = createProgram(createContext({}, new AbortController().signal), () => undefined);

function commandsBelow(command: Command, path: string): readonly (readonly [path: string, command: Command])[] {
  return command.commands.flatMap((one) => {
    const at = `${path}${one.name()}`;
    return [[at, one] as const, ...commandsBelow(one, `${at} `)];
  });
}

const COMMANDS = new Map(commandsBelow(program, ''));

/** The longest command these words begin with: `connection add`, or `topics`. Undefined: they begin with none. */
function commandOf(words: readonly string[]): readonly [path: string, command: Command] | undefined {
  for (const path of [3, 2, 1].map((length) => words.slice(0, length).join(' '))) {
    const command = COMMANDS.get(path);
    if (command !== undefined) return [path, command];
  }
  return undefined;
}

/** What is wrong with each `cn-kustomer …` in the code: a command that does not exist, or an option it does not take. */
function wrongCommands(code: readonly string[]): readonly string[] {
  // Words stand one space apart; what comes after more than one is a column of a table.
  const calls = code.flatMap((line) => [...line.matchAll(/(?:^|[\s/;&|(])cn-kustomer((?: [^\s|;&#>]+)*)/g)]);
  return calls.flatMap(([, rest]) => {
    const words = (rest ?? '').trim().split(' ');
    if (!/^[a-z]/.test(words[0] ?? '')) return [];
    const found = commandOf(words);
    if (found === undefined) return [`no command ${words[0]}`];
    const [path, command] = found;
    const below = words[path.split(' ').length] ?? '';
    if (command.commands.length > 0 && /^[a-z]/.test(below)) return [`no command ${path} ${below}`];
    const known = ['--help', ...command.options.map((option) => option.long ?? '')];
    return words.filter((word) => /^--[a-z]/.test(word) && !known.includes(word)).map((word) => `${path} ${word}`);
  });
}

describe('the checks find what they are for', () => {
  it('links', () => {
    const text =
      '[a](nowhere.md) [b](README.md) [c](README.md#no-such-heading) [d](https://example.org/x) [e](#two-commands)';
    expect(brokenLinks('README.md', text)).toEqual(['nowhere.md', 'README.md#no-such-heading']);
    expect(brokenLinks('docs/cli.md', '[up](../../outside.md) [ok](../README.md)')).toEqual(['../../outside.md']);
  });

  it('make targets', () => {
    expect(
      unknownTargets(['make demo', 'make setup && make nonsense', 'cmake x', "make bench ARGS='--quick'"]),
    ).toEqual(['nonsense']);
  });

  it('commands and options', () => {
    const code = ['cn-kustomer nonsense', 'bin/cn-kustomer topics --aply', 'x | cn-kustomer connection ad --tenant t'];
    expect(wrongCommands(code)).toEqual(['no command nonsense', 'topics --aply', 'no command connection ad']);
    expect(wrongCommands(['cn-kustomer connection webhook chek cn_a'])).toEqual(['no command connection webhook chek']);
    expect(wrongCommands(['cn-kustomer --help', 'cn-kustomer connection add|list|remove', 'cn-kustomer'])).toEqual([]);
    expect(codeIn('```sh\nmake a \\\n  b\n```\nand `make c`, not make d')).toEqual(['make a b', 'make c']);
  });
});

describe.each(PAGES)('%s', (page) => {
  const text = read(page);

  it('has no link that leads nowhere', () => {
    expect(brokenLinks(page, text)).toEqual([]);
  });

  it('names only make targets that exist', () => {
    expect(unknownTargets(codeIn(text))).toEqual([]);
  });

  it('names only commands and options that exist', () => {
    expect(wrongCommands(codeIn(text))).toEqual([]);
  });

  it('names no place on somebody’s machine', () => {
    expect(text.match(/(?:^|[\s`("'])\/(?:home|root|Users|tmp|work)\/\S*/g)).toBeNull();
  });
});

describe('docs/cli.md', () => {
  const text = read('docs/cli.md');

  it.each([...COMMANDS])('documents %s with every option', (path, command) => {
    const start = text.indexOf(`\n### ${path}\n`);
    expect(start, `a section "### ${path}"`).toBeGreaterThan(-1);
    const next = text.indexOf('\n### ', start + 1);
    const section = text.slice(start, next === -1 ? undefined : next);
    for (const option of command.options) expect(section).toContain(option.flags);
  });

  it('lists every exit code', () => {
    for (const code of Object.values(EXIT)) expect(text).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'));
  });
});
