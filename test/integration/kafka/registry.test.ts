/** The registry room against a real registry (Apicurio's Confluent API): what the stub claims, proven. */
import { randomUUID } from 'node:crypto';
import avsc from 'avsc';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { createSchemaRegistry, valueSubject } from '../../../src/kafka/registry.ts';
import { waitForRegistry } from '../../../src/kafka/registry-wait.ts';
import { WireDecoder, WireEncoder } from '../../../src/kafka/wire.ts';

const ID = { name: 'id', type: 'string' };
/** A name per run: schemas of equal text would share ids with earlier runs. */
const record = (name: string, ...fields: object[]) =>
  JSON.stringify({ type: 'record', name, namespace: 'fibric.test', doc: 'Größe', fields: [ID, ...fields] });
const TEXT = { name: 'text', type: ['null', 'string'], default: null };
const unique = () => randomUUID().replaceAll('-', '');

/** The registry may outlive the run. */
const subjects: string[] = [];
function subjectOf(name: string): string {
  const subject = valueSubject(`test.${name}`);
  subjects.push(subject);
  return subject;
}
afterAll(async () => {
  for (const subject of subjects) await fetch(`${connect().url}/subjects/${subject}`, { method: 'DELETE' });
});

const connect = () => createSchemaRegistry({ url: inject('schemaRegistryUrl') });

describe('a real schema registry', () => {
  it('answers when it is waited for', async () => {
    const clock = { nowMs: Date.now, sleep: (ms: number) => new Promise<void>((done) => setTimeout(done, ms)) };
    await waitForRegistry({ registry: connect(), clock, deadlineMs: 30_000, report: () => undefined });
  });

  it('R1: takes a compatible version, refuses with 409 what breaks the newest or only the oldest', async () => {
    const registry = connect();
    const name = `Note${unique()}`;
    const subject = subjectOf(name);
    const first = await registry.registerSchema({ subject, schema: record(name) });
    const second = await registry.registerSchema({ subject, schema: record(name, TEXT) });
    expect(second).not.toBe(first);
    const refused = expect.objectContaining({
      code: 'schema_incompatible',
      detail: expect.objectContaining({ status: 409 }),
    });
    const breaksBoth = record(name, { name: 'added', type: 'string' });
    await expect(registry.registerSchema({ subject, schema: breaksBoth })).rejects.toEqual(refused);
    const breaksOldest = record(name, { name: 'text', type: ['null', 'string'] });
    await expect(registry.registerSchema({ subject, schema: breaksOldest })).rejects.toEqual(refused);
    await expect(registry.schemaId(subject, breaksBoth)).rejects.toMatchObject({ code: 'schema_unknown' });
  });

  it('R1: checks a subject that was registered without a level (which this registry answers with NONE)', async () => {
    const registry = connect();
    const name = `Note${unique()}`;
    const subject = subjectOf(name);
    const answer = await fetch(`${registry.url}/subjects/${subject}/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schema: record(name) }),
    });
    expect(answer.status).toBe(200);
    const broken = record(name, { name: 'text', type: 'string' });
    await expect(registry.registerSchema({ subject, schema: broken })).rejects.toMatchObject({
      code: 'schema_incompatible',
    });
    expect(await registry.registerSchema({ subject, schema: record(name, TEXT) })).toBeGreaterThan(0);
  });

  it('R2: the same schema has one id, under two subjects and registered twice or at the same time', async () => {
    const registry = connect();
    const name = `Note${unique()}`;
    const schema = record(name, TEXT);
    const two = [subjectOf(`${name}.a`), subjectOf(`${name}.b`)];
    const ids = [];
    for (const subject of [...two, ...two]) ids.push(await registry.registerSchema({ subject, schema }));
    expect(new Set(ids).size).toBe(1);
    expect(await connect().schemaId(two[1] as string, schema)).toBe(ids[0]);
    const subject = subjectOf(`${name}.c`);
    const together = await Promise.all([1, 2, 3].map(() => connect().registerSchema({ subject, schema })));
    expect(new Set([...together, ids[0]]).size).toBe(1);
  });

  it('a record of the old version is read by a newer reader, through the id on the wire', async () => {
    const registry = connect();
    const name = `Note${unique()}`;
    const subject = subjectOf(name);
    const old = record(name);
    const schemaId = await registry.registerSchema({ subject, schema: old });
    const bytes = new WireEncoder({ schemaId, type: avsc.Type.forSchema(JSON.parse(old)) }).encode({ id: 'é🙂' });
    const reader = connect();
    const readerType = avsc.Type.forSchema(JSON.parse(record(name, TEXT)));
    const decoder = new WireDecoder<object>({ readerType, fetchSchema: (id) => reader.schemaById(id) });
    expect({ ...(await decoder.read(bytes)) }).toEqual({ id: 'é🙂', text: null });
    await expect(reader.schemaById(999_999_999)).rejects.toMatchObject({ code: 'schema_unknown' });
  });
});
