/** Limits on a real broker: what its clock, its groups and its reader do that those in memory do not. */
import { expect, it, onTestFinished } from 'vitest';
import type { QuotaNeed } from '../../../src/fibric/policy/compile.ts';
import type { Log } from '../../../src/kafka/port.ts';
import { fixedTopics, TOPIC_DEFAULTS, topicNames } from '../../../src/kafka/topics.ts';
import { openQuotaBook, type QuotaBook } from '../../../src/sinks/quota/book.ts';
import { QUOTA_GROUP, startQuotaKeeper } from '../../../src/sinks/quota/keeper.ts';
import { openTestLog } from '../../support/log-fixtures.ts';
import { need } from '../../support/sinks/quota-need.ts';
import { waitFor } from '../../support/wait-for.ts';

const PARTITIONS = [0, 1, 2, 3];

async function setUp(config: Readonly<Record<string, string>> = {}) {
  const { log, prefix, connect } = openTestLog();
  const names = topicNames(prefix);
  const specs = fixedTopics({ ...TOPIC_DEFAULTS, prefix }).flatMap((spec) => {
    if (spec.name === names.quotaState) return [spec];
    return spec.name === names.quota ? [{ ...spec, config: { ...spec.config, ...config } }] : [];
  });
  await log.admin.createTopics(specs);
  const open = async (): Promise<QuotaBook> => {
    const book = await openQuotaBook({ log: connect(), topics: names, observer: { failed: () => undefined } });
    onTestFinished(() => book.close());
    return book;
  };
  return { log, prefix, names, connect, open };
}

const { signal } = new AbortController();
const ask = (book: QuotaBook, attemptId: string, of: QuotaNeed) =>
  book.reserve({ needs: [of], attemptId, signal, isPatient: false, timeoutMs: 5000 });

async function race(books: readonly QuotaBook[], attempts: number, of: QuotaNeed, name: string): Promise<number> {
  const asked = Array.from({ length: attempts }, (_, n) =>
    ask(books[n % books.length] as QuotaBook, `${name}${n}`, of),
  );
  const kinds = (await Promise.all(asked)).map(({ kind }) => kind);
  expect(kinds).not.toContain('unavailable');
  return kinds.filter((kind) => kind === 'granted').length;
}

it('a topic that takes the time of its producers is refused', async () => {
  const { open } = await setUp({ 'message.timestamp.type': 'CreateTime' });
  await expect(open()).rejects.toMatchObject({ code: 'topic_invalid', message: /set it to LogAppendTime/ });
});

it('several processes get as many places as there are', async () => {
  const { open } = await setUp();
  const books = await Promise.all([open(), open(), open(), open()]);
  const limit = need(50);
  expect(await race(books, 400, limit, 'first ')).toBe(50);
  expect(await race(books, 400, limit, 'second ')).toBe(0);
}, 60_000);

it('places are there again when the window has moved on', async () => {
  const { open } = await setUp();
  const books = await Promise.all([open(), open()]);
  const limit = need(50, { windowMs: 1500 });
  expect(await race(books, 50, limit, 'first ')).toBe(50);
  await waitFor(() => books[0]?.usage(limit, Date.now())?.used === 0, { message: 'the window to pass' });
  expect(await race(books, 50, limit, 'second ')).toBe(50);
}, 60_000);

async function keep({
  connect,
  names,
  prefix,
}: {
  connect(): Log;
  names: ReturnType<typeof topicNames>;
  prefix: string;
}) {
  const crashes: unknown[] = [];
  const keeper = await startQuotaKeeper({
    log: connect(),
    topics: names,
    topicPrefix: prefix,
    settings: { paceMs: 100, sessionTimeoutMs: 6000 },
    observer: {
      assigned: () => undefined,
      opened: () => undefined,
      committed: () => undefined,
      failed: () => undefined,
      crashed: (error) => crashes.push(error),
    },
  });
  return { keeper, crashes };
}

it('who starts from the twin, kept by one keeper after the other, knows what everybody knows', async () => {
  const all = await setUp();
  const { log, names, open, prefix } = all;
  const first = await open();
  const limits = Array.from({ length: 20 }, (_, n) => need(40, { key: `t/p${n}/allow/note/hour` }));
  const take = (name: string) =>
    Promise.all(limits.flatMap((limit, n) => Array.from({ length: n }, (_, id) => ask(first, `${name}${id}`, limit))));
  const used = (book: QuotaBook) => limits.map((limit) => book.usage(limit, Date.now())?.used);
  const twinned = async () => {
    const partitions = PARTITIONS.map((partition) => ({ topic: names.quota, partition }));
    const committed = await log.admin.committed(`${prefix}${QUOTA_GROUP}`, partitions);
    const ends = await Promise.all(partitions.map((partition) => log.admin.watermarks(partition)));
    return ends.every(({ high }, index) => committed[index] === high);
  };
  await take('first ');
  const one = await keep(all);
  await waitFor(twinned, { message: 'the twin' });
  await one.keeper.close();
  await take('second ');
  const behind = await open();
  expect(used(behind)).toEqual(limits.map((_, n) => Math.min(2 * n, 40)));
  const other = await keep(all);
  await waitFor(twinned, { message: 'the twin again' });
  const late = await open();
  expect(used(late)).toEqual(used(first));
  await take('third ');
  await waitFor(() => String(used(late)) === String(used(first)), { message: 'the third round' });
  expect(used(first)).toEqual(limits.map((_, n) => Math.min(3 * n, 40)));
  await other.keeper.close();
  expect([...one.crashes, ...other.crashes]).toEqual([]);
}, 90_000);
