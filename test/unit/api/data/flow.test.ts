import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Flow } from '../../../../src/api/data/topic/flow.ts';
import { drain, openTopicHouse, page, textOf } from './topic-house.ts';

const SMALL = { primeOffsets: 4, ringMaxBytes: 1 };
const { signal } = new AbortController();

describe('a topic, oldest first', () => {
  test('F2 history of several partitions comes in the order of its times, then what is new', async () => {
    const house = await openTopicHouse({ partitions: 3, settings: SMALL });
    await house.append(
      Array.from({ length: 900 }, (_, i) => ({ partition: (i * 5) % 3, text: `${i}`, atMs: 1000 + i })),
    );
    const view = await house.view();
    const { texts, positions } = await house.run(drain(view, [0, 0, 0]));
    expect(texts).toEqual(Array.from({ length: 900 }, (_, i) => `${i}`));
    await house.append([{ partition: 1, text: 'new' }]);
    await house.clock.settle();
    expect((await house.run(drain(view, positions))).texts).toEqual(['new']);
  });

  test('markers and what was aborted stop nobody', async () => {
    const house = await openTopicHouse({ partitions: 1 });
    await house.transact(0, ['a'], 'commit');
    const view = await house.view();
    const first = await house.run(drain(view, [0]));
    await house.transact(0, ['never'], 'abort');
    await house.transact(0, ['b', 'c'], 'commit');
    await house.clock.settle();
    expect([first.texts, (await house.run(drain(view, first.positions))).texts]).toEqual([['a'], ['b', 'c']]);
  });

  test('what a retention has taken is passed over', async () => {
    const house = await openTopicHouse({ partitions: 1, settings: SMALL });
    await house.append(Array.from({ length: 50 }, (_, i) => ({ partition: 0, text: `${i}` })));
    house.log.deleteRecordsBefore({ topic: 'fibric.events.t_one', partition: 0 }, 30);
    const view = await house.view();
    expect((await house.run(drain(view, [0]))).texts).toEqual(Array.from({ length: 20 }, (_, i) => `${30 + i}`));
  });

  test('F1 cut anywhere and taken up again, with a ring of any size: each record once, in the order of its partition', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('append' as const), partition: fc.nat(2), count: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ kind: fc.constant('take' as const), count: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ kind: fc.constant('resume' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.constantFrom(1, 1500, 1e6),
        async (steps, ringMaxBytes) => {
          const house = await openTopicHouse({ partitions: 3, settings: { primeOffsets: 3, ringMaxBytes } });
          const view = await house.view();
          const counts = [0, 0, 0];
          const seen: string[] = [];
          let flow = new Flow(view, [0, 0, 0]);
          const take = async (count: number) => {
            for (let i = 0; i < count; i += 1) {
              const record = await house.run(flow.next(signal));
              if (record === undefined) return;
              seen.push(textOf(record));
            }
          };
          for (const one of steps) {
            if (one.kind === 'append') {
              const from = counts[one.partition] as number;
              counts[one.partition] = from + one.count;
              const records = Array.from({ length: one.count }, (_, i) => ({
                partition: one.partition,
                text: `${one.partition}/${from + i}`,
              }));
              await house.append(records);
              await house.clock.settle();
            } else if (one.kind === 'take') await take(one.count);
            else flow = new Flow(view, flow.positions);
          }
          await take(10_000);
          for (const partition of [0, 1, 2]) {
            const own = seen.filter((text) => text.startsWith(`${partition}/`));
            expect(own).toEqual(Array.from({ length: counts[partition] as number }, (_, i) => `${partition}/${i}`));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('from the cursor of a row only what is newer than it comes, whatever has come since', async () => {
    const house = await openTopicHouse({ partitions: 2 });
    await house.append(Array.from({ length: 40 }, (_, i) => ({ partition: i % 2, text: `${i}`, atMs: 1000 + i })));
    const view = await house.view();
    const { rows } = await house.run(page(view, { limit: 10 }));
    await house.append([{ partition: 0, text: 'later' }]);
    await house.clock.settle();
    const newerThan = async (row: number) => (await house.run(drain(view, rows[row]?.after ?? []))).texts;
    expect(await newerThan(0)).toEqual(['later']);
    expect(await newerThan(3)).toEqual(['37', '38', '39', 'later']);
  });
});
