import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addConnection, removeConnection } from '../../../../src/app/control/connection-commands.ts';
import { listConnections } from '../../../../src/app/control/connection-text.ts';
import { createKeyring, type Keyring } from '../../../../src/app/control/seal.ts';
import { type ConnectionStore, openConnectionStore } from '../../../../src/app/control/store.ts';
import { Secret } from '../../../../src/base/secret.ts';
import type { ConnectionWithTokens } from '../../../../src/fibric/connection.ts';
import { createMemoryLog, type HeldCommit, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import type { Append, LogRecord } from '../../../../src/kafka/port.ts';
import { waitFor } from '../../../support/wait-for.ts';

const TOPIC = 'fibric.control';
const WRITER = `${TOPIC}.connections`;
const CANARY = 'canary-token-7f3a9b';
const SECOND = 'canary-second-0c1d2e';
const key = randomBytes(32);
const acme = { tenant: 't_a', name: 'prod', subdomain: 'acme', id: 'cn_a', org: '5a8f1c2e9b1d4e0012ab34cd' };

let log: MemoryLog;
let logged: string;
let opened: ConnectionStore[];

beforeEach(async () => {
  log = createMemoryLog();
  logged = '';
  opened = [];
  await log.admin.createTopics([{ name: TOPIC, partitions: 1, config: { 'cleanup.policy': 'compact' } }]);
});

afterEach(async () => {
  for (const store of opened) await store.close();
  await log.close();
});

async function open(
  keyring: Keyring = createKeyring([key]),
  more: { catchUp?: 'quiet'; quietMs?: number; timeoutMs?: number; log?: MemoryLog } = {},
) {
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      logged += chunk;
      done();
    },
  });
  const logger = pino({ level: 'trace' }, sink);
  const store = await openConnectionStore({
    log,
    topics: { control: TOPIC },
    keyring,
    logger,
    timeoutMs: 5_000,
    ...more,
  });
  opened.push(store);
  return store;
}

const token = (text: string) => async () => new Secret(text);
const never = async () => expect.unreachable('a token was asked for');
const add = (store: ConnectionStore, options: object = {}, text = CANARY) =>
  addConnection({ store, options: { ...acme, ...options }, readToken: token(text) });
const tokens = (store: ConnectionStore, id = 'cn_a') => store.get(id)?.webhookTokens.map((one) => one.reveal());

async function rawRecords(): Promise<readonly LogRecord[]> {
  const reader = await log.reader({ clientId: 'raw', topics: [TOPIC] });
  const { high } = await log.admin.watermarks({ topic: TOPIC, partition: 0 });
  const done = Promise.withResolvers<readonly LogRecord[]>();
  const records: LogRecord[] = [];
  reader.follow({
    topic: TOPIC,
    partition: 0,
    fromOffset: 0,
    records: (batch) => void records.push(...batch.records),
    // The last offset is that of a transaction's marker.
    passed: (nextOffset) => {
      if (nextOffset >= high) done.resolve(records);
    },
    failed: done.reject,
  });
  const all = await done.promise;
  await reader.close();
  return all;
}

async function append(record: Omit<Append, 'topic'>): Promise<void> {
  const producer = await log.producer({ clientId: 'test' });
  await producer.append([{ topic: TOPIC, partition: 0, ...record }]);
  await producer.close();
}

function releaseWhenReached(held: HeldCommit): void {
  void waitFor(() => held.reached, { message: 'the commit stands', deadlineMs: 2_000 })
    .catch(() => undefined)
    .then(() => held.release());
}

/** Resolves once `store` reports a change of the connection. */
function changeOf(store: ConnectionStore, connectionId = 'cn_a'): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = store.onChange((id) => {
    if (id !== connectionId) return;
    stop();
    resolve();
  });
  return promise;
}

describe('the connection store', () => {
  it('shows what it has added, and so does every store opened later', async () => {
    const store = await open();
    expect(store.list()).toEqual([]);
    const { created, connection } = await add(store, { extendedEvents: true });
    expect(created).toBe(true);
    expect(connection).toMatchObject({
      connectionId: 'cn_a',
      tenantId: 't_a',
      resellerId: null,
      settings: { extendedEvents: true },
    });
    expect(tokens(store)).toEqual([CANARY]);
    const later = await open();
    expect(later.get('cn_a')).toMatchObject({ name: 'prod', subdomain: 'acme', orgId: acme.org });
    expect(tokens(later)).toEqual([CANARY]);
  });

  it('is followed: another process sees the change, and the removal', async () => {
    const [writer, follower] = [await open(), await open()];
    let seen = changeOf(follower);
    await add(writer);
    await seen;
    expect(tokens(follower)).toEqual([CANARY]);
    seen = changeOf(follower);
    await removeConnection({ store: writer, connectionId: 'cn_a' });
    await seen;
    expect(follower.get('cn_a')).toBeUndefined();
    expect(follower.unreadable('cn_a')).toBe(false);
  });

  it('gives the same object until the connection changes', async () => {
    const store = await open();
    await add(store);
    const before = store.get('cn_a');
    await add(store, { id: 'cn_b', name: 'other' });
    expect(store.get('cn_a')).toBe(before);
    await addConnection({ store, options: { ...acme, subdomain: 'acme2' }, readToken: never });
    expect(store.get('cn_a')).not.toBe(before);
    expect(store.get('cn_a')).toMatchObject({ subdomain: 'acme2', orgId: acme.org });
    expect(tokens(store)).toEqual([CANARY]);
  });

  it('rotates: two live tokens at most, the old one dropped on demand', async () => {
    const store = await open();
    await add(store);
    await add(store, { rotate: true }, SECOND);
    expect(tokens(store)).toEqual([CANARY, SECOND]);
    await add(store, { rotate: true }, SECOND);
    expect(tokens(store)).toEqual([CANARY, SECOND]);
    await expect(add(store, { rotate: true }, 'third-token-123')).rejects.toMatchObject({
      code: 'connection_conflict',
    });
    expect(tokens(await open())).toEqual([CANARY, SECOND]);
    await addConnection({ store, options: { ...acme, dropOld: true }, readToken: never });
    expect(tokens(store)).toEqual([SECOND]);
    await add(store, { rotate: true, dropOld: true }, 'third-token-123');
    expect(tokens(await open())).toEqual(['third-token-123']);
  });

  it('survives compaction and removal with the same content', async () => {
    const store = await open();
    for (let i = 0; i < 5; i += 1) await add(store, { id: `cn_${i}`, name: `n${i}` });
    await add(store, { id: 'cn_1', name: 'n1', rotate: true }, SECOND);
    await removeConnection({ store, connectionId: 'cn_2' });
    log.compact(TOPIC);
    const later = await open();
    expect(
      later
        .list()
        .map((one) => one.connectionId)
        .toSorted(),
    ).toEqual(['cn_0', 'cn_1', 'cn_3', 'cn_4']);
    expect(tokens(later, 'cn_1')).toEqual([CANARY, SECOND]);
  });

  it('keeps one barrier however often it is opened', async () => {
    for (let i = 0; i < 4; i += 1) await open();
    log.compact(TOPIC);
    expect((await rawRecords()).map((record) => record.key?.toString())).toEqual(['barrier']);
  });

  it('opens without writing for those who may only read', async () => {
    await add(await open());
    log.compact(TOPIC);
    const before = await log.admin.watermarks({ topic: TOPIC, partition: 0 });
    const reader = await open(createKeyring([key]), { catchUp: 'quiet', quietMs: 1_000 });
    expect(tokens(reader)).toEqual([CANARY]);
    expect(await log.admin.watermarks({ topic: TOPIC, partition: 0 })).toEqual(before);
  });

  it('T2: reports what it cannot open or read, goes on, and takes no older token instead', async () => {
    const store = await open();
    await add(store);
    await add(store, { id: 'cn_b', name: 'b' });
    const stranger = await open(createKeyring([randomBytes(32)]));
    expect(stranger.list()).toEqual([]);
    expect(stranger.unreadable('cn_a')).toBe(true);
    expect(stranger.health().problems.map(({ code }) => code)).toEqual(['secret_unreadable', 'secret_unreadable']);
    for (const value of ['not json', '{}', 'null', '{"version":2}', '']) {
      const seen = changeOf(store);
      await append({ key: Buffer.from('connection/t_a/cn_a'), value: Buffer.from(value) });
      await seen;
      expect(store.get('cn_a')).toBeUndefined();
      expect(store.unreadable('cn_a')).toBe(true);
    }
    expect(store.get('cn_b')).toBeDefined();
    expect(store.health()).toMatchObject({
      ready: true,
      connections: 1,
      problems: [{ connectionId: 'cn_a', code: 'config_invalid' }],
    });
    await add(store);
    expect(tokens(store)).toEqual([CANARY]);
    expect(store.health().problems).toEqual([]);
  });

  it('ignores keys that are no connection of ours', async () => {
    for (const name of [
      'policy/t_a/x',
      'connection/',
      'connection/t_a',
      'connection/t_a/b/c',
      'connection/../x',
      'connection/t a/b',
    ]) {
      await append({ key: Buffer.from(name), value: Buffer.from('{}') });
    }
    await append({ key: null, value: Buffer.from('x') });
    const store = await open();
    expect(store.list()).toEqual([]);
    expect(store.health().problems).toEqual([]);
  });

  it('regression T2: without the key a processor took connections for unknown, and dropped their extended events', async () => {
    const store = await open();
    await add(store, { extendedEvents: true, reseller: 'r_1' });
    const stranger = await open(createKeyring([randomBytes(32)]));
    const { webhookTokens: _secret, apiKey: _key, ...described } = store.get('cn_a') ?? expect.unreachable();
    expect(stranger.get('cn_a')).toBeUndefined();
    expect(stranger.unreadable('cn_a')).toBe(true);
    expect(stranger.describe('cn_a')).toEqual(described);
    expect(stranger.describe('cn_a')).toBe(stranger.describe('cn_a'));
    expect(store.describe('cn_a')).toEqual(described);
    expect(described.settings.extendedEvents).toBe(true);
    expect(stranger.describe('cn_none')).toBeUndefined();

    const seen = changeOf(stranger);
    await removeConnection({ store, connectionId: 'cn_a' });
    await seen;
    expect(stranger.describe('cn_a')).toBeUndefined();
  });

  it('T3: gives an id claimed by two tenants to the older claim, and refuses to make such a claim', async () => {
    const store = await open();
    await add(store);
    await expect(add(store, { tenant: 't_b' })).rejects.toMatchObject({ code: 'connection_conflict' });
    await expect(add(store, { id: 'cn_other' })).rejects.toMatchObject({ code: 'connection_conflict' });
    // A sealed value copied to another tenant's key does not open there.
    const stolen = (await rawRecords()).find((record) => record.key?.toString() === 'connection/t_a/cn_a');
    await append({ key: Buffer.from('connection/t_b/cn_a'), value: stolen?.value ?? null });
    const later = await open();
    expect(later.list().filter((one) => one.tenantId === 't_b')).toEqual([]);
    expect(later.health().problems).toMatchObject([
      { tenantId: 't_b', code: 'secret_unreadable' },
      { tenantId: 't_a' },
    ]);
  });

  it('answers with an error, not for ever, when the log does not take the write', async () => {
    const store = await open(undefined, { timeoutMs: 300 });
    log.faults.down();
    await expect(add(store)).rejects.toMatchObject({ code: 'log_unavailable' });
    expect(store.get('cn_a')).toBeUndefined();
    log.faults.up();
    const added = () => add(store).then(() => tokens(store));
    expect(await waitFor(() => added().catch(() => undefined), { message: 'a change after the outage' })).toEqual([
      CANARY,
    ]);
  });

  it('tells no token: not in the topic, the log, an error, a list or a printed object', async () => {
    const store = await open();
    await add(store);
    await add(store, { rotate: true }, SECOND);
    const stranger = await open(createKeyring([randomBytes(32)]));
    const refused = await add(store, { rotate: true }, 'third-token-123').catch((error: unknown) => error);
    const invalid = await add(store, { id: 'cn_z', name: 'z' }, `${CANARY} with spaces`).catch(
      (error: unknown) => error,
    );
    const told = [
      ...(await rawRecords()).map(({ key, value, headers }) => `${key} ${value} ${Object.values(headers).join()}`),
      logged,
      listConnections(store),
      listConnections(stranger),
      JSON.stringify([store.list(), store.health(), stranger.health(), refused, invalid]),
      ...[store.list(), refused, invalid].map((value) => `${(value as Error).stack} ${inspect(value, { depth: 9 })}`),
    ].join('\n');
    expect(told).toContain('connection/t_a/cn_a');
    for (const secret of [CANARY, SECOND, 'third-token-123']) {
      expect(told).not.toContain(secret);
      expect(told).not.toContain(Buffer.from(secret).toString('base64').replace(/=+$/, ''));
      expect(told).not.toContain(Buffer.from(secret).toString('hex'));
    }
  });
});

describe('two processes that change one connection', () => {
  const without = ({ webhookTokens: _tokens, apiKey: _key, ...plain }: ConnectionWithTokens) => plain;

  it('in the same moment keep what both changed, tokens and keys too', async () => {
    const [one, other] = [await open(), await open()];
    await add(one);
    await waitFor(() => other.get('cn_a'), { message: 'the other has heard of it' });
    for (let round = 0; round < 20; round += 1) {
      const token = round % 2 === 0 ? { token: new Secret(`${SECOND}-${round}`) } : { dropOld: true };
      const mine = without(one.get('cn_a') ?? expect.unreachable());
      const theirs = without(other.get('cn_a') ?? expect.unreachable());
      await Promise.all([
        one.add({ connection: { ...mine, subdomain: `acme${round}` }, ...token }),
        other.add({
          connection: { ...theirs, settings: { ...theirs.settings, pollIntervalMs: 10_000 + round } },
          apiKey: new Secret(`canary-key-${round}`),
        }),
      ]);
      const later = await open();
      expect(later.get('cn_a')).toMatchObject({
        subdomain: `acme${round}`,
        hasApiKey: true,
        settings: { pollIntervalMs: 10_000 + round },
      });
      expect(later.get('cn_a')?.apiKey?.reveal()).toBe(`canary-key-${round}`);
      expect(tokens(later)).toHaveLength(round % 2 === 0 ? 2 : 1);
      await waitFor(() => [one, other].every((store) => store.health().nextOffset >= later.health().nextOffset), {
        message: 'both have read on',
      });
    }
  });

  it('D1: of three in the same moment each keeps what it has changed (property)', async () => {
    const fields = ['subdomain', 'name', 'orgId'] as const;
    const step = fc.record({ writer: fc.nat(2), held: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 9 }), async (steps) => {
        const id = `cn_${randomBytes(6).toString('hex')}`;
        const stores = await Promise.all([0, 1, 2].map(() => open(undefined, { log: log.connect() })));
        const { connection: base } = await add(stores[0] as ConnectionStore, { id, name: id });
        await waitFor(() => stores.every((store) => store.get(id)), { message: 'all have heard of it' });
        const last: Record<string, string> = {};
        const changes = steps.map(({ writer, held }, at) => {
          const field = fields[writer] as (typeof fields)[number];
          last[field] = `${field}-${id}-${at}`;
          // A commit that stands still for a moment: whoever writes meanwhile fences it, and it is planned again.
          if (held) releaseWhenReached(log.faults.holdCommit(WRITER));
          return stores[writer]?.add({ connection: { ...without(base), [field]: last[field] }, base });
        });
        await Promise.all(changes);
        expect((await open()).get(id)).toMatchObject(last);
      }),
      { numRuns: 15 },
    );
  });

  it('regression: the change of the first of three was lost when the other two planned theirs again, one on the other', async () => {
    const [one, two, three] = await Promise.all([0, 1, 2].map(() => open(undefined, { log: log.connect() })));
    if (one === undefined || two === undefined || three === undefined) expect.unreachable();
    const { connection: base } = await add(one);
    await waitFor(() => two.get('cn_a') && three.get('cn_a'), { message: 'all have heard of it' });
    const held = log.faults.holdCommit(WRITER);
    const second = two.add({ connection: { ...without(base), name: 'second' }, base });
    await waitFor(() => held.reached, { message: 'the second is about to write' });
    await one.add({ connection: { ...without(base), subdomain: 'first' }, base });
    const third = three.add({ connection: { ...without(base), orgId: 'third' }, base });
    held.release();
    await Promise.all([second, third]);
    expect((await open()).get('cn_a')).toMatchObject({ subdomain: 'first', name: 'second', orgId: 'third' });
  });

  it('give one name once: of two new connections of one name one is refused', async () => {
    const stores = await Promise.all([0, 1].map(() => open(undefined, { log: log.connect() })));
    const outcomes = await Promise.allSettled(stores.map((store, at) => add(store, { id: `cn_new${at}` })));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = outcomes.find((outcome) => outcome.status === 'rejected');
    expect(refused?.reason).toMatchObject({ code: 'connection_conflict' });
    expect((await open()).list()).toHaveLength(1);
  });

  it('one after the other keep what was changed while the other was busy with Kustomer', async () => {
    const [one, other] = [await open(), await open()];
    await add(one);
    const base = one.get('cn_a') ?? expect.unreachable();
    const seen = changeOf(one);
    await waitFor(() => other.get('cn_a'), { message: 'the other has heard of it' });
    await add(other, { subdomain: 'moved', machineUser: 'a'.repeat(24) });
    await seen;
    await one.add({ connection: { ...without(base), webhookId: 'w1' }, base });
    expect(one.get('cn_a')).toMatchObject({
      subdomain: 'moved',
      webhookId: 'w1',
      settings: { machineUserId: 'a'.repeat(24) },
    });
  });

  it('do not bring back what one of them removed', async () => {
    const [one, other] = [await open(), await open()];
    await add(one);
    const plain = without(await waitFor(() => other.get('cn_a'), { message: 'the other has heard of it' }));
    const outcomes = await Promise.allSettled([
      one.remove('cn_a'),
      other.add({ connection: { ...plain, subdomain: 'moved' } }),
    ]);
    const later = await open();
    // Whichever came first: a change before the removal is removed with it.
    expect(outcomes[0].status).toBe('fulfilled');
    expect(later.get('cn_a')).toBeUndefined();
    expect(later.unreadable('cn_a')).toBe(false);
  });

  it('seal again what the other has just changed, and do not undo it', async () => {
    const [one, other] = [await open(), await open()];
    await add(one);
    const plain = without(await waitFor(() => other.get('cn_a'), { message: 'the other has heard of it' }));
    await Promise.all([other.add({ connection: { ...plain, subdomain: 'moved' } }), one.reseal()]);
    expect((await open()).get('cn_a')).toMatchObject({ subdomain: 'moved' });
  });
});

describe('connection add', () => {
  it('reports all problems of the input at once', async () => {
    const store = await open();
    const wrong = { tenant: 'a/b', name: ' x', subdomain: 'Acme.kustomerapp.com', org: '12', id: '../x' };
    await expect(addConnection({ store, options: wrong, readToken: never })).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/--tenant.*--id.*--name.*--subdomain.*--org/),
    });
    await expect(addConnection({ store, options: { tenant: 't_a' }, readToken: never })).rejects.toMatchObject({
      message: 'a new connection needs --name and --subdomain',
    });
    await expect(addConnection({ store, options: { ...acme, rotate: true }, readToken: never })).rejects.toMatchObject({
      code: 'connection_unknown',
    });
    expect(store.list()).toEqual([]);
  });

  it('makes an id where none is given, and finds the connection again by its name', async () => {
    const store = await open();
    const { id: _, ...nameless } = acme;
    const { connection } = await addConnection({ store, options: nameless, readToken: token(CANARY) });
    expect(connection.connectionId).toMatch(/^cn_[0-9a-f]{12}$/);
    const again = await addConnection({ store, options: nameless, readToken: never });
    expect(again).toMatchObject({ created: false, connection: { connectionId: connection.connectionId } });
    expect(store.list()).toHaveLength(1);
  });

  it('refuses a token that cannot be one', async () => {
    const store = await open();
    for (const text of ['', 'short', 'with space in it', 'x'.repeat(513), 'tab\tinside-it']) {
      await expect(add(store, {}, text)).rejects.toMatchObject({ code: 'config_invalid' });
    }
    expect(store.list()).toEqual([]);
  });
});

describe('connection list and remove', () => {
  it('lists tokens by count and fingerprint', async () => {
    const store = await open();
    await add(store);
    await add(store, { rotate: true }, SECOND);
    const [head, line] = listConnections(store).split('\n');
    expect(head).toMatch(
      /^CONNECTION +TENANT +NAME +SUBDOMAIN +ORG +EXTENDED +KEY +POLL +SINCE +WEBHOOK +TOKENS +FINGERPRINTS$/,
    );
    expect(line).toMatch(
      /^cn_a +t_a +prod +acme +5a8f1c2e9b1d4e0012ab34cd +no +no +- +- +by hand +2 +[0-9a-f]{8} [0-9a-f]{8}$/,
    );
  });

  it("refuses to remove what is not there, or is another tenant's", async () => {
    const store = await open();
    await add(store);
    await expect(removeConnection({ store, connectionId: 'cn_no' })).rejects.toMatchObject({
      code: 'connection_unknown',
    });
    await expect(removeConnection({ store, connectionId: 'cn_a', tenant: 't_b' })).rejects.toMatchObject({
      code: 'connection_unknown',
    });
    expect(store.list()).toHaveLength(1);
    await removeConnection({ store, connectionId: 'cn_a', tenant: 't_a' });
    expect(store.list()).toEqual([]);
  });
});
