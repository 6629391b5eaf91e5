/** Cites the invariants of book.ts (B1 to B5). On the in-memory log. */
import { afterEach, describe, expect, it } from 'vitest';
import type { QuotaNeed } from '../../../../src/fibric/policy/compile.ts';
import { decodeQuotaRecord } from '../../../../src/fibric/policy/quota-records.ts';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { fixedTopics, TOPIC_DEFAULTS, topicNames } from '../../../../src/kafka/topics.ts';
import { openQuotaBook, type QuotaBook, type QuotaBookSettings } from '../../../../src/sinks/quota/book.ts';
import { QUOTA_GROUP, startQuotaKeeper } from '../../../../src/sinks/quota/keeper.ts';
import { HOUR_MS, need } from '../../../support/sinks/quota-need.ts';
import { waitFor } from '../../../support/wait-for.ts';

const names = topicNames('');
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function brokerWith(config: Readonly<Record<string, string>> = {}): Promise<MemoryLog> {
  const log = createMemoryLog();
  const specs = fixedTopics(TOPIC_DEFAULTS).filter(({ name }) => name === names.quota || name === names.quotaState);
  await log.admin.createTopics(
    specs.map((spec) => (spec.name === names.quota ? { ...spec, config: { ...spec.config, ...config } } : spec)),
  );
  return log;
}

async function open(log: MemoryLog, settings: Partial<QuotaBookSettings> = {}) {
  const mine = log.connect();
  const failures: string[] = [];
  const book = await openQuotaBook({
    log: mine,
    topics: names,
    settings: { stallMs: 2000, openTimeoutMs: 5000, ...settings },
    observer: { failed: (doing) => failures.push(doing) },
  });
  closing.push(async () => {
    await book.close();
    await mine.close();
  });
  return Object.assign(book, { mine, failures });
}

async function keep(log: MemoryLog) {
  const mine = log.connect();
  const crashes: unknown[] = [];
  const keeper = await startQuotaKeeper({
    log: mine,
    topics: names,
    topicPrefix: '',
    settings: { paceMs: 5, sessionTimeoutMs: 1000 },
    observer: {
      assigned: () => undefined,
      opened: () => undefined,
      committed: () => undefined,
      failed: () => undefined,
      crashed: (error) => crashes.push(error),
    },
  });
  closing.push(async () => {
    await keeper.close();
    expect(crashes).toEqual([]);
  });
  return keeper;
}

/** Until the twin has everything that the log has. */
async function twinned(log: MemoryLog): Promise<void> {
  const partitions = [0, 1, 2, 3].map((partition) => ({ topic: names.quota, partition }));
  const isThere = async () => {
    const committed = await log.admin.committed(QUOTA_GROUP, partitions);
    const ends = await Promise.all(partitions.map((partition) => log.admin.watermarks(partition)));
    return ends.every(({ high }, index) => committed[index] === high);
  };
  await waitFor(isThere, { message: 'the twin', everyMs: 5 });
}

const signal = new AbortController().signal;
const ask = (book: QuotaBook, attemptId: string, needs: readonly QuotaNeed[], timeoutMs = 2000) =>
  book.reserve({ needs, attemptId, signal, isPatient: false, timeoutMs });
const used = (book: QuotaBook, of: QuotaNeed, attemptId?: string) => book.usage(of, Date.now(), attemptId)?.used;

describe('places', () => {
  it('B1: are had up to the limit, whoever asks, and the refusal says when there is one again', async () => {
    const log = await brokerWith();
    const books = [await open(log), await open(log), await open(log), await open(log)];
    const limit = need(25);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => ask(books[n % 4] as QuotaBook, `rc_${n}`, [limit])),
    );
    expect(answers.filter(({ kind }) => kind === 'granted').length).toBe(25);
    const [refused] = answers.filter((answer) => answer.kind === 'limited');
    expect(refused?.message).toMatch(
      /^support-writes v3 rule 1 \(allow: conversation.note.write\) allows 25 per hour; they are used up, and the next place becomes free at \d{4}-/,
    );
    const inAnHour = Date.parse(String(refused?.message.split(' ').at(-1))) - Date.now();
    expect(inAnHour).toBeGreaterThan(HOUR_MS - 10_000);
    expect(inAnHour).toBeLessThanOrEqual(HOUR_MS);
    for (const book of books) expect(used(book, limit)).toBe(25);
  });

  it('B2: one for each command, however often and from wherever it asks', async () => {
    const log = await brokerWith();
    const [here, there] = [await open(log), await open(log)];
    const limit = need(2);
    const answers = await Promise.all([here, there, here, there].map((book) => ask(book, 'rc_1', [limit])));
    expect(answers.map(({ kind }) => kind)).toEqual(Array(4).fill('granted'));
    expect(used(here, limit)).toBe(1);
    await ask(there, 'rc_2', [limit]);
    expect(used(there, limit)).toBe(2);
    expect(used(there, limit, 'rc_2'), 'its own place is not in its way').toBe(1);
    expect(used(there, limit, 'rc_3')).toBe(2);
  });

  it('refused are had later, when there is room again, under the same name', async () => {
    const log = await brokerWith();
    const book = await open(log);
    const limit = need(1);
    await ask(book, 'a', [limit]);
    expect((await ask(book, 'b', [limit])).kind).toBe('limited');
    book.release([limit], 'a');
    expect((await ask(book, 'b', [limit])).kind).toBe('granted');
  });

  it('in several limits are had in all of them; those of the others can be given back', async () => {
    const log = await brokerWith();
    const book = await open(log);
    const wide = need(5);
    const narrow = need(1, { key: 't_acme/support-writes/allow/note/day', per: 'day', windowMs: 24 * HOUR_MS });
    expect((await ask(book, 'a', [wide, narrow])).kind).toBe('granted');
    expect(await ask(book, 'b', [wide, narrow])).toMatchObject({ kind: 'limited', message: /1 per day/ });
    expect(used(book, wide)).toBe(2);
    book.release([wide, narrow], 'b');
    await waitFor(() => used(book, wide) === 1, { message: 'the place to be given back' });
    expect(used(book, narrow)).toBe(1);
  });

  it('given back are free, and what was given back is not had again, however late it comes', async () => {
    const log = await brokerWith();
    const book = await open(log);
    const limit = need(1);
    await ask(book, 'a', [limit]);
    await ask(book, 'b', [limit]);
    book.release([limit], 'b');
    book.release([limit], 'a');
    book.release([limit], 'late');
    await waitFor(() => used(book, limit) === 0, { message: 'the place to be given back' });
    expect((await ask(book, 'late', [limit])).kind).toBe('unavailable');
    expect(used(book, limit)).toBe(0);
    expect((await ask(book, 'c', [limit])).kind).toBe('granted');
    const all = ['reserve a', 'reserve b', 'release b', 'release a', 'release late', 'reserve late', 'reserve c'];
    expect(await recordsOf(log)).toEqual(all);
  });
});

async function recordsOf(log: MemoryLog): Promise<readonly string[]> {
  const reader = await log.reader({ clientId: 'check', topics: [names.quota] });
  const seen: string[] = [];
  let ends = 0;
  for (let partition = 0; partition < 4; partition++) {
    const { high } = await log.admin.watermarks({ topic: names.quota, partition });
    if (high === 0) ends++;
    else {
      reader.follow({
        topic: names.quota,
        partition,
        fromOffset: 0,
        failed: () => undefined,
        records: ({ records }) => {
          for (const { value, offset } of records) {
            const record = decodeQuotaRecord(value);
            if (record !== null) seen.push(`${record.op} ${record.id}`);
            if (offset === high - 1) ends++;
          }
        },
      });
    }
  }
  await waitFor(() => ends === 4, { message: 'the quota topic' });
  await reader.close();
  return seen;
}

describe('B4: what is not known', () => {
  it('is unavailable, takes nothing twice, and nothing of it is lost', async () => {
    const log = await brokerWith();
    const book = await open(log);
    const limit = need(3);
    log.faults.unavailable('append');
    expect(await ask(book, 'a', [limit])).toMatchObject({ kind: 'unavailable', message: /did not take it/ });
    expect(book.failures).toEqual(['appending to the quota topic']);
    log.faults.down();
    const late = ask(book, 'a', [limit], 60);
    expect(await late).toMatchObject({ kind: 'unavailable', message: /in time/ });
    expect(used(book, limit)).toBe(0);
    log.faults.up();
    expect((await ask(book, 'a', [limit])).kind).toBe('granted');
    await ask(book, 'b', [limit]);
    expect(used(book, limit)).toBe(2);
  });

  it('is given up when whoever asks gives up, and at the end', async () => {
    const log = await brokerWith();
    const book = await open(log);
    book.mine.freeze();
    const gone = new AbortController();
    const given = book.reserve({
      needs: [need(1)],
      attemptId: 'a',
      signal: gone.signal,
      isPatient: true,
      timeoutMs: 60_000,
    });
    gone.abort();
    expect(await given).toMatchObject({ kind: 'unavailable', message: 'it was given up' });
    const waiting = ask(book, 'b', [need(1)], 60_000);
    const closed = book.close();
    expect(await waiting).toMatchObject({ kind: 'unavailable', message: 'the service is stopping' });
    book.mine.thaw();
    await closed;
    expect(await ask(book, 'c', [need(1)])).toMatchObject({ kind: 'unavailable' });
    closing.length = 0;
  });

  it('is bounded in number', async () => {
    const log = await brokerWith();
    const book = await open(log, { maxWaiting: 10 });
    const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => ask(book, `rc_${n}`, [need(100)])));
    const kinds = answers.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'granted').length).toBe(10);
    expect(kinds.filter((kind) => kind === 'unavailable').length).toBe(20);
  });
});

describe('opening', () => {
  it('is refused where the producer says when it was, since then nothing could be counted', async () => {
    const log = await brokerWith({ 'message.timestamp.type': 'CreateTime' });
    await expect(open(log)).rejects.toThrow(
      'The topic fibric.quota has message.timestamp.type=CreateTime. Limits count by the time of the log: set it to LogAppendTime',
    );
    await expect(open(createMemoryLog())).rejects.toMatchObject({ code: 'topic_invalid' });
  });

  it('B5: what was taken before is known, from the log alone, and from a twin that was cleaned', async () => {
    const log = await brokerWith();
    const first = await open(log);
    const limits = Array.from({ length: 12 }, (_, n) => need(100, { key: `t_acme/p${n}/allow/note/hour` }));
    const taken = async (round: number) => {
      for (const [n, limit] of limits.entries()) {
        for (let id = 0; id <= n; id++) await ask(first, `rc_${round}_${id}`, [limit]);
        first.release([limit], `rc_${round}_0`);
      }
    };
    await taken(1);
    const alone = await open(log);
    await keep(log);
    await twinned(log);
    await taken(2);
    log.compact(names.quotaState);
    const late = await open(log);
    await taken(3);
    // What is given back waits for company before it is appended.
    for (const book of [first, alone, late]) {
      await waitFor(() => limits.every((limit, n) => used(book, limit) === 3 * n), { message: 'what was taken' });
    }
  });

  it('B5: with a twin, records that retention took are not missed', async () => {
    const log = await brokerWith();
    const first = await open(log);
    const limit = need(4);
    for (const id of ['a', 'b', 'c']) await ask(first, id, [limit]);
    await keep(log);
    await twinned(log);
    for (let partition = 0; partition < 4; partition++) {
      const { high } = await log.admin.watermarks({ topic: names.quota, partition });
      log.deleteRecordsBefore({ topic: names.quota, partition }, high);
    }
    const late = await open(log);
    expect(used(late, limit)).toBe(3);
    expect((await ask(late, 'd', [limit])).kind).toBe('granted');
    expect((await ask(late, 'e', [limit])).kind).toBe('limited');
  });

  it('beyond the end of a log that was cut is refused', async () => {
    const log = await brokerWith();
    const first = await open(log);
    await ask(first, 'a', [need(4)]);
    const keeper = await keep(log);
    await twinned(log);
    await keeper.close();
    await log.admin.deleteTopics([names.quota]);
    const specs = fixedTopics(TOPIC_DEFAULTS).filter(({ name }) => name === names.quota);
    await log.admin.createTopics(specs);
    await expect(open(log)).rejects.toMatchObject({ code: 'offset_beyond_end' });
  });
});
