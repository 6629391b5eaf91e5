/** N1–N4 of threaded-producer.ts, with a thread that does what the test tells it. */
import { afterEach, expect, it, vi } from 'vitest';
import type { Logger } from '../../../../src/kafka/kafkajs/logging.ts';
import { resolveSettings } from '../../../../src/kafka/kafkajs/settings.ts';
import { ThreadedProducer } from '../../../../src/kafka/kafkajs/threaded-producer.ts';

const program = new URL('./threads/scripted.ts', import.meta.url);
const OPERATION_TIMEOUT_MS = 10_000;

afterEach(() => {
  vi.useRealTimers();
});

const record = (value: string) => ({ topic: 'raw', key: null, value: Buffer.from(value) });

async function open(clientId = 'test') {
  const lines: string[] = [];
  const note = (_fields: object, message: string): void => void lines.push(message);
  const logger: Logger = { debug: note, info: note, warn: note, error: note };
  const settings = resolveSettings({ brokers: ['nowhere:1'], clientId, operationTimeoutMs: OPERATION_TIMEOUT_MS });
  return { producer: await ThreadedProducer.open({ settings, logger, program }), lines };
}

it('says why it could not open, with the code the thread gave', async () => {
  await expect(open('cannot-open')).rejects.toMatchObject({
    code: 'log_fatal',
    message: 'wrong password',
  });
});

it('passes a refusal on with code, message and detail, and goes on with the same thread', async () => {
  const { producer } = await open();
  await expect(producer.append([record('REFUSE')])).rejects.toMatchObject({
    code: 'topic_invalid',
    message: 'no such topic',
    detail: { topic: 'raw' },
  });
  await producer.append([record('after')]);
  await producer.close();
});

it('uses the same memory for batch after batch, and other memory after a failure (N1)', async () => {
  const { producer, lines } = await open();
  for (let i = 0; i < 5; i += 1) await producer.append([record(`batch ${i}`)]);
  expect(lines.filter((line) => line === 'memory')).toHaveLength(1);
  await expect(producer.append([record('REFUSE')])).rejects.toMatchObject({ code: 'topic_invalid' });
  await producer.append([record('after')]);
  expect(lines.filter((line) => line === 'memory')).toHaveLength(2);
  await producer.close();
});

it.each(['CRASH', 'EXIT'])(
  'rejects what was with a thread that ends (%s), and starts another (N2, N3)',
  async (end) => {
    const { producer } = await open();
    await expect(producer.append([record(end)])).rejects.toMatchObject({ code: 'log_unavailable' });
    await producer.append([record('after')]);
    await producer.close();
  },
);

it('gives up a thread that says nothing, and starts another (N2, N3)', async () => {
  const { producer } = await open();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const outcome = expect(producer.append([record('SILENT')])).rejects.toMatchObject({ code: 'log_unavailable' });
  await vi.advanceTimersByTimeAsync(OPERATION_TIMEOUT_MS + 60_000);
  vi.useRealTimers();
  await outcome;
  await producer.append([record('after')]);
  await producer.close();
});

it('lets the append under way settle before it closes, and takes no more (N4)', async () => {
  const { producer } = await open();
  const settled: string[] = [];
  const appended = producer.append([record('last')]).then(() => settled.push('append'));
  const closed = producer.close().then(() => settled.push('close'));
  await expect(producer.append([record('late')])).rejects.toMatchObject({ code: 'shutting_down' });
  await Promise.all([appended, closed]);
  expect(settled).toEqual(['append', 'close']);
  await producer.close();
});

it('rejects the one key that is not safe, and stays usable', async () => {
  const { producer } = await open();
  await expect(producer.append([{ ...record('x'), key: Buffer.alloc(4) }])).rejects.toThrow(RangeError);
  await producer.append([record('after')]);
  await producer.close();
});
