/** `make up` and `make down`, through the functions below them, in a folder of their own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { composeDown } from '../../scripts/stack/docker.ts';
import { bringUp, takeDown } from '../../scripts/stack/lifecycle.ts';
import { isAlive, signal } from '../../scripts/stack/owned-process.ts';
import { StateFile } from '../../scripts/stack/state.ts';
import { openTestLog } from '../support/log-fixtures.ts';

const AVRO = { 'content-type': 'application/vnd.schemaregistry.v1+json' };

test('the stack keeps records and schemas over a restart, mends itself, and leaves nothing running', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cn-kustomer-stack-'));
  const file = new StateFile(folder);
  const report = () => {};
  onTestFinished(async () => {
    const state = file.read();
    await takeDown(report, folder);
    if (state?.kind === 'docker') composeDown(state.project, { volumes: true });
    rmSync(folder, { recursive: true, force: true });
  });
  const running = () => {
    const state = file.read();
    return state?.kind === 'native' ? state.processes : [];
  };

  const first = await bringUp(report, folder);
  expect(first.started).toBe(true);
  const topic = 'kept';
  const { log } = openTestLog({ brokers: [first.brokers] });
  await log.admin.createTopics([{ name: topic, partitions: 1, config: {} }]);
  const producer = await log.producer({ clientId: 'stack-test' });
  await producer.append([{ topic, key: null, value: Buffer.from('record') }]);
  await log.close();
  const schema = JSON.stringify({ schema: '{"type":"string"}' });
  const posted = await fetch(`${first.registryUrl}/subjects/kept-value/versions`, {
    method: 'POST',
    headers: AVRO,
    body: schema,
  });
  expect(posted.status).toBe(200);

  // Up again is quick and changes nothing.
  const again = await bringUp(report, folder);
  expect(again).toEqual({ ...first, started: false });

  // Half of it dies: up replaces all of it, on the same data.
  const [broker] = running();
  if (broker !== undefined) signal(broker, 'SIGKILL');
  else expect(await takeDown(report, folder)).toBe(true);
  const before = running();
  const second = await bringUp(report, folder);
  expect(second.started).toBe(true);
  expect(before.filter(isAlive)).toEqual([]);
  const versions = await fetch(`${second.registryUrl}/subjects/kept-value/versions`);
  expect(await versions.json()).toEqual([1]);
  const { log: later } = openTestLog({ brokers: [second.brokers] });
  expect(await later.admin.watermarks({ topic, partition: 0 })).toEqual({ low: 0, high: 1 });
  await later.close();

  const last = running();
  expect(await takeDown(report, folder)).toBe(true);
  expect(last.filter(isAlive)).toEqual([]);
  expect(file.read()).toBeNull();
  expect(await takeDown(report, folder)).toBe(false);
});
