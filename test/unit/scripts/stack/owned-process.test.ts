import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  isAlive,
  signal,
  startDetached,
  startTime,
  stopProcess,
  tail,
} from '../../../../scripts/stack/owned-process.ts';
import { waitFor } from '../../../support/wait-for.ts';

function start(source: string) {
  const folder = mkdtempSync(join(tmpdir(), 'cn-owned-'));
  const logFile = join(folder, 'log');
  const owned = startDetached({ command: process.execPath, args: ['-e', source], logFile });
  onTestFinished(() => {
    signal(owned, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  return { owned, saysUp: () => waitFor(() => tail(logFile).includes('up'), { message: 'a line in the log' }) };
}

test('a process is stopped by SIGTERM, and stopping it again finds it gone', async () => {
  const { owned, saysUp } = start(`console.log('up'); setInterval(() => {}, 1000)`);
  await saysUp();
  expect(isAlive(owned)).toBe(true);
  expect(await stopProcess(owned, 5_000)).toBe('stopped');
  expect(isAlive(owned)).toBe(false);
  expect(await stopProcess(owned, 5_000)).toBe('gone');
});

test('a process deaf to SIGTERM is killed after the deadline', async () => {
  const { owned, saysUp } = start(`process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')`);
  await saysUp();
  expect(await stopProcess(owned, 200)).toBe('killed');
});

test('a stopped process hears SIGTERM', async () => {
  const { owned, saysUp } = start(`console.log('up'); setInterval(() => {}, 1000)`);
  await saysUp();
  signal(owned, 'SIGSTOP');
  expect(await stopProcess(owned, 5_000)).toBe('stopped');
});

test('a process that got the recorded id later is left alone', async () => {
  const { owned, saysUp } = start(`console.log('up'); setInterval(() => {}, 1000)`);
  await saysUp();
  const recorded = { pid: owned.pid, startedAt: 'another time' };
  expect(signal(recorded, 'SIGKILL')).toBe(false);
  expect(await stopProcess(recorded, 200)).toBe('gone');
  expect(isAlive(owned)).toBe(true);
});

test('ids of nobody and of zombies are not alive', async () => {
  expect(startTime(2 ** 30)).toBeNull();
  const child = spawn(process.execPath, ['-e', '0']);
  const pid = child.pid ?? 0;
  expect(startTime(pid)).not.toBeNull();
  await waitFor(() => startTime(pid) === null, { message: 'the end of the child' });
});

test('a command that does not exist is an error', () => {
  const logFile = join(tmpdir(), `cn-owned-${process.pid}.log`);
  onTestFinished(() => rmSync(logFile, { force: true }));
  expect(() => startDetached({ command: '/nowhere/java', args: [], logFile })).toThrow('/nowhere/java did not start');
});
