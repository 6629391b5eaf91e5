import { expect, inject, test } from 'vitest';
import { openTestLog, waitFor } from '../support/log-fixtures.ts';

test('a test gets a broker, a corner of its own on it, and a registry', async () => {
  const one = openTestLog();
  const other = openTestLog();
  expect(one.prefix).not.toBe(other.prefix);
  const name = `${one.prefix}things`;
  expect(await one.log.admin.createTopics([{ name, partitions: 1, config: {} }])).toEqual([name]);
  const producer = await one.log.producer({ clientId: 'fixtures' });
  await producer.append([{ topic: name, key: null, value: Buffer.from('x') }]);
  await waitFor(async () => (await other.log.admin.watermarks({ topic: name, partition: 0 })).high === 1, {
    message: 'the record, seen through another client',
  });
  const answer = await fetch(`${inject('schemaRegistryUrl')}/subjects`);
  expect(Array.isArray(await answer.json())).toBe(true);
});
