import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Positions } from '../../../../src/api/data/topic/positions.ts';
import { openTopicHouse, type PageOptions, page, type TopicHouse } from './topic-house.ts';

/** A ring of about four records a partition, so that most of what is read lies before it. */
const SMALL = { primeOffsets: 4, ringMaxBytes: 1 };

async function allPages(house: TopicHouse, options: PageOptions, between: () => Promise<void> = async () => undefined) {
  const view = await house.view();
  const pages: string[][] = [];
  let from: Positions | undefined;
  for (let count = 0; count < 500; count += 1) {
    const { rows, next } = await house.run(page(view, { ...options, ...(from !== undefined && { from }) }));
    pages.push(rows.map(({ item }) => item));
    if (next === null) return pages;
    from = next;
    await between();
  }
  throw new Error('the pages do not end');
}

describe('pages, newest first', () => {
  test('P1 merged by time over the partitions, the last page says so', async () => {
    const house = await openTopicHouse({ partitions: 3 });
    await house.append(
      Array.from({ length: 50 }, (_, i) => ({ partition: (i * 7) % 3, text: `${i}`, atMs: 1_000_000 + i * 1000 })),
    );
    const pages = await allPages(house, { limit: 20 });
    expect(pages.map((one) => one.length)).toEqual([20, 20, 10]);
    expect(pages.flat()).toEqual(Array.from({ length: 50 }, (_, i) => `${49 - i}`));
  });

  test('a page that takes the last ones leads nowhere, markers behind them or not', async () => {
    const house = await openTopicHouse({ partitions: 2 });
    await house.transact(0, ['a', 'b'], 'commit');
    await house.transact(1, ['c'], 'commit');
    const view = await house.view();
    const { rows, next } = await house.run(page(view, { limit: 3 }));
    expect([rows.map(({ item }) => item).sort(), next]).toEqual([['a', 'b', 'c'], null]);
    expect((await house.run(page(view, { limit: 2 }))).next).not.toBeNull();
  });

  test('an empty topic is an empty page', async () => {
    const house = await openTopicHouse({ partitions: 2 });
    expect(await house.run(page(await house.view(), { limit: 5 }))).toEqual({ rows: [], next: null });
  });

  test('P2 where the bounds end a page early, it says where to go on, and nothing is lost', async () => {
    const house = await openTopicHouse({ partitions: 2, settings: SMALL });
    const records = Array.from({ length: 3000 }, (_, i) => ({ partition: i % 2, text: `${i}`, atMs: 1_000_000 + i }));
    await house.append(records);
    const options = { limit: 10, matches: (text: string) => Number(text) % 1000 === 0 };
    const pages = await allPages(house, {
      ...options,
      mayMatch: options.matches,
      bounds: { maxRecords: 100, maxBytes: 1e6 },
    });
    expect(pages.length).toBeGreaterThan(3);
    expect(pages.some((one) => one.length === 0)).toBe(true);
    expect(pages.flat()).toEqual(['2000', '1000', '0']);
  });

  test('P4 a page is full when it has its bytes, with one record at least', async () => {
    const house = await openTopicHouse({ partitions: 1 });
    await house.append(Array.from({ length: 10 }, (_, i) => ({ partition: 0, text: `${i}`.repeat(1000), atMs: i })));
    const pages = await allPages(house, { limit: 10, bounds: { maxRecords: 1e6, maxBytes: 2500 } });
    expect(pages.map((one) => one.length)).toEqual([2, 2, 2, 2, 2]);
  });

  test('floors end it: what is older is not read', async () => {
    const house = await openTopicHouse({ partitions: 2 });
    await house.append(Array.from({ length: 20 }, (_, i) => ({ partition: i % 2, text: `${i}`, atMs: 1000 * i })));
    const floors = await house.run((await house.view()).since(15_000));
    expect((await allPages(house, { limit: 3, floors })).flat()).toEqual(['19', '18', '17', '16', '15']);
  });

  test('P4 broken off before anything could be read, it fails rather than lead round in a circle', async () => {
    const house = await openTopicHouse({ partitions: 1, settings: SMALL });
    await house.append(Array.from({ length: 50 }, (_, i) => ({ partition: 0, text: `${i}` })));
    const view = await house.view();
    const signal = AbortSignal.abort();
    await expect(house.run(page(view, { limit: 10, signal }))).rejects.toMatchObject({ code: 'log_unavailable' });
  });

  test('P1 P2 whatever comes in meanwhile, in whatever order: every record once, each partition downwards', async () => {
    const record = fc.record({ partition: fc.nat(2), atMs: fc.nat(5), wanted: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { maxLength: 120 }),
        fc.array(record, { maxLength: 10 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 200 }),
        fc.boolean(),
        async (stock, news, limit, maxRecords, roomy) => {
          const house = await openTopicHouse({ partitions: 3, settings: roomy ? {} : SMALL });
          const lines: { text: string; partition: number; wanted: boolean }[] = [];
          const put = (records: readonly { partition: number; atMs: number; wanted: boolean }[]) => {
            const named = records.map((one, i) => ({ ...one, text: `${lines.length + i}${one.wanted ? '!' : ''}` }));
            lines.push(...named);
            return house.append(named);
          };
          if (stock.length > 0) await put(stock);
          const wantedAtFirst = lines.filter(({ wanted }) => wanted).map(({ text }) => text);
          const matches = (text: string) => text.endsWith('!');
          const bounds = { maxRecords, maxBytes: 1e6, firstWindowOffsets: 3 };
          const between = async () => {
            if (news.length > 0) await put(news);
          };
          const pages = await allPages(house, { limit, matches, bounds }, between);
          const listed = pages.flat();
          expect(new Set(listed).size).toBe(listed.length);
          expect([...listed].sort()).toEqual([...wantedAtFirst].sort());
          for (const partition of [0, 1, 2]) {
            const own = listed.filter((text) => lines.find((line) => line.text === text)?.partition === partition);
            const order = own.map((text) => Number.parseInt(text, 10));
            expect(order).toEqual([...order].sort((a, b) => b - a));
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
