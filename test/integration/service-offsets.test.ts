/** Committed offsets that the raw topic does not bear out: S6 of src/kafka/session.ts on a real broker. */
import kafkajs from 'kafkajs';
import { expect, test } from 'vitest';
import { PROCESSOR_GROUP } from '../../src/app/roles/process.ts';
import { HEADER } from '../../src/kafka/headers.ts';
import { eventually, Installation, readiness } from '../support/installation.ts';
import { kafkaBrokers } from '../support/log-fixtures.ts';
import { eventBody } from '../support/webhooks.ts';

const PARTITION = 0;
const ENV = { RAW_PARTITIONS: '1', PROCESS_SHARDS: '1' };

async function appendRaw(site: Installation, count: number): Promise<void> {
  const producer = await site.log.producer({ clientId: 'raw' });
  const { orgId, tenantId, connectionId } = site.target(0, '');
  const headers = { [HEADER.tenant]: tenantId, [HEADER.connection]: connectionId, [HEADER.channel]: 'webhook' };
  const value = () => eventBody('kustomer.conversation.create', { org: orgId });
  const topic = site.names.raw;
  const records = Array.from({ length: count }, () => ({ topic, partition: PARTITION, key: null, headers }));
  await producer.append(records.map((record) => ({ ...record, value: value() })));
  await producer.close();
}

const commit = (site: Installation, offset: number) =>
  site.log.admin.commit(`${site.prefix}${PROCESSOR_GROUP}`, [{ topic: site.names.raw, partition: PARTITION, offset }]);

/** As retention would. */
async function deleteBefore(topic: string, offset: number): Promise<void> {
  const admin = new kafkajs.Kafka({ brokers: [...kafkaBrokers()], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: PARTITION, offset: String(offset) }] });
  await admin.disconnect();
}

test('regression: a shard whose committed offset lay beyond the end of a log that was cut waited in silence', async () => {
  const site = await Installation.open({ env: ENV, tenants: 1 });
  await appendRaw(site, 2);
  await commit(site, 7);
  const stopped = await site.serve({ roles: 'process', untilReady: false });
  await stopped.process.waitForOutput(/"code":"offset_beyond_end"/);
  expect(stopped.lines('process.failed')).toMatchObject([
    { level: 50, code: 'offset_beyond_end', next: 'stop', topic: site.names.raw, partition: 0, committed: 7, end: 2 },
  ]);
  expect(await readiness(stopped.url)).toMatchObject({ httpStatus: 503, ready: false });
  await stopped.stop();

  // As the runbook says.
  await commit(site, 0);
  const cured = await site.serve({ roles: 'process' });
  await site.caughtUp();
  expect((await site.visibleEnvelopes()).records).toHaveLength(2);
  await cured.stop();
});

test('regression: records that retention took before they were processed went unnoticed', async () => {
  const site = await Installation.open({ env: ENV, tenants: 1 });
  await appendRaw(site, 5);
  await commit(site, 1);
  await deleteBefore(site.names.raw, 4);
  const processor = await site.serve({ roles: 'process' });
  expect(processor.lines('process.records_lost')).toMatchObject([
    { level: 50, partition: 0, from: 1, to: 4, records: 3 },
  ]);
  await site.caughtUp();
  expect((await site.visibleEnvelopes()).records).toHaveLength(1);
  const counted = async () => {
    const metrics = await (await fetch(`${processor.url}/metrics`)).text();
    expect(metrics).toMatch(/^cnk_process_records_lost_total 3$/m);
  };
  await eventually(counted, { message: 'the lost records to be counted' });
  await processor.stop();
});
