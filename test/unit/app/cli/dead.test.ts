import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HEADER } from '../../../../src/kafka/headers.ts';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { partitionOfKey } from '../../../../src/kafka/murmur2.ts';
import type { Append, LogRecord } from '../../../../src/kafka/port.ts';
import { type CommandRun, runCommand } from '../../../support/cli.ts';
import { waitFor } from '../../../support/wait-for.ts';

const RAW = 'kustomer.raw';
const DEAD = 'kustomer.dead';
const PARTITIONS = 2;
const CANARY = 'body-canary-5d1c';
const HOUR_MS = 3_600_000;

let log: MemoryLog;

beforeEach(async () => {
  log = createMemoryLog();
  await log.admin.createTopics([RAW, DEAD].map((name) => ({ name, partitions: PARTITIONS, config: {} })));
});

afterEach(() => log.close());

const run = (words: string, env: Record<string, string> = {}): Promise<CommandRun> =>
  runCommand(['dead', ...words.split(' ')], { openLog: () => log.connect(), env });

interface LetterOptions {
  readonly key?: string | null;
  readonly body?: string | null;
  readonly code?: string;
  readonly tenant?: string;
  readonly atMs?: number;
  readonly partition?: number;
  readonly headers?: Record<string, string>;
}

let sources = 0;

function letter(options: LetterOptions = {}): Append {
  const { key = 'res-1', body = `{"no":"${CANARY}"}`, code = 'event_invalid', tenant = 't_a', partition = 0 } = options;
  return {
    topic: DEAD,
    partition,
    key: key === null ? null : Buffer.from(key),
    value: body === null ? null : Buffer.from(body),
    ...(options.atMs === undefined ? {} : { timestampMs: options.atMs }),
    headers: {
      [HEADER.tenant]: tenant,
      [HEADER.connection]: 'cn_a',
      [HEADER.channel]: 'webhook',
      [HEADER.receivedAt]: '1700000000000',
      [HEADER.eventName]: 'kustomer.conversation.update',
      [HEADER.errorCode]: code,
      [HEADER.errorMessage]: 'data.id is missing',
      [HEADER.sourceTopic]: RAW,
      [HEADER.sourcePartition]: String(partition),
      [HEADER.sourceOffset]: String(sources++),
      ...options.headers,
    },
  };
}

/** As the processor does it: each in a transaction, whose marker takes an offset. */
async function bury(...letters: readonly Append[]): Promise<void> {
  const producer = await log.transactional({ transactionalId: 'p', transactionTimeoutMs: 10_000 });
  for (const one of letters) await producer.commit({ appends: [one] });
  await producer.close();
}

/** The raw topic once it holds `count` records. */
async function raw(count: number): Promise<readonly LogRecord[]> {
  const records: LogRecord[] = [];
  const reader = await log.reader({ clientId: 'test', topics: [RAW] });
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    reader.follow({
      topic: RAW,
      partition,
      fromOffset: 0,
      records: (batch) => records.push(...batch.records),
      failed: (error) => expect.unreachable(String(error)),
    });
  }
  await waitFor(() => records.length >= count, { message: `${count} raw records` });
  await reader.close();
  return records;
}

async function rawCount(): Promise<number> {
  const ends = [0, 1].map((partition) => log.admin.watermarks({ topic: RAW, partition }));
  return (await Promise.all(ends)).reduce((sum, { high }) => sum + high, 0);
}

const texts = (record: LogRecord) =>
  Object.fromEntries(Object.entries(record.headers).map(([name, value]) => [name, value.toString()]));

describe('dead list', () => {
  it('shows the newest first over all partitions, and no body', async () => {
    const nowMs = Date.now();
    await bury(
      letter({ atMs: nowMs - 3_000 }),
      letter({ partition: 1, atMs: nowMs - 2_000, code: 'body_malformed' }),
      letter({ atMs: nowMs - 1_000, body: null }),
    );
    const { code, out, notes } = await run('list');
    expect(code).toBe(0);
    expect(out[0]).toMatch(/^TIME +PLACE +TENANT +CONNECTION +EVENT\/COMMAND +CODE +SOURCE +BYTES +MESSAGE$/);
    expect(out.slice(1).map((line) => line.split(/ {2,}/)[1])).toEqual(['0@2', '1@0', '0@0']);
    expect(out[2]).toMatch(
      /^\S+Z +1@0 +t_a +cn_a +kustomer\.conversation\.update +body_malformed +1@\d+ +25 +data\.id is missing$/,
    );
    expect(out.join('\n')).not.toContain(CANARY);
    expect(notes).toEqual([]);
  });

  it('filters by tenant, code and age, and keeps to the limit of the newest', async () => {
    const nowMs = Date.now();
    await bury(
      letter({ atMs: nowMs - 2 * HOUR_MS }),
      letter({ tenant: 't_b', atMs: nowMs - 3_000 }),
      letter({ code: 'body_malformed', atMs: nowMs - 2_000 }),
      letter({ atMs: nowMs - 1_000 }),
    );
    const places = async (flags: string) => {
      const lines = (await run(`list --json ${flags}`)).out;
      return lines.map((line) => (JSON.parse(line) as { place: string }).place);
    };
    expect(await places('--tenant t_b')).toEqual(['0@2']);
    expect(await places('--code body_malformed')).toEqual(['0@4']);
    expect(await places('--since 1h')).toEqual(['0@6', '0@4', '0@2']);
    expect(await places('--tenant t_a --since 3h --code event_invalid')).toEqual(['0@6', '0@0']);
    expect(await places('--limit 2')).toEqual(['0@6', '0@4']);
    expect(await places('--tenant t_nobody')).toEqual([]);
  });

  it('goes back window by window until it has found what is wanted', async () => {
    const many = Array.from({ length: 300 }, () => letter());
    await bury(letter({ tenant: 't_old' }), ...many);
    const { out } = await run('list --tenant t_old --json');
    expect(out.map((line) => JSON.parse(line))).toMatchObject([{ place: '0@0', tenant: 't_old', source_topic: RAW }]);
  });

  it('R3: ends before a transaction that is still open, and begins where retention has left off', async () => {
    await bury(letter(), letter());
    const open = await log.transactional({ transactionalId: 'open', transactionTimeoutMs: 60_000 });
    log.faults.commitUnknown('lost', 'open');
    await expect(open.commit({ appends: [letter(), letter()] })).rejects.toMatchObject({ code: 'commit_unknown' });
    log.deleteRecordsBefore({ topic: DEAD, partition: 0 }, 2);
    const { out } = await run('list --json');
    expect(out.map((line) => JSON.parse(line))).toMatchObject([{ place: '0@2' }]);
    await open.close();
  });

  it('fails, and does not speak of none, when the broker is away', async () => {
    await bury(letter());
    const listing = run('list');
    log.faults.unavailable('admin', 100);
    expect(await listing).toMatchObject({ code: 4, out: [] });
  });

  it('says so when there are none, or no topic, and creates nothing', async () => {
    expect(await run('list')).toMatchObject({ code: 0, out: [], notes: ['no dead letters'] });
    await log.admin.deleteTopics([DEAD]);
    expect(await run('list --json')).toMatchObject({ code: 0, out: [], notes: ['no dead letters'] });
    expect(await log.admin.describeTopics([DEAD])).toEqual([]);
  });

  it('does not let a sender drive the terminal', async () => {
    await bury(letter({ headers: { [HEADER.eventName]: 'x\u001b[2J\n\u202ey' } }));
    const { out } = await run('list');
    expect(out).toHaveLength(2);
    expect(out[1]).toContain('x\ufffd[2J\ufffd\ufffdy');
  });

  it.each([
    '--limit 0',
    '--limit x',
    '--since 1',
    '--since 0h',
    '--since yesterday',
    '--code nonsense',
    '--tenant a/b',
  ])('refuses %s', async (flags) => {
    await bury(letter());
    const { code, out, notes } = await run(`list ${flags}`);
    expect({ code, out }).toEqual({ code: 2, out: [] });
    expect(notes.join()).toMatch(/^error \(config_invalid\)/);
  });
});

describe('dead show', () => {
  it('shows headers without the body, and the body alone', async () => {
    const body = Buffer.from([0xff, 0x00, 0x0a, 0x7b]);
    await bury({ ...letter(), value: body });
    const shown = await run('show 0@0');
    expect(shown.bytes).toHaveLength(0);
    expect(shown.out).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^key +res-1$/),
        expect.stringMatching(/^body +4 bytes$/),
        expect.stringMatching(/^error_code +event_invalid$/),
      ]),
    );
    const { out, bytes } = await run('show 0@0 --body');
    expect(out).toEqual([]);
    expect(bytes.equals(body)).toBe(true);
  });

  it.each(['0@1', '0@7', '1@0', '9@0'])('finds nothing at %s', async (place) => {
    await bury(letter());
    const { code, out, notes } = await run(`show ${place}`);
    expect({ code, out }).toEqual({ code: 1, out: [] });
    expect(notes.join()).toMatch(/^error \(dead_letter_unknown\).*dead list/s);
  });

  it.each(['0', '0@', '@0', '0@-1', '0@1x', 'a@b', '1@2@3'])('refuses %s', async (place) => {
    expect(await run(`show ${place}`)).toMatchObject({ code: 2, out: [] });
  });
});

describe('dead replay', () => {
  it('appends the raw record again: same key and partition, its own headers, channel replay', async () => {
    await bury(letter({ key: 'res-7', headers: { traceparent: '00-ab-cd-01', x_foreign: 'kept' } }));
    const { code, out } = await run('replay 0@0');
    expect(code).toBe(0);
    expect(out).toEqual([
      expect.stringMatching(/^replayed 0@0 {2}t_a cn_a kustomer\.conversation\.update event_invalid/),
    ]);
    const [record, ...more] = await raw(1);
    expect(more).toEqual([]);
    expect(record?.key?.toString()).toBe('res-7');
    expect(record?.value?.toString()).toContain(CANARY);
    expect(record?.partition).toBe(partitionOfKey(Buffer.from('res-7'), PARTITIONS));
    expect(texts(record as LogRecord)).toEqual({
      tenant: 't_a',
      connection: 'cn_a',
      channel: 'replay',
      received_at: '1700000000000',
      event_name: 'kustomer.conversation.update',
      traceparent: '00-ab-cd-01',
      x_foreign: 'kept',
    });
  });

  it.each(['poll', 'backfill'])('leaves the channel of a body that was not pushed: %s', async (channel) => {
    await bury(letter({ headers: { [HEADER.channel]: channel } }));
    expect((await run('replay 0@0')).code).toBe(0);
    expect(texts((await raw(1))[0] as LogRecord)['channel']).toBe(channel);
  });

  it('sends a record without a key where it came from', async () => {
    await bury(letter({ key: null, partition: 1 }), letter({ key: null, partition: 1, body: null }));
    expect((await run('replay 1@0 1@2')).code).toBe(0);
    const records = await raw(2);
    expect(records.map(({ partition, key }) => [partition, key])).toEqual([
      [1, null],
      [1, null],
    ]);
    expect(records[1]?.value).toBeNull();
  });

  it('takes those of a code, oldest first, and each delivery once', async () => {
    const nowMs = Date.now();
    const twice = { key: 'k2', body: 'twice' };
    await bury(
      letter({ key: 'k1', body: 'old', atMs: nowMs - 2 * HOUR_MS }),
      letter({ ...twice, atMs: nowMs - 3_000 }),
      letter({ key: 'k2', body: 'other', code: 'body_malformed' }),
      letter({ ...twice, atMs: nowMs - 2_000, headers: { [HEADER.channel]: 'replay' } }),
      letter({ ...twice, tenant: 't_b', atMs: nowMs - 1_000 }),
      letter({ key: 'k2', body: 'foreign', headers: { [HEADER.sourceTopic]: 'elsewhere' } }),
    );
    const { code, out } = await run('replay --code event_invalid --since 1h');
    expect(code).toBe(0);
    expect(out.map((line) => line.split('  ')[0])).toEqual([
      'skipped 0@6: the same delivery as 0@2',
      'replayed 0@2',
      'replayed 0@8',
    ]);
    expect((await raw(2)).map((record) => [record.value?.toString(), texts(record)['tenant']])).toEqual([
      ['twice', 't_a'],
      ['twice', 't_b'],
    ]);
    expect(await rawCount()).toBe(2);
  });

  it('only says what it would do with --dry-run', async () => {
    await bury(letter(), letter({ partition: 1 }));
    const { code, out } = await run('replay --code event_invalid --dry-run');
    expect(code).toBe(0);
    expect(out).toEqual(['skipped 1@0: the same delivery as 0@0', expect.stringMatching(/^would replay 0@0 /)]);
    expect(await rawCount()).toBe(0);
  });

  it('does nothing at all when one of the places has no letter of a topic of ours', async () => {
    await bury(letter(), letter({ headers: { [HEADER.sourceTopic]: 'fibric.ledger' } }));
    for (const places of ['0@0 0@9', '0@0 0@2', '0@0 5@0', '0@0 0@1']) {
      const { code, out, notes } = await run(`replay ${places}`);
      expect({ code, out }).toEqual({ code: 1, out: [] });
      expect(notes.join()).toMatch(/^error \(dead_letter_unknown\)/);
    }
    expect(await rawCount()).toBe(0);
  });

  it('does not stop a partition: as many as DEAD_LETTER_RUN need --force', async () => {
    const senders = Array.from({ length: 3 }, (_, index) => letter({ body: `s${index}`, code: 'body_malformed' }));
    await bury(...Array.from({ length: 3 }, (_, index) => letter({ body: `b${index}` })), ...senders);
    const env = { DEAD_LETTER_RUN: '3' };
    const refused = await run('replay --code event_invalid', env);
    expect(refused).toMatchObject({ code: 2, out: [] });
    expect(refused.notes.join()).toMatch(/partition 0 would get 3 letters.*--force/);
    expect(await rawCount()).toBe(0);
    const dry = await run('replay --code event_invalid --dry-run', env);
    expect(dry).toMatchObject({ code: 0, notes: [expect.stringMatching(/partition 0 would get 3/)] });
    expect((await run('replay --code event_invalid --force', env)).out).toHaveLength(3);
    expect((await raw(3)).map(({ value }) => value?.toString())).toEqual(['b0', 'b1', 'b2']);
    // What is never our fault cannot stop a partition.
    expect((await run('replay --code body_malformed', env)).out).toHaveLength(3);
  });

  it.each([
    'replay',
    'replay 0@0 --code event_invalid',
    'replay 0@0 --since 1h',
    'replay --since 1h',
    'replay 0@0 --commands',
    'replay --code nonsense',
    'replay 0-0',
  ])('refuses `dead %s`', async (words) => {
    await bury(letter());
    expect(await run(words)).toMatchObject({ code: 2, out: [] });
    expect(await rawCount()).toBe(0);
  });

  describe('of commands', () => {
    const COMMANDS = 'fibric.commands';
    const command = (over: LetterOptions = {}) =>
      letter({
        key: `${COMMANDS}/1`,
        code: 'record_unattributed',
        ...over,
        headers: {
          [HEADER.sourceTopic]: COMMANDS,
          [HEADER.sourcePartition]: '1',
          [HEADER.sourceKey]: 'conversation-7',
          [HEADER.commandId]: 'cmd-1',
          ...over.headers,
        },
      });

    beforeEach(() => log.admin.createTopics([{ name: COMMANDS, partitions: 3, config: {} }]));

    async function commands(): Promise<readonly LogRecord[]> {
      const records: LogRecord[] = [];
      const reader = await log.reader({ clientId: 'test', topics: [COMMANDS] });
      let wanted = 0;
      for (let partition = 0; partition < 3; partition += 1) {
        wanted += (await log.admin.watermarks({ topic: COMMANDS, partition })).high;
        reader.follow({
          ...{ topic: COMMANDS, partition, fromOffset: 0 },
          records: (batch) => records.push(...batch.records),
          failed: (error) => expect.unreachable(String(error)),
        });
      }
      await waitFor(() => records.length >= wanted, { message: `${wanted} commands` });
      await reader.close();
      return records;
    }

    it('appends the command again: its own key, its headers, no channel; never to the raw topic', async () => {
      await bury(command());
      const { code, out } = await run('replay 0@0');
      expect({ code, out }).toEqual({ code: 0, out: [expect.stringMatching(/^replayed 0@0 .*record_unattributed/)] });
      const [again, ...more] = await commands();
      expect(more).toEqual([]);
      expect(again).toMatchObject({ key: Buffer.from('conversation-7'), value: Buffer.from(`{"no":"${CANARY}"}`) });
      expect(again?.partition).toBe(partitionOfKey(Buffer.from('conversation-7'), 3));
      const headers = Object.keys(texts(again as LogRecord));
      expect(headers).toContain(HEADER.commandId);
      expect(headers.filter((name) => name.startsWith('source_') || name.startsWith('error_'))).toEqual([]);
      expect(texts(again as LogRecord)[HEADER.channel]).not.toBe('replay');
      expect(await rawCount()).toBe(0);
    });

    it('sends a command without a key where it came from', async () => {
      const { [HEADER.sourceKey]: _key, ...headers } = command().headers as Record<string, string>;
      await bury({ ...command(), headers });
      expect((await run('replay 0@0')).code).toBe(0);
      expect(await commands()).toMatchObject([{ partition: 1, key: null }]);
    });

    it('takes commands by code only when told to, and then no raw record; they stop no partition', async () => {
      await bury(letter({ code: 'record_unattributed', body: 'raw' }), command(), command({ body: 'other' }));
      const first = await run('replay --code record_unattributed', { DEAD_LETTER_RUN: '2' });
      expect(first).toMatchObject({ code: 0, notes: ['2 commands left out; see --commands'] });
      expect(first.out).toHaveLength(1);
      expect(await commands()).toEqual([]);
      const second = await run('replay --code record_unattributed --commands', { DEAD_LETTER_RUN: '2' });
      expect(second).toMatchObject({ code: 0, notes: [] });
      expect(second.out).toHaveLength(2);
      expect(await commands()).toHaveLength(2);
      expect(await rawCount()).toBe(1);
    });

    it('lists them by the id of the command', async () => {
      const headers = command().headers as Record<string, string>;
      const { [HEADER.eventName]: _name, ...rest } = headers;
      await bury({ ...command(), headers: rest });
      expect((await run('list')).out[1]).toMatch(/ cmd-1 +record_unattributed +1@\d+ /);
      const [json] = (await run('list --json')).out;
      expect(JSON.parse(json ?? '')).toMatchObject({ command_id: 'cmd-1', source_topic: COMMANDS, event_name: null });
    });
  });

  it('stops between two letters when interrupted, and says how many are left', async () => {
    await bury(letter({ body: 'a' }), letter({ body: 'b' }));
    const result = await runCommand(['dead', 'replay', '0@0', '0@2'], {
      openLog: () => log.connect(),
      signal: AbortSignal.abort(),
    });
    expect(result).toMatchObject({ code: 1, out: [], notes: ['interrupted: 2 not replayed'] });
    expect(await rawCount()).toBe(0);
  });

  it('says which were done when the broker goes away', async () => {
    await bury(letter({ body: 'a' }), letter({ body: 'b' }));
    log.faults.unavailable('append', 1);
    const { code, out, notes } = await run('replay 0@0 0@2');
    expect({ code, out }).toEqual({ code: 4, out: [] });
    expect(notes.join()).toMatch(/^error \(log_unavailable\)/);
    expect(await rawCount()).toBe(0);
  });
});
