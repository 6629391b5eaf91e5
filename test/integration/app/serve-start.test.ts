/** Starts that do not come to an end: the process says why, lets go of the group and is gone. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Installation } from '../../support/installation.ts';

/** A port that answers nobody, for as long as the test runs. */
async function takenPort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return String((server.address() as AddressInfo).port);
}

test('regression: with its port taken, the service went on reopening its shards for ever, deaf to SIGTERM', async () => {
  const site = await Installation.open({ tenants: 1 });
  const serve = site.launch(['serve'], { env: { PORT: await takenPort() } });
  expect(await serve.waitForExit(30_000)).toEqual({ code: 2, signal: null });
  expect(serve.output()).toContain('EADDRINUSE');
  expect(serve.output()).not.toContain('The log is closed');
});

test('regression: SIGINT while it waited for a silent broker was heard only at the end of the wait', async () => {
  const site = await Installation.open({ tenants: 1 });
  const server = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const asked = once(server, 'connection');
  const { port } = server.address() as AddressInfo;
  const serve = site.launch(['serve'], { env: { KAFKA_BROKERS: `127.0.0.1:${port}` } });
  await asked;
  serve.signal('SIGINT');
  expect(await serve.waitForExit(10_000)).toEqual({ code: 0, signal: null });
  expect(serve.output()).not.toContain('listening on');
});

test('regression: a start without a broker was silent until it gave up', async () => {
  const site = await Installation.open({ tenants: 1 });
  const serve = site.launch(['serve'], { env: { KAFKA_BROKERS: '127.0.0.1:1' } });
  await serve.waitForOutput(/"brokers":\["127.0.0.1:1"\].*Kafka does not answer yet/, 15_000);
  serve.signal('SIGINT');
  expect(await serve.waitForExit(10_000)).toEqual({ code: 0, signal: null });
});

test('SIGINT while it waits for the registry ends it at once', async () => {
  const site = await Installation.open({ tenants: 1 });
  const serve = site.launch(['serve'], { env: { SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1/' } });
  await serve.waitForOutput(/does not answer/, 20_000);
  serve.signal('SIGINT');
  expect(await serve.waitForExit(10_000)).toEqual({ code: 0, signal: null });
  expect(serve.output()).not.toContain('listening on');
});
