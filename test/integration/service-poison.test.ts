/** Raw records nothing can be made of: set aside with their cause, in order and once, and never by the thousand. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { HEADER } from '../../src/kafka/headers.ts';
import type { Append } from '../../src/kafka/port.ts';
import { eventually, Installation, readiness } from '../support/installation.ts';
import { eventBody } from '../support/webhooks.ts';

const MEBIBYTE = 1_048_576;

interface Poison {
  readonly value: Buffer | null;
  readonly code: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Written past the receiver: also what it would refuse may come to stand in the raw topic. */
async function appendRaw(site: Installation, records: readonly Partial<Append>[], partition = 0): Promise<void> {
  const producer = await site.log.producer({ clientId: 'poison' });
  const target = site.target(0, '');
  const origin = {
    [HEADER.tenant]: target.tenantId,
    [HEADER.connection]: target.connectionId,
    [HEADER.channel]: 'webhook',
  };
  // One by one, as a batch may not exceed what the topic takes.
  for (const record of records) {
    const whole = { key: Buffer.from('poisoned'), value: null, headers: origin, ...record };
    await producer.append([{ ...whole, topic: site.names.raw, partition }]);
  }
  await producer.close();
}

/** Dead letters by place: what they say of their origin, and their bytes. */
async function deadLetters(site: Installation) {
  const headers = (await site.read([site.names.dead], { headersOnly: true })).records;
  const values = (await site.read([site.names.dead])).records;
  return headers
    .map((record, index) => ({
      partition: record.partition,
      sourceOffset: Number(record.headers[HEADER.sourceOffset]),
      sourcePartition: Number(record.headers[HEADER.sourcePartition]),
      sourceTopic: record.headers[HEADER.sourceTopic],
      code: record.headers[HEADER.errorCode],
      message: record.headers[HEADER.errorMessage] ?? '',
      value: values.find(({ partition, offset }) => partition === record.partition && offset === record.offset)?.value,
      index,
    }))
    .sort((a, b) => a.sourcePartition - b.sourcePartition || a.index - b.index);
}

test('poison of every kind is set aside with its cause, and what stands between it goes through', async () => {
  // One partition, and transactions that wait for company: large records must get along in one.
  const env = { RAW_PARTITIONS: '1', PROCESS_SHARDS: '1', PROCESS_PACE_MS: '1000' };
  const site = await Installation.open({ env, tenants: 1 });
  const { orgId, connectionId, tenantId } = site.target(0, '');
  const good = () => ({ value: eventBody('kustomer.conversation.create', { org: orgId }) });
  const poison: readonly Poison[] = [
    { value: Buffer.from('{"name":'), code: 'body_malformed' },
    { value: Buffer.from('[]'), code: 'body_malformed' },
    { value: null, code: 'body_malformed' },
    { value: Buffer.from([0xff, 0xfe, 0x00]), code: 'body_malformed' },
    { value: Buffer.from('{"hello":"world"}'), code: 'event_invalid' },
    {
      value: Buffer.from('{"name":"kustomer.conversation.create","data":{"type":"conversation","id":7}}'),
      code: 'event_invalid',
    },
    { value: good().value, code: 'record_unattributed', headers: { [HEADER.connection]: connectionId } },
    { value: good().value, code: 'record_unattributed', headers: { [HEADER.tenant]: tenantId } },
    {
      value: good().value,
      code: 'record_unattributed',
      headers: { [HEADER.tenant]: '../other', [HEADER.connection]: connectionId },
    },
    // Close to what the receiver takes, and incompressible: any three of them are more than one batch may hold.
    ...Array.from({ length: 8 }, () => ({ value: randomBytes(0.9 * MEBIBYTE), code: 'body_malformed' })),
    // As large as the raw topic lets it be: with the headers of a dead letter it is larger still.
    { value: randomBytes(2 * MEBIBYTE - 256), code: 'body_malformed' },
  ];
  const records = poison.flatMap(({ value, headers }) => [{ value, ...(headers && { headers }) }, good()]);
  await appendRaw(site, records);

  const processor = await site.serve({ roles: 'process' });
  await site.caughtUp(30_000);
  const letters = await deadLetters(site);
  expect(letters.map(({ code }) => code)).toEqual(poison.map(({ code }) => code));
  expect(letters.map(({ sourceOffset }) => sourceOffset)).toEqual(poison.map((_, index) => 2 * index));
  for (const [index, letter] of letters.entries()) {
    expect(letter).toMatchObject({ sourceTopic: site.names.raw, sourcePartition: 0, partition: 0 });
    expect(letter.message).not.toBe('');
    expect(letter.value?.equals(poison[index]?.value ?? Buffer.alloc(0)) ?? true).toBe(true);
  }
  expect((await site.visibleEnvelopes()).records).toHaveLength(poison.length);
  expect(processor.lines('process.failed')).toEqual([]);
  await processor.stop();
});

test('too much poison stops its partition in the open, swallows nothing, and passes once it may', async () => {
  const LIMIT = 5;
  const env = { RAW_PARTITIONS: '2', PROCESS_SHARDS: '2', DEAD_LETTER_RUN: String(LIMIT), PROCESS_BATCH_RECORDS: '3' };
  const site = await Installation.open({ env, tenants: 1 });
  const { orgId } = site.target(0, '');
  const good = () => ({ value: eventBody('kustomer.conversation.create', { org: orgId }) });
  const bad = { value: Buffer.from('{"no":"event"}') };
  const noJson = Array.from({ length: 4 * LIMIT }, () => ({ value: Buffer.from('no JSON') }));
  const few = Array.from({ length: LIMIT - 1 }, () => bad);
  const many = Array.from({ length: 4 * LIMIT }, () => bad);
  await appendRaw(site, [...few, good(), ...many, good()]);

  const stopped = await site.serve({ roles: 'process', untilReady: false });
  await stopped.process.waitForOutput(/"code":"dead_letter_limit"/);
  expect(stopped.lines('process.failed')).toMatchObject([
    { level: 50, code: 'dead_letter_limit', next: 'stop', topic: site.names.raw, partition: 0 },
  ]);
  expect(await readiness(stopped.url)).toMatchObject({ httpStatus: 503, ready: false });

  // The other partition goes on.
  await appendRaw(site, [good(), ...noJson, good()], 1); // no JSON is its sender's fault and stops nobody
  const check = async () => expect((await site.committed())[1]).toBe(2 + noJson.length);
  await eventually(check, { message: 'the partition without poison to go on' });

  // Set aside: those before the run, and at most the run up to its limit. Nothing behind it was touched.
  const [position = 0] = await site.committed();
  const reached = few.length + 1 + LIMIT;
  expect(position).toBeGreaterThanOrEqual(few.length);
  expect(position).toBeLessThan(reached);
  const set = await deadLetters(site);
  const ofStopped = set.filter(({ sourcePartition }) => sourcePartition === 0);
  for (const { sourceOffset } of ofStopped) expect(sourceOffset).toBeLessThan(position);
  expect(set.length - ofStopped.length).toBe(noJson.length);
  expect((await site.visibleEnvelopes()).records.length).toBe(2 + (position > few.length ? 1 : 0));
  expect(await readiness(stopped.url)).toMatchObject({ httpStatus: 503 });
  await stopped.stop();

  const patient = await site.serve({ roles: 'process', env: { DEAD_LETTER_RUN: '1000' } });
  await site.caughtUp();
  const letters = await deadLetters(site);
  const expected = [...few.keys(), ...many.map((_, index) => few.length + 1 + index)];
  const ofPatient = letters.filter(({ sourcePartition }) => sourcePartition === 0);
  expect(ofPatient.map(({ sourceOffset }) => sourceOffset)).toEqual(expected);
  expect((await site.visibleEnvelopes()).records).toHaveLength(4);
  await patient.stop();
});
