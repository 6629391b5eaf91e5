import { createServer } from 'node:http';
import { inspect } from 'node:util';
import avsc from 'avsc';
import { afterEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import { createSchemaRegistry, valueSubject } from '../../../src/kafka/registry.ts';
import { WireDecoder, WireEncoder } from '../../../src/kafka/wire.ts';
import { type RegistryStub, type RegistryStubOptions, startRegistryStub } from '../../support/registry-stub.ts';

const SUBJECT = valueSubject('fibric.events.t_1');
const ID = { name: 'id', type: 'string' };
const note = (...fields: object[]) =>
  JSON.stringify({ type: 'record', name: 'Note', namespace: 'x', fields: [ID, ...fields] });
const V1 = note();
const V2 = note({ name: 'text', type: ['null', 'string'], default: null });
const BROKEN = note({ name: 'text', type: 'string' });

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const stub of open.splice(0)) await stub.close();
});

async function start(options?: RegistryStubOptions): Promise<RegistryStub> {
  const stub = await startRegistryStub(options);
  open.push(stub);
  return stub;
}

const registering = (stub: RegistryStub) => stub.requests.filter((request) => /^POST .*versions$|^PUT/.test(request));

describe.each(['confluent', 'apicurio'] as const)('the registry in the manner of %s', (manner) => {
  it('R1: sets the level before the first version, then refuses what breaks any earlier one', async () => {
    const stub = await start({ manner });
    const registry = createSchemaRegistry({ url: stub.url });
    const first = await registry.registerSchema({ subject: SUBJECT, schema: V1 });
    expect(registering(stub)).toEqual([`PUT /config/${SUBJECT}`, `POST /subjects/${SUBJECT}/versions`]);
    expect(stub.levels.get(SUBJECT)).toBe('BACKWARD_TRANSITIVE');
    const second = await registry.registerSchema({ subject: SUBJECT, schema: V2 });
    expect(second).not.toBe(first);
    await expect(registry.registerSchema({ subject: SUBJECT, schema: BROKEN })).rejects.toMatchObject({
      code: 'schema_incompatible',
      disposition: 'fatal',
      detail: { status: 409, subject: SUBJECT },
    });
    await expect(registry.schemaId(SUBJECT, BROKEN)).rejects.toMatchObject({ code: 'schema_unknown' });
  });

  it('R1: a subject that somebody registered without a level is checked from now on', async () => {
    const stub = await start({ manner });
    const body = JSON.stringify({ schema: V1 });
    const headers = { 'content-type': 'application/json' };
    await fetch(`${stub.url}/subjects/${SUBJECT}/versions`, { method: 'POST', body, headers });
    const registry = createSchemaRegistry({ url: stub.url });
    await expect(registry.registerSchema({ subject: SUBJECT, schema: BROKEN })).rejects.toMatchObject({
      code: 'schema_incompatible',
    });
    expect(await registry.registerSchema({ subject: SUBJECT, schema: V2 })).toBe(2);
  });

  it('R1: a weaker level is raised, a stricter one stays', async () => {
    const stub = await start({ manner });
    stub.levels.set(SUBJECT, 'BACKWARD').set('strict-value', 'FULL_TRANSITIVE');
    const registry = createSchemaRegistry({ url: stub.url });
    await registry.registerSchema({ subject: SUBJECT, schema: V1 });
    await registry.registerSchema({ subject: 'strict-value', schema: V1 });
    expect([...stub.levels.values()]).toEqual(['BACKWARD_TRANSITIVE', 'FULL_TRANSITIVE']);
  });

  it('R2: registering again, in other white space, gives the same id and writes nothing', async () => {
    const stub = await start({ manner });
    const registry = createSchemaRegistry({ url: `${stub.url}/` });
    const id = await registry.registerSchema({ subject: SUBJECT, schema: V1 });
    const before = registering(stub).length;
    expect(await registry.registerSchema({ subject: SUBJECT, schema: JSON.stringify(JSON.parse(V1), null, 2) })).toBe(
      id,
    );
    expect(registering(stub)).toHaveLength(before);
    expect(await registry.registerSchema({ subject: valueSubject('fibric.events.t_2'), schema: V1 })).toBe(id);
  });
});

describe('createSchemaRegistry', () => {
  it('asks for an id once, and goes on without a registry from then on', async () => {
    const stub = await start();
    const registry = createSchemaRegistry({ url: stub.url });
    await registry.registerSchema({ subject: SUBJECT, schema: V2 });
    const before = stub.requests.length;
    const [id, same] = await Promise.all([registry.schemaId(SUBJECT, V2), registry.schemaId(SUBJECT, V2)]);
    const type = avsc.Type.forSchema(JSON.parse(V2));
    const record = new WireEncoder({ schemaId: id, type }).encode({ id: 'n', text: 'hello' });
    const decoder = new WireDecoder<{ text: string }>({
      fetchSchema: (schemaId) => createSchemaRegistry({ url: stub.url }).schemaById(schemaId),
    });
    expect((await decoder.read(record)).text).toBe('hello');
    expect(stub.requests.slice(before)).toEqual([`POST /subjects/${SUBJECT}`, `GET /schemas/ids/${id}`]);
    await stub.close();
    expect(same).toBe(id);
    expect(await registry.schemaId(SUBJECT, V2)).toBe(id);
    expect((await decoder.read(record)).text).toBe('hello');
    await expect(registry.schemaId(SUBJECT, V1)).rejects.toMatchObject({
      code: 'registry_unavailable',
      disposition: 'wait',
    });
  });

  it('a lookup that failed is not remembered', async () => {
    const stub = await start();
    const registry = createSchemaRegistry({ url: stub.url });
    await expect(registry.schemaId(SUBJECT, V1)).rejects.toMatchObject({ code: 'schema_unknown' });
    await expect(registry.schemaById(9)).rejects.toMatchObject({ code: 'schema_unknown' });
    const id = await registry.registerSchema({ subject: SUBJECT, schema: V1 });
    expect(await registry.schemaId(SUBJECT, V1)).toBe(id);
    expect(JSON.parse(await registry.schemaById(id))).toMatchObject({ fields: [ID] });
  });

  it.each([500, 503, 429, 400])('status %i of any request is registry_unavailable', async (status) => {
    const stub = await start();
    const registry = createSchemaRegistry({ url: stub.url });
    stub.fault = status;
    const unavailable = expect.objectContaining({ code: 'registry_unavailable' });
    await expect(registry.ping()).rejects.toEqual(unavailable);
    await expect(registry.registerSchema({ subject: SUBJECT, schema: V1 })).rejects.toEqual(unavailable);
    await expect(registry.schemaId(SUBJECT, V1)).rejects.toEqual(unavailable);
    await expect(registry.schemaById(1)).rejects.toEqual(unavailable);
    stub.fault = null;
    stub.faults.set(`POST /subjects/${SUBJECT}/versions`, status);
    await expect(registry.registerSchema({ subject: SUBJECT, schema: V1 })).rejects.toEqual(unavailable);
    expect(stub.requests.filter((request) => request.endsWith('/versions'))).toHaveLength(1);
  });

  it('R1: gives way to whoever sets the level at the same moment, but not to a level that cannot be set', async () => {
    const stub = await start();
    const registry = createSchemaRegistry({ url: stub.url });
    stub.faults.set(`PUT /config/${SUBJECT}`, 409);
    const registering = registry.registerSchema({ subject: SUBJECT, schema: V1 });
    await expect(registering).rejects.toMatchObject({ code: 'registry_unavailable', detail: { status: 409 } });
    expect(stub.requests.filter((request) => request.startsWith('POST'))).toEqual([]);
    stub.onRequest = (request) => {
      if (request.startsWith('PUT')) stub.levels.set(SUBJECT, 'BACKWARD_TRANSITIVE');
    };
    expect(await registry.registerSchema({ subject: SUBJECT, schema: V1 })).toBe(1);
  });

  it('R2: two who register the same version at the same moment both get its id', async () => {
    const stub = await start();
    const registry = createSchemaRegistry({ url: stub.url });
    const versions = `POST /subjects/${SUBJECT}/versions`;
    stub.faults.set(versions, 409);
    stub.onRequest = (request) => {
      if (request === versions) stub.add(SUBJECT, V1);
    };
    expect(await registry.registerSchema({ subject: SUBJECT, schema: V1 })).toBe(1);
  });

  it('says that there is no registry where something else answers', async () => {
    const stub = await start();
    const elsewhere = createSchemaRegistry({ url: `${stub.url}/apis/other` });
    await expect(elsewhere.ping()).rejects.toMatchObject({
      code: 'registry_unavailable',
      detail: { registry: elsewhere.url },
    });
  });

  it('a schema the registry cannot read, or that is not JSON, is schema_incompatible', async () => {
    const stub = await start();
    const registry = createSchemaRegistry({ url: stub.url });
    stub.faults.set(`POST /subjects/${SUBJECT}/versions`, 422);
    await expect(registry.registerSchema({ subject: SUBJECT, schema: V1 })).rejects.toMatchObject({
      code: 'schema_incompatible',
    });
    const before = stub.requests.length;
    for (const schema of ['{', '{}', '{"type":"record","name":"A","fields":[{"name":"x","type":"nonsense"}]}']) {
      const incompatible = expect.objectContaining({ code: 'schema_incompatible' });
      await expect(registry.registerSchema({ subject: SUBJECT, schema })).rejects.toEqual(incompatible);
      await expect(registry.schemaId(SUBJECT, schema)).rejects.toEqual(incompatible);
    }
    expect(stub.requests).toHaveLength(before);
  });

  it('R3: a registry that hangs, or stops in the middle of an answer, is left after the deadline', async () => {
    const stub = await start();
    const registry = createSchemaRegistry({ url: stub.url, requestTimeoutMs: 80 });
    stub.fault = 'hang';
    const unavailable = expect.objectContaining({ code: 'registry_unavailable' });
    await expect(registry.ping()).rejects.toEqual(unavailable);
    await expect(registry.schemaId(SUBJECT, V1)).rejects.toEqual(unavailable);

    const half = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"id":', () => response.socket?.destroy());
    });
    await new Promise<void>((listening) => half.listen(0, '127.0.0.1', listening));
    open.push({ close: () => new Promise((closed) => half.close(() => closed())) });
    const { port } = half.address() as { port: number };
    const broken = createSchemaRegistry({ url: `http://127.0.0.1:${port}`, requestTimeoutMs: 80 });
    await expect(broken.ping()).rejects.toEqual(unavailable);
    await expect(broken.schemaId(SUBJECT, V1)).rejects.toEqual(unavailable);
  });

  it('R3: signs in from the URL or from settings, and no error shows the password', async () => {
    const stub = await start({ credentials: 'eva:p@ss/word' });
    const withUrl = createSchemaRegistry({ url: stub.url.replace('//', '//eva:p%40ss%2Fword@') });
    const withSettings = createSchemaRegistry({
      url: stub.url.replace('//', '//other:other@'),
      username: 'eva',
      password: new Secret('p@ss/word'),
    });
    expect(await withUrl.registerSchema({ subject: SUBJECT, schema: V1 })).toBe(1);
    expect(await withSettings.schemaId(SUBJECT, V1)).toBe(1);
    await withSettings.ping();
    expect(withUrl.url).toBe(stub.url);

    const wrong = createSchemaRegistry({ url: stub.url.replace('//', '//eva:hunter2@') });
    const errors: unknown[] = [];
    for (const call of [
      () => wrong.ping(),
      () => wrong.schemaId(SUBJECT, V1),
      () => wrong.registerSchema({ subject: SUBJECT, schema: V1 }),
    ]) {
      await call().catch((error: unknown) => errors.push(error));
    }
    expect(errors).toHaveLength(3);
    for (const error of errors) expect(error).toMatchObject({ code: 'config_invalid', disposition: 'refuse' });
    await stub.close();
    await wrong.ping().catch((error: unknown) => errors.push(error));
    await wrong.schemaById(1).catch((error: unknown) => errors.push(error));
    const shown =
      errors.map((error) => inspect(error, { depth: 9, showHidden: true })).join('\n') + inspect(wrong, { depth: 9 });
    expect(shown).not.toContain('hunter2');
    expect(shown).not.toContain(Buffer.from('eva:hunter2').toString('base64'));
  });

  it('refuses a URL it cannot use without repeating it', () => {
    for (const url of ['', 'localhost:8081', 'ftp://eva:hunter2@host', 'http://eva:%zz@host']) {
      let message = '';
      try {
        createSchemaRegistry({ url });
      } catch (error) {
        expect(error).toMatchObject({ code: 'config_invalid' });
        message = inspect(error);
      }
      expect(message).toContain('SCHEMA_REGISTRY_URL');
      expect(message).not.toMatch(/hunter2|%zz/);
    }
  });
});
