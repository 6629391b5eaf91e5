import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addConnection } from '../../../../src/app/control/connection-commands.ts';
import { connectionKey } from '../../../../src/app/control/connection-record.ts';
import { createKeyring } from '../../../../src/app/control/seal.ts';
import { type ConnectionStore, openConnectionStore } from '../../../../src/app/control/store.ts';
import { createLogger } from '../../../../src/app/telemetry.ts';
import { Secret } from '../../../../src/base/secret.ts';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { type CommandRun, runCommand } from '../../../support/cli.ts';

const CONTROL = 'fibric.control';
const OLD = randomBytes(32);
const NEW = randomBytes(32);
const CANARY = 'canary-token-9d3e1f';

let log: MemoryLog;

beforeEach(() => {
  log = createMemoryLog();
});

afterEach(() => log.close());

const run = (words: string, ...keys: readonly Buffer[]): Promise<CommandRun> =>
  runCommand(['connection', ...words.split(' ')], {
    openLog: () => log.connect(),
    env: {
      CN_MASTER_KEY: (keys.length > 0 ? keys : [OLD]).map((key) => key.toString('hex')).join(),
      LOG_LEVEL: 'info',
      RAW_PARTITIONS: '7',
    },
  });

const createControl = () =>
  log.admin.createTopics([{ name: CONTROL, partitions: 1, config: { 'cleanup.policy': 'compact' } }]);

async function withStore<T>(keys: readonly Buffer[], work: (store: ConnectionStore) => Promise<T>): Promise<T> {
  const store = await openConnectionStore({
    log,
    topics: { control: CONTROL },
    keyring: createKeyring(keys),
    logger: createLogger('silent'),
  });
  return work(store).finally(() => store.close());
}

const add = (store: ConnectionStore, id: string, token = CANARY) =>
  addConnection({
    store,
    options: { tenant: 't_a', name: id, subdomain: 'acme', id },
    readToken: async () => new Secret(token),
  });

describe('commands that only look, or take away', () => {
  it('create no topic, and take a missing control topic for no connections', async () => {
    const listed = await run('list');
    expect(listed).toMatchObject({ code: 0, notes: [] });
    expect(listed.out).toEqual([expect.stringMatching(/^CONNECTION +TENANT/)]);
    expect(await run('reseal')).toMatchObject({ code: 0, out: [expect.stringMatching(/^sealed 0 /)] });
    expect(await run('remove cn_a')).toMatchObject({ code: 1, out: [] });
    expect(await log.admin.describeTopics()).toEqual([]);
  });

  it('do not care how many partitions the other topics have', async () => {
    await createControl();
    await log.admin.createTopics([{ name: 'kustomer.raw', partitions: 4, config: {} }]);
    await withStore([OLD], (store) => add(store, 'cn_a'));
    const before = await log.admin.describeTopics();
    expect((await run('list')).out[1]).toMatch(/^cn_a /);
    expect(await run('remove cn_a')).toMatchObject({ code: 0, out: ['removed cn_a'] });
    expect((await run('list')).out).toHaveLength(1);
    expect(await log.admin.describeTopics()).toEqual(before);
  });

  it('leave it to `add` to insist on the table, with the exit code of `topics`', async () => {
    await log.admin.createTopics([{ name: 'kustomer.raw', partitions: 4, config: {} }]);
    const { code, notes } = await run('add --tenant t_a --name prod --subdomain acme');
    expect(code).toBe(3);
    expect(notes.join()).toMatch(/^error \(topic_invalid\)/);
  });
});

describe('connection list', () => {
  it('tells of what cannot be used once, and of nothing that was mended since', async () => {
    await createControl();
    await withStore([NEW], async (store) => {
      await add(store, 'cn_mended');
      await add(store, 'cn_lost');
    });
    await withStore([OLD], (store) => add(store, 'cn_mended'));
    const { out, notes } = await run('list');
    expect(notes).toEqual([]);
    expect(out.filter((line) => line.includes('cn_mended'))).toHaveLength(1);
    expect(out.filter((line) => line.includes('cn_lost'))).toEqual([
      expect.stringMatching(/^cn_lost of t_a: secret_unreadable: /),
    ]);
    expect(out.join('\n')).not.toMatch(/older master key/);
  });

  it('hints at seals of an older key', async () => {
    await createControl();
    await withStore([OLD], (store) => add(store, 'cn_a'));
    expect((await run('list', NEW, OLD)).out.at(-1)).toMatch(/^1 under an older master key.*connection reseal/);
    expect((await run('list', OLD)).out.at(-1)).toMatch(/^cn_a /);
  });
});

describe('connection reseal', () => {
  it('seals all under the newest key, says how many were under an older one, and changes nothing else', async () => {
    await createControl();
    const before = await withStore([OLD], async (store) => {
      await add(store, 'cn_a');
      await add(store, 'cn_b', `${CANARY}-b`);
      return store.list();
    });
    await withStore([NEW, OLD], (store) => add(store, 'cn_c'));
    const { code, out, notes } = await run('reseal', NEW, OLD);
    expect({ code, notes }).toEqual({ code: 0, notes: [] });
    expect(out).toEqual([
      'sealed 3 connection(s) under the newest master key; 2 of them were still under an older one',
    ]);
    expect((await run('reseal', NEW, OLD)).out[0]).toMatch(/^sealed 3 .*; 0 of them/);
    await withStore([NEW], async (store) => {
      expect(store.health()).toMatchObject({ connections: 3, unreadable: 0, stale: 0, problems: [] });
      for (const { connectionId, webhookTokens, ...rest } of before) {
        const after = store.get(connectionId);
        expect(after).toMatchObject(rest);
        expect(after?.webhookTokens.map((one) => one.reveal())).toEqual(webhookTokens.map((one) => one.reveal()));
      }
    });
    await withStore([OLD], async (store) => expect(store.health()).toMatchObject({ connections: 0, unreadable: 3 }));
  });

  it('keeps when each connection was added: that decides whose an id is', async () => {
    await createControl();
    const times: number[] = [];
    const follow = (await log.reader({ clientId: 'test', topics: [CONTROL] })).follow({
      topic: CONTROL,
      partition: 0,
      fromOffset: 0,
      records: ({ records }) => {
        for (const { key, value } of records) {
          if (key?.toString() !== connectionKey({ tenantId: 't_a', connectionId: 'cn_a' }) || value === null) continue;
          times.push((JSON.parse(value.toString()) as { created_at_ms: number }).created_at_ms);
        }
      },
      failed: (error) => expect.unreachable(String(error)),
    });
    await withStore([OLD], (store) => add(store, 'cn_a'));
    await run('reseal', NEW, OLD);
    await follow.stop();
    expect(times).toHaveLength(2);
    expect(times[1]).toBe(times[0]);
  });

  it('does what it can, names what it cannot open, and does not end well then', async () => {
    await createControl();
    await withStore([randomBytes(32)], (store) => add(store, 'cn_lost'));
    await withStore([OLD], (store) => add(store, 'cn_a'));
    const { code, out, notes } = await run('reseal', NEW, OLD);
    expect(code).toBe(1);
    expect(out[0]).toMatch(/^sealed 1 .*; 1 of them/);
    expect(notes).toEqual([expect.stringMatching(/^not usable: cn_lost of t_a: secret_unreadable/)]);
    await withStore([NEW], async (store) => expect(store.get('cn_a')).toBeDefined());
  });

  it('tells no token', async () => {
    await createControl();
    await withStore([OLD], (store) => add(store, 'cn_a'));
    const { out, notes } = await run('reseal', NEW, OLD);
    expect([...out, ...notes].join()).not.toContain(CANARY);
  });
});
