/**
 * The documents against the project: links lead somewhere, what is said to be typed can be typed, and the page of
 * commands knows them all. The pages in docs/reference are generated and have a test of their own.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createContext, EXIT } from '../../src/app/cli/io.ts';
import { createProgram } from '../../src/app/cli/program.ts';
import { codeIn, commandsOf, wrongCommands as wrongCalls } from '../support/doc-commands.ts';

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

const COMMANDS = commandsOf(createProgram(createContext({}, new AbortController().signal), () => undefined));
/** In a call of fibric it is the id of a listing. */
const wrongCommands = (code: readonly string[]) =>
  wrongCalls(
    'cn-kustomer',
    COMMANDS,
    code.filter((line) => !/(?:^|[\s/])fibric /.test(line)),
  );

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
