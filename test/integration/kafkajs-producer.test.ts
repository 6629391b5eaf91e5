/** Traps of KafkaJS's plain producer and of its presence in a process, on a real broker. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { BatchingProducer } from '../../src/kafka/batching-producer.ts';
import { brokerFaults } from '../support/broker-faults.ts';
import { kafkaBrokers, openTestLog, waitFor } from '../support/log-fixtures.ts';

async function setUp() {
  const { log, prefix } = openTestLog();
  const topic = `${prefix}raw`;
  await log.admin.createTopics([{ name: topic, partitions: 2, config: {} }]);
  const record = (value: string) => ({ topic, key: Buffer.from(value), value: Buffer.from(value) });
  const stored = async () => {
    const marks = await Promise.all([0, 1].map((partition) => log.admin.watermarks({ topic, partition })));
    return marks.reduce((sum, { high }) => sum + high, 0);
  };
  return { log, prefix, topic, record, stored };
}

describe('KafkaJS producer', () => {
  it('an append to a topic that does not exist is refused and poisons no later one', async () => {
    const { log, prefix, record, stored } = await setUp();
    const producer = await log.producer({ clientId: 'ingest' });
    await producer.append([record('before')]);
    const lost = producer.append([{ ...record('x'), topic: `${prefix}nowhere` }]);
    await expect(lost).rejects.toMatchObject({ code: 'topic_invalid' });
    await producer.append([record('after')]);
    expect(await stored()).toBe(2);
  });

  it('an append while the broker is away is log_unavailable, and the next one after its return works', async () => {
    const { log, record, stored } = await setUp();
    const faults = brokerFaults();
    const producer = await log.producer({ clientId: 'ingest' });
    await producer.append([record('before')]);
    faults.cut();
    await expect(producer.append([record('lost')])).rejects.toMatchObject({ code: 'log_unavailable' });
    faults.mend();
    await producer.append([record('after')]);
    expect(await stored()).toBe(2);
  });

  it('batches single appends over a real broker, each acknowledged, none lost', async () => {
    const { log, record, stored } = await setUp();
    const producers = [await log.producer({ clientId: 'lane-0' }), await log.producer({ clientId: 'lane-1' })];
    const batching = new BatchingProducer({ producers, clock: log.clock });
    await Promise.all(Array.from({ length: 5_000 }, (_, index) => batching.append(record(`record ${index}`))));
    expect(batching.health).toMatchObject({ heldRecords: 0, acknowledgedRecords: 5_000, failedRecords: 0 });
    await batching.close();
    await waitFor(async () => (await stored()) === 5_000, { message: '5,000 records' });
  });

  it('leaves no warning on the terminal: no negative timers, no partitioner notice, and the process can end', async () => {
    const { topic } = await setUp();
    const script = `
      import { openKafkaLog } from './src/kafka/kafkajs/index.ts';
      const logger = { debug() {}, info() {}, warn() {}, error() {} };
      const log = openKafkaLog({ settings: { brokers: ${JSON.stringify(kafkaBrokers())}, clientId: 'quiet' }, logger });
      const producer = await log.producer({ clientId: 'p' });
      await producer.append([{ topic: '${topic}', key: null, value: Buffer.from('x') }]);
      const reader = await log.reader({ clientId: 'r', topics: ['${topic}'] });
      await new Promise((resolve) => setTimeout(resolve, 300));
      await log.close();
      console.error('closed');`;
    const run = promisify(execFile)(process.execPath, ['--input-type=module-typescript', '--eval', script], {
      cwd: new URL('../..', import.meta.url),
      timeout: 30_000,
    });
    expect((await run).stderr).toBe('closed\n');
    expect((await run).stdout).toBe('');
  });
});
