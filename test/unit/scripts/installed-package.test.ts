/** The package where npm puts it: below node_modules, where Node does not strip types by itself. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const ROOT = new URL('../../../', import.meta.url).pathname;
const PACKED = ['bin', 'scripts', 'schemas', 'src', 'package.json', 'versions.env'];

test('both commands run from an installed package', () => {
  const home = mkdtempSync(join(tmpdir(), 'installed-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const modules = join(home, 'node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
  const installed = join(modules, 'cn-kustomer');
  for (const part of PACKED) cpSync(join(ROOT, part), join(installed, part), { recursive: true });
  const run = (bin: string, ...args: readonly string[]) =>
    execFileSync(join(installed, 'bin', bin), args, { encoding: 'utf8', stdio: 'pipe', timeout: 30_000 });
  expect(run('cn-kustomer', 'demo', '--help')).toContain('Usage: cn-kustomer demo');
  expect(run('fibric', '--help')).toContain('Usage: fibric');
});
