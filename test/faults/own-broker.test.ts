/** The tool of the other tests here: a broker that can be stopped, crashed and paused, and is the same one afterwards. */
import { expect, test } from 'vitest';
import { kafkaAnswers } from '../../scripts/stack/probe.ts';
import { openTestLog, waitFor } from '../support/log-fixtures.ts';
import { startOwnBroker } from '../support/own-broker.ts';

const answers = (brokers: string) => kafkaAnswers(brokers).catch(() => false);

test('a broker of its own keeps its address and records over a pause, a stop and a crash', async () => {
  const broker = await startOwnBroker();
  const { log, prefix } = openTestLog({ brokers: [broker.brokers] });
  const topic = `${prefix}kept`;
  await log.admin.createTopics([{ name: topic, partitions: 1, config: {} }]);
  const append = async (value: string) => {
    const producer = await log.producer({ clientId: 'own-broker' });
    await producer.append([{ topic, key: null, value: Buffer.from(value) }]);
    await producer.close();
  };
  await append('before');

  broker.pause();
  // A stop signal reaches the last thread a moment later; an answer may slip through until then.
  await waitFor(async () => !(await answers(broker.brokers)), { message: 'silence of the paused broker' });
  broker.resume();
  await waitFor(() => answers(broker.brokers), { message: 'an answer of the resumed broker' });

  for (const how of ['SIGTERM', 'SIGKILL'] as const) {
    await broker.stop(how);
    expect(await answers(broker.brokers)).toBe(false);
    await broker.start();
    await waitFor(() => append(how).then(() => true), { message: 'an append after the restart', deadlineMs: 60_000 });
  }
  // An append whose answer was lost may stand there twice; none may be missing.
  const { low, high } = await log.admin.watermarks({ topic, partition: 0 });
  expect(low).toBe(0);
  expect(high).toBeGreaterThanOrEqual(3);
});
