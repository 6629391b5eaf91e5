/** docs/fibric.md against the command: every command, option and exit code stands there, and its sessions go as printed. */
import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMON_OPTIONS } from '../../../src/cli/command.ts';
import type { CliContext } from '../../../src/cli/context.ts';
import { EXIT } from '../../../src/cli/exit.ts';
import { createProgram } from '../../../src/cli/program.ts';
import { codeIn, commandsOf, wrongCommands } from '../../support/doc-commands.ts';
import { renderSessions } from '../../support/fibric/doc-sessions.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const PAGES = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', ...globSync('docs/**/*.md', { cwd: ROOT }).sort()];
const read = (page: string): string => readFileSync(resolve(ROOT, page), 'utf8');

// Only its width is asked for: no command is run.
const CONTEXT = { stdout: {}, stderr: {} } as CliContext;
const COMMANDS = commandsOf(createProgram({ context: CONTEXT, finish: () => undefined }));
const LEAVES = [...COMMANDS].filter(([, { commands }]) => commands.length === 0);

describe('docs/fibric.md', () => {
  const text = read('docs/fibric.md');

  it.each(LEAVES)('documents %s with every option of its own', (path, command) => {
    const start = text.indexOf(`\n### ${path}\n`);
    expect(start, `a section "### ${path}"`).toBeGreaterThan(-1);
    const next = text.indexOf('\n### ', start + 1);
    const section = text.slice(start, next === -1 ? undefined : next);
    for (const { flags } of command.options) {
      if (!COMMON_OPTIONS.some((common) => common === flags)) expect(section).toContain(`\`${flags}\``);
    }
  });

  it('documents the options of every command', () => {
    for (const flags of COMMON_OPTIONS) expect(text).toContain(`| \`${flags}\` |`);
    for (const [path, command] of LEAVES) {
      expect(
        command.options.map((option) => option.flags),
        path,
      ).toEqual(expect.arrayContaining([...COMMON_OPTIONS]));
    }
  });

  it('lists every exit code', () => {
    for (const code of Object.values(EXIT)) expect(text).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'));
  });

  it('prints sessions as they go (written by `node test/support/fibric/write-doc.ts`)', async () => {
    expect(text).toBe(await renderSessions(text));
  });
});

describe.each(PAGES)('%s', (page) => {
  it('names only commands and options of fibric that exist', () => {
    expect(wrongCommands('fibric', COMMANDS, codeIn(read(page)))).toEqual([]);
  });
});

describe('every command', () => {
  it.each(LEAVES)('%s has examples that can be typed', (_path, command) => {
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    const examples = [...help.matchAll(/^ {2}\$ (.*(?:\\\n.*)*)$/gm)].map(([, line]) => line as string);
    expect(examples.length).toBeGreaterThan(0);
    expect(wrongCommands('fibric', COMMANDS, examples)).toEqual([]);
  });
});
