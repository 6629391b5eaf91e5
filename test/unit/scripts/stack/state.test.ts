import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { externalStack } from '../../../../scripts/stack/external.ts';
import { javaMajor } from '../../../../scripts/stack/java.ts';
import { freePorts } from '../../../../scripts/stack/ports.ts';
import { StateFile } from '../../../../scripts/stack/state.ts';
import { waitUntil } from '../../../../scripts/stack/wait.ts';

describe('the state file', () => {
  let folder: string;
  let file: StateFile;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cn-state-'));
    file = new StateFile(folder);
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  });

  test('gives back what was written, and null without a readable one', () => {
    expect(file.read()).toBeNull();
    const addresses = { brokers: '127.0.0.1:1', registryUrl: 'http://127.0.0.1:2' };
    file.write({ kind: 'docker', addresses, project: 'p' });
    expect(file.read()).toEqual({ kind: 'docker', addresses, project: 'p' });
    expect(readFileSync(file.envFile, 'utf8')).toBe(
      'KAFKA_BROKERS=127.0.0.1:1\nSCHEMA_REGISTRY_URL=http://127.0.0.1:2\n',
    );
    writeFileSync(join(folder, 'state.json'), '{"kind":');
    expect(file.read()).toBeNull();
  });

  test('names no addresses while the stack is starting', () => {
    file.write({ kind: 'native', addresses: { brokers: 'b', registryUrl: 'r' }, processes: [] });
    file.write({ kind: 'native', addresses: null, processes: [{ pid: 1, startedAt: 'x' }] });
    expect(() => readFileSync(file.envFile)).toThrow('ENOENT');
  });

  test('is held by one at a time, and a lock left by a process that is gone holds nobody up', async () => {
    writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: 2 ** 30, startedAt: 'x' }));
    const order: string[] = [];
    const work = (name: string) => async () => {
      order.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`${name} ends`);
    };
    await Promise.all([file.locked(work('a')), new StateFile(folder).locked(work('b'))]);
    expect([order.slice(0, 2), order.slice(2)].map((pair) => pair.map((line) => line.split(' ')[1]))).toEqual([
      ['begins', 'ends'],
      ['begins', 'ends'],
    ]);
  });

  test('is free again after work that failed', async () => {
    await expect(file.locked(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await file.locked(async () => 'yes')).toBe('yes');
  });
});

test('ports: the wanted one where it is free, else another, never the same twice', async () => {
  const [one = 0] = await freePorts([null]);
  const ports = await freePorts([one, one, null]);
  expect(ports[0]).toBe(one);
  expect(new Set(ports).size).toBe(3);
});

test('the environment names both or neither', () => {
  expect(externalStack({})).toBeNull();
  expect(externalStack({ KAFKA_BROKERS: '', SCHEMA_REGISTRY_URL: '' })).toBeNull();
  expect(externalStack({ KAFKA_BROKERS: 'b:1', SCHEMA_REGISTRY_URL: 'u' })).toEqual({
    brokers: 'b:1',
    registryUrl: 'u',
  });
  expect(() => externalStack({ KAFKA_BROKERS: 'b:1' })).toThrow('SCHEMA_REGISTRY_URL is not');
  expect(() => externalStack({ SCHEMA_REGISTRY_URL: 'u' })).toThrow('KAFKA_BROKERS is not');
});

test.each([
  ['openjdk version "17.0.15" 2025-04-15', 17],
  ['java version "1.8.0_392"', 8],
  ['openjdk version "25" 2025-09-16', 25],
  ['command not found', null],
])('Java of %s', (output, major) => {
  expect(javaMajor(output)).toBe(major);
});

test('a wait ends with success, with the last reason at the deadline, or at once when hopeless', async () => {
  let calls = 0;
  await waitUntil(async () => ++calls === 3, { what: 'three', deadlineMs: 5_000, everyMs: 1 });
  expect(calls).toBe(3);
  const failing = () => Promise.reject(new Error('connection refused'));
  await expect(waitUntil(failing, { what: 'it', deadlineMs: 20, everyMs: 1 })).rejects.toThrow(
    'it did not answer within 0.02 s (last: connection refused)',
  );
  const never = async () => false;
  await expect(waitUntil(never, { what: 'it', deadlineMs: 60_000, hopeless: () => 'it is gone' })).rejects.toThrow(
    'it: it is gone',
  );
});
