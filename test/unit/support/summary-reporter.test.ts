/** The last line of a run is a promise to whoever reads only that: it is tried on real runs of vitest. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from '../../../scripts/stack/versions.ts';
import { startProcess } from '../../support/process.ts';

/** Runs vitest over these files and gives its exit code and the last line it printed. */
async function run(files: Readonly<Record<string, string>>, args: readonly string[] = []) {
  // Inside the project, where `vitest` resolves; the name keeps it away from the tiers' patterns.
  const folder = mkdtempSync(join(ROOT, 'node_modules', '.summary-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(
    join(folder, 'vitest.config.ts'),
    `import { SummaryReporter } from '${join(ROOT, 'test/support/summary-reporter.ts')}';
     export default { test: { include: ['*.spec.ts'], globalSetup: './setup.ts', reporters: [new SummaryReporter()] } };`,
  );
  for (const [name, source] of Object.entries({ 'setup.ts': 'export function setup() {}', ...files })) {
    writeFileSync(join(folder, name), `import { expect, test } from 'vitest';\n${source}`);
  }
  const vitest = startProcess({
    script: 'node_modules/vitest/vitest.mjs',
    args: ['run', '--root', folder, ...args],
    env: { VITEST: undefined, NODE_ENV: undefined },
  });
  const { code } = await vitest.waitForExit(60_000);
  return { code, last: vitest.stdout().trimEnd().split('\n').at(-1), output: vitest.output() };
}

const PASSES = `test('passes', () => {});`;

test('a clean run', async () => {
  expect(await run({ 'a.spec.ts': PASSES, 'b.spec.ts': PASSES })).toMatchObject({
    code: 0,
    last: '2 passed, 0 failed',
  });
});

test('a failing, a skipped and a todo test all count as failed', async () => {
  const result = await run({
    'a.spec.ts': `${PASSES} test('fails', () => expect(1).toBe(2)); test.skip('skipped', () => {}); test.todo('todo');`,
  });
  expect(result).toMatchObject({ code: 1, last: '1 passed, 3 failed' });
  expect(result.output).toContain('a.spec.ts: skipped');
});

test('a skipped test alone fails the run', async () => {
  const result = await run({ 'a.spec.ts': `${PASSES} test.skip('skipped', () => {});` });
  expect(result).toMatchObject({ code: 1, last: '1 passed, 1 failed' });
});

test('a file that cannot be loaded counts as failed', async () => {
  const result = await run({ 'a.spec.ts': PASSES, 'b.spec.ts': `throw new Error('no');` });
  expect(result).toMatchObject({ code: 1, last: '1 passed, 1 failed' });
});

test('an error outside every test counts as failed', async () => {
  const result = await run({
    'a.spec.ts': `test('passes', async () => {
      void Promise.reject(new Error('nobody waits for this'));
      await new Promise((resolve) => setTimeout(resolve, 20));
    });`,
  });
  expect(result).toMatchObject({ code: 1, last: '1 passed, 1 failed' });
});

test('a set-up or teardown that fails, fails the run', async () => {
  const teardown = `export function teardown() { throw new Error('left something'); }`;
  expect(await run({ 'a.spec.ts': PASSES, 'setup.ts': teardown })).toMatchObject({
    code: 1,
    last: '1 passed, 1 failed',
  });
  const setup = `export function setup() { throw new Error('no broker'); }`;
  expect(await run({ 'a.spec.ts': PASSES, 'setup.ts': setup })).toMatchObject({ code: 1, last: '0 passed, 1 failed' });
});

test('tests left out by a name filter are not held against the run', async () => {
  const result = await run({ 'a.spec.ts': `${PASSES} test('other', () => {});` }, ['-t', 'passes']);
  expect(result).toMatchObject({ code: 0, last: '1 passed, 0 failed' });
});
