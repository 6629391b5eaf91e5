import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { startTime } from '../../../scripts/stack/owned-process.ts';
import { ROOT } from '../../../scripts/stack/versions.ts';
import { startProcess, trackProcess } from '../../support/process.ts';
import { waitFor } from '../../support/wait-for.ts';

const folder = mkdtempSync(join(tmpdir(), 'cn-process-test-'));
let scripts = 0;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function script(source: string): string {
  scripts += 1;
  const file = join(folder, `script-${scripts}.mjs`);
  writeFileSync(file, source);
  return relative(ROOT, file);
}

test('output, input and exit of a process reach the test', async () => {
  const echo = startProcess({
    script: script(`
      console.error('err ' + process.env.WORD);
      process.stdin.on('data', (text) => console.log('got ' + text)).on('end', () => process.exit(7));`),
    env: { WORD: 'hello' },
  });
  expect((await echo.waitForOutput(/err (\w+)/))[1]).toBe('hello');
  echo.input('abc');
  await echo.waitForOutput(/got abc/);
  expect(await echo.waitForExit()).toEqual({ code: 7, signal: null });
  expect(echo.stdout()).toBe('got abc\n');
});

test('a wait for output fails at once, with the output, when the process has ended', async () => {
  const short = startProcess({ script: script(`console.log('only this')`) });
  await expect(short.waitForOutput(/something else/, 15_000)).rejects.toThrow(/it ended with .*only this/s);
});

test('a process that still runs, even stopped, is ended by SIGTERM and is no leak', async () => {
  const { process: idle, end } = trackProcess({ script: script(`console.log('up'); setInterval(() => {}, 1000)`) });
  await idle.waitForOutput(/up/);
  idle.signal('SIGSTOP');
  expect(await end()).toEqual([]);
  expect(startTime(idle.pid)).toBeNull();
});

test('a process deaf to SIGTERM is killed and reported', async () => {
  const { process: deaf, end } = trackProcess({
    script: script(`process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')`),
    endDeadlineMs: 300,
  });
  await deaf.waitForOutput(/up/);
  expect(await end()).toEqual(['did not end on SIGTERM within 300 ms']);
  expect(startTime(deaf.pid)).toBeNull();
});

test('a process left behind by one of ours is killed and reported', async () => {
  const { process: parent, end } = trackProcess({
    script: script(`
      import { spawn } from 'node:child_process';
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' });
      child.unref();
      console.log('child ' + child.pid);`),
  });
  const left = Number((await parent.waitForOutput(/child (\d+)/))[1]);
  await parent.waitForExit();
  expect(await end()).toEqual([`left process ${left} running`]);
  await waitFor(() => startTime(left) === null, { message: 'the end of the process left behind' });
});
