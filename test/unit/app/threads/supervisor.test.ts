import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { loadSettings } from '../../../../src/app/settings.ts';
import { createLogger } from '../../../../src/app/telemetry.ts';
import { settingsOfThread } from '../../../../src/app/threads/share.ts';
import { runThreads } from '../../../../src/app/threads/supervisor.ts';

type Env = Readonly<Record<string, string>>;

function run(env: Env, { port = '0', threads = '2' } = {}) {
  const all = { ...env, PORT: port, THREADS: threads, SHUTDOWN_MS: '1000' };
  const stop = new AbortController();
  const up = Promise.withResolvers<AddressInfo>();
  const done = runThreads({
    settings: loadSettings(all),
    env: all,
    roles: ['process'],
    logger: createLogger('silent'),
    signal: stop.signal,
    up: up.resolve,
    stopGraceMs: 100,
    program: new URL('./scripted.ts', import.meta.url),
  });
  done.catch(() => undefined);
  return { done, up: up.promise, stop: () => stop.abort() };
}

test('V1, V3: up when all threads are, and stopped in order when told to', async () => {
  const { done, up, stop } = run({});
  expect((await up).port).toBeGreaterThan(0);
  stop();
  await expect(done).resolves.toBeUndefined();
});

test('V1: not up while one thread is not, and a stop then is still in order', async () => {
  const { done, up, stop } = run({ THREAD_1: 'SLOW' });
  let isUp = false;
  void up.then(() => {
    isUp = true;
  });
  stop();
  await expect(done).resolves.toBeUndefined();
  expect(isUp).toBe(false);
});

test('V1: what keeps one thread from starting is told with its code', async () => {
  await expect(run({ THREAD_1: 'REFUSE SLOW' }).done).rejects.toMatchObject({ code: 'schema_unknown' });
  await expect(run({ THREAD_0: 'THROW' }).done).rejects.toThrow('the thread broke');
});

test('V1: a thread that ends by itself ends the process', async () => {
  const outcome = await run({ THREAD_0: 'ASK', THREAD_1: 'EXIT' }).done;
  expect(String(outcome?.error)).toContain('thread 1 ended with code 3');
});

test('V3: a thread that does not stop when told to is ended', async () => {
  const { done, up, stop } = run({ THREAD_0: 'DEAF' });
  await up;
  stop();
  await expect(done).resolves.toBeUndefined();
});

test('V4: a silent thread is told as such, beside what the others say', async () => {
  const { error } = (await run({ THREAD_0: 'SILENT', THREAD_1: 'ASK' }).done) ?? expect.unreachable();
  const healths = JSON.parse((error as Error).message);
  expect(healths).toEqual([null, { ready: true, roles: { index: 1, port: expect.any(Number) } }]);
});

test('V2: a port that somebody listens at is refused, even by a listener that would share', async () => {
  const other = createServer();
  other.listen({ host: '127.0.0.1', port: 0, reusePort: true });
  await once(other, 'listening');
  onTestFinished(async () => void (await new Promise((resolve) => other.close(resolve))));
  const { port } = other.address() as AddressInfo;
  await expect(run({}, { port: String(port) }).done).rejects.toMatchObject({ code: 'config_invalid' });
});

test('bounds of the process are divided, so that more threads hold no more', () => {
  const settings = loadSettings({ INGEST_QUEUE_RECORDS: '1001', INGEST_QUEUE_BYTES: String(64 * 2 ** 20) });
  const { ingestQueueRecords, ingestQueueBytes, apiRecentMaxBytes } = settingsOfThread(settings, 4);
  expect({ ingestQueueRecords, ingestQueueBytes, apiRecentMaxBytes }).toEqual({
    ingestQueueRecords: 251,
    ingestQueueBytes: 16 * 2 ** 20,
    apiRecentMaxBytes: 16 * 2 ** 20,
  });
});
