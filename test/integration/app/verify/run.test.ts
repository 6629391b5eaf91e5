/** All of verify on a real broker: manifest file, topics, registry, report. */

import { readFileSync } from 'node:fs';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Type } from 'avsc';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  formatVerifyReport,
  runVerify,
  VERIFY_DEFAULTS,
  type VerifyOptions,
  verifyExitCode,
} from '../../../../src/app/verify/index.ts';
import { realClock } from '../../../../src/base/clock.ts';
import type { Append, Log } from '../../../../src/kafka/port.ts';
import { topicNames } from '../../../../src/kafka/topics.ts';
import type { LogHarness } from '../../../contract/harness.ts';
import { brokersOfThisRun, KafkaBench } from '../../../contract/kafkajs-harness.ts';
import { type RegistryStub, startRegistryStub } from '../../../support/registry-stub.ts';
import { waitFor } from '../../../support/wait-for.ts';

const SCHEMA = readFileSync(new URL('../../../../schemas/envelope.avsc', import.meta.url), 'utf8');
const TENANTS = ['t_a', 't_b'];
const type = Type.forSchema(JSON.parse(SCHEMA), { wrapUnions: true });

let bench: KafkaBench;
let harness: LogHarness;
let log: Log;
let registry: RegistryStub;
let folder: string;
let schemaId: number;

beforeAll(async () => {
  bench = await KafkaBench.open();
  harness = await bench.harness();
  log = harness.log;
  registry = await startRegistryStub();
  schemaId = await register(SCHEMA);
  folder = await mkdtemp(join(tmpdir(), 'cn-verify-test-'));
});
afterAll(async () => {
  await harness?.close();
  await bench?.close();
  await registry?.close();
  await rm(folder, { recursive: true, force: true });
});

async function register(schema: string): Promise<number> {
  const response = await fetch(`${registry.url}/subjects/test-value/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema }),
  });
  return ((await response.json()) as { id: number }).id;
}

const resourceId = (index: number) => index.toString(16).padStart(24, '0');
const tenantOf = (index: number) => TENANTS[index % TENANTS.length] as string;

/** One corner of the broker: topics under a prefix of its own, a manifest, envelopes. */
async function scene(name: string, changes: number) {
  const prefix = `${harness.unique(name)}.`;
  const names = topicNames(prefix);
  const topics = [...TENANTS.map((tenant) => names.events(tenant)), names.dead];
  await log.admin.createTopics(topics.map((topic) => ({ name: topic, partitions: 2, config: {} })));
  const manifest = join(folder, `${name}.jsonl`);
  const startedAtMs = Date.now();
  const targets = TENANTS.map((tenantId) => ({ tenantId, connectionId: tenantId.replace('t_', 'cn_') }));
  await writeFile(
    manifest,
    `${JSON.stringify({ kind: 'header', version: 1, seed: 's', startedAtMs, options: {}, targets })}\n`,
  );
  const options: VerifyOptions = {
    ...VERIFY_DEFAULTS,
    manifest,
    access: { brokers: brokersOfThisRun(), ssl: false },
    registry: { url: registry.url },
    topicPrefix: prefix,
  };
  const append = (index: number, eventId = `ev-${index}`): Append => ({
    topic: names.events(tenantOf(index)),
    key: Buffer.from(`conversation:${resourceId(index)}`),
    value: envelope(index, eventId),
  });
  const send = (index: number, status = 200) => appendFile(manifest, `${JSON.stringify(line(index, status))}\n`);
  const all = Array.from({ length: changes }, (_, index) => index);
  return { names, options, append, send, all, footer: () => appendFile(manifest, '{"kind":"footer","sends":1}\n') };
}

function line(index: number, status: number) {
  return {
    kind: 'send',
    seq: index,
    tenant: tenantOf(index),
    connection: tenantOf(index).replace('t_', 'cn_'),
    resource_type: 'conversation',
    resource_id: resourceId(index),
    rev: 3,
    event_name: 'kustomer.conversation.create',
    answeredAtMs: Date.now(),
    status,
    expect: [{ event_type: 'conversation.created', fields: { status: 'open', customer_id: null, tags: ['x'] } }],
  };
}

function envelope(index: number, eventId: string): Buffer {
  const optional = { string: (value: string) => ({ string: value }) };
  const body = type.toBuffer({
    event_id: eventId,
    reseller_id: null,
    tenant_id: tenantOf(index),
    workspace_id: null,
    source: 'kustomer',
    event_type: 'conversation.created',
    correlation_id: 'co_1',
    payload: {
      'fibric.kustomer.ConversationCreated': {
        ...blank('ConversationCreated'),
        resource_type: 'conversation',
        resource_id: resourceId(index),
        entity: `conversation:${resourceId(index)}`,
        conversation_id: resourceId(index),
        revision: { long: 3 },
        observed_via: 'webhook',
        late: false,
        status: optional.string('open'),
        tags: { array: ['x'] },
      },
    },
    agent_id: null,
    session_id: null,
  });
  const header = Buffer.alloc(5);
  header.writeInt32BE(schemaId, 1);
  return Buffer.concat([header, body]);
}

/** Every optional field of a payload record as null. */
function blank(record: string): Record<string, null> {
  const { fields } = JSON.parse(SCHEMA) as {
    fields: { name: string; type: { name: string; fields: { name: string }[] }[] }[];
  };
  const branch = fields.find(({ name }) => name === 'payload')?.type.find(({ name }) => name === record);
  return Object.fromEntries((branch?.fields ?? []).map(({ name }) => [name, null]));
}

async function transact(id: string, appends: readonly Append[]): Promise<void> {
  const producer = await log.transactional({ transactionalId: id, transactionTimeoutMs: 10_000 });
  await producer.commit({ appends });
  await producer.close();
}

const io = { clock: realClock, progress: () => undefined };

test('a flood that went well: complete, nothing wrong, latency not invented', async () => {
  const { options, append, send, all, footer, names } = await scene('well', 50);
  for (const index of all) await send(index);
  await footer();
  // What an owner that died left behind is aborted: the same envelopes once more, which nobody may see.
  await harness.leaveOpen({ transactionalId: `${names.dead}-w`, appends: all.map((index) => append(index)) });
  await transact(
    `${names.dead}-w`,
    all.map((index) => append(index)),
  );
  const lines: string[] = [];
  const report = await runVerify(options, { ...io, progress: (text) => lines.push(text) });
  expect(report).toMatchObject({ ok: true, complete: true, defectTotal: 0, latency: null });
  expect(report.counts).toMatchObject({ sent: 50, changes: 50, accepted: 50, expected: 50, seen: 50, envelopes: 50 });
  expect(report.manifest).toMatchObject({ footer: true, torn: false });
  expect(report.schemas).toEqual({ registry: 1, file: 0 });
  expect(verifyExitCode(report)).toBe(0);
  expect(formatVerifyReport(report)).toContain('verify ok: accepted=50 envelopes=50 lost=0 doubled=0');
  expect(formatVerifyReport(report)).toContain('not measured');
  expect(lines.length).toBeGreaterThan(0);
});

test('beside a running flood it waits for its end and measures accepted to visible', async () => {
  const { options, append, send, all, footer, names } = await scene('beside', 20);
  const lines: string[] = [];
  const verifying = runVerify({ ...options, follow: true }, { ...io, progress: (text) => lines.push(text) });
  await waitFor(() => lines.some((text) => text.includes('at the end of 6 of 6')), { message: 'reader at the end' });
  const producer = await log.transactional({ transactionalId: `${names.dead}-b`, transactionTimeoutMs: 10_000 });
  for (const index of all) {
    await send(index);
    await producer.commit({ appends: [append(index)] });
  }
  await producer.close();
  await footer();
  const report = await verifying;
  expect(report).toMatchObject({ ok: true, complete: true });
  expect(report.latency?.measured).toBe(20);
  expect(report.latency?.p50Ms).toBeGreaterThanOrEqual(0);
  expect(report.latency?.maxMs).toBeLessThan(10_000);
});

test('what went wrong is found: lost, doubled, dead; without progress it stops and says what for', async () => {
  const { options, append, send, all, footer, names } = await scene('badly', 10);
  for (const index of all) await send(index, index === 9 ? 503 : 200);
  await footer();
  const good = all.slice(1, 9).map((index) => append(index));
  await transact(`${names.dead}-x`, [...good, append(4), append(5, 'another')]);
  const dead: Append = {
    topic: names.dead,
    key: Buffer.from(resourceId(0)),
    value: Buffer.from('{'),
    headers: { connection: 'cn_a', error_code: 'body_malformed' },
  };
  await transact(`${names.dead}-y`, [dead, { ...dead, headers: { ...dead.headers, connection: 'cn_other' } }]);
  const report = await runVerify({ ...options, timeoutMs: 3_000 }, io);
  expect(report).toMatchObject({ ok: false, complete: false });
  expect(report.defects).toMatchObject({ missing: 1, doubled: 2, dead_letter: 1 });
  expect(report.defectTotal).toBe(4);
  expect(report.stoppedBecause).toContain('waiting for 1 envelopes');
  expect(verifyExitCode(report)).toBe(1);
  const text = formatVerifyReport(report);
  expect(text).toContain('verify FAILED');
  expect(text).toContain('body_malformed');
});

test('without the registry the committed schema is used, and the report says so', async () => {
  const { options, append, send, all, footer, names } = await scene('unregistered', 3);
  for (const index of all) await send(index);
  await footer();
  await transact(
    `${names.dead}-u`,
    all.map((index) => append(index)),
  );
  const report = await runVerify({ ...options, registry: { url: 'http://127.0.0.1:1' } }, io);
  expect(report).toMatchObject({ ok: true, schemas: { registry: 0, file: 1 } });
  expect(formatVerifyReport(report)).toContain('committed file');
});

test('with the client of the service it works too, and the report does not hide it', async () => {
  const { options, append, send, all, footer, names } = await scene('last-resort', 4);
  for (const index of all) await send(index);
  await footer();
  await transact(
    `${names.dead}-k`,
    all.map((index) => append(index)),
  );
  const opened: Log[] = [];
  const openLog = async () => {
    opened.push(await harness.connect());
    return opened[0] as Log;
  };
  const report = await runVerify({ ...options, reader: 'kafkajs' }, { ...io, openLog });
  expect(report).toMatchObject({ ok: true, reader: { name: 'kafkajs', endIsProven: false } });
  expect(formatVerifyReport(report)).toContain('NOT independent');
  // It was closed: a log that is closed opens nothing more.
  await expect(opened[0]?.producer({ clientId: 'x' })).rejects.toMatchObject({ code: 'shutting_down' });
});
