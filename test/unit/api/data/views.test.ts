import { describe, expect, test } from 'vitest';
import { drain, openTopicHouse, TOPIC } from './topic-house.ts';

describe('topics that are being read', () => {
  test('one that does not exist is none, until it does', async () => {
    const house = await openTopicHouse({ partitions: 0 });
    expect(await house.run(house.views.lease(TOPIC))).toBeUndefined();
    await house.run(house.log.admin.createTopics([{ name: TOPIC, partitions: 1, config: {} }]));
    expect(await house.run(house.views.lease(TOPIC))).toBeDefined();
  });

  test('W1 the one unused for longest makes room; when all are in use there is none', async () => {
    const house = await openTopicHouse({ partitions: 1, views: { maxOpen: 2 } });
    const names = ['b', 'c'];
    await house.run(house.log.admin.createTopics(names.map((name) => ({ name, partitions: 1, config: {} }))));
    const first = await house.run(house.views.lease(TOPIC));
    const second = await house.run(house.views.lease('b'));
    await expect(house.run(house.views.lease('c'))).rejects.toMatchObject({ code: 'queue_full' });
    second?.release();
    const third = await house.run(house.views.lease('c'));
    expect([house.views.openCount, third?.isStale(), first?.isStale()]).toEqual([2, false, false]);
  });

  test('two who ask at once share one', async () => {
    const house = await openTopicHouse({ partitions: 1 });
    const [one, other] = await house.run(Promise.all([house.views.lease(TOPIC), house.views.lease(TOPIC)]));
    expect(one?.view).toBe(other?.view);
  });

  test('W2 one whose topic has grown is not handed out again, and goes on for who has it', async () => {
    const house = await openTopicHouse({ partitions: 1, views: { checkMs: 1000 } });
    await house.append([{ partition: 0, text: 'a' }]);
    const before = await house.run(house.views.lease(TOPIC));
    await house.run(house.log.admin.growPartitions(TOPIC, 2));
    await house.clock.advance(2000);
    const after = await house.run(house.views.lease(TOPIC));
    expect([before?.isStale(), after?.isStale(), after?.view.partitions]).toEqual([true, false, 2]);
    await house.append([{ partition: 1, text: 'b' }]);
    await house.clock.settle();
    if (before === undefined || after === undefined) throw new Error('no lease');
    expect((await house.run(drain(before.view, [0]))).texts).toEqual(['a']);
    expect((await house.run(drain(after.view, [1]))).texts).toEqual(['b']);
    before.release();
    after.release();
  });

  test('W2 one whose topic was made anew is let go of', async () => {
    const house = await openTopicHouse({ partitions: 1 });
    await house.append([{ partition: 0, text: 'a' }]);
    const before = await house.run(house.views.lease(TOPIC));
    before?.release();
    await house.run(house.log.admin.deleteTopics([TOPIC]));
    expect(await house.run(house.views.lease(TOPIC)).catch((error) => error.code)).not.toBe('internal');
  });

  test('W3 what is kept of all together is bounded: with more topics the oldest go, and are read from the log', async () => {
    const maxBytes = 30_000;
    const house = await openTopicHouse({ partitions: 2, views: { maxBytes } });
    const names = ['b', 'c', 'd'];
    await house.run(house.log.admin.createTopics(names.map((name) => ({ name, partitions: 2, config: {} }))));
    const texts = Array.from({ length: 30 }, (_, at) => `${at} ${'x'.repeat(500)}`);
    await house.append(texts.map((text, at) => ({ partition: at % 2, text })));
    const view = await house.view();
    await house.clock.settle();
    const alone = house.views.bytes;
    expect([alone > 20_000, alone <= maxBytes]).toEqual([true, true]);
    const others = await house.run(Promise.all(names.map((name) => house.views.lease(name))));
    expect(house.views.bytes).toBeLessThanOrEqual(maxBytes / 4);
    const { texts: read } = await house.run(drain(view, [0, 0]));
    expect(read.toSorted()).toEqual(texts.toSorted());
    // Those that are closed leave their share to the others.
    for (const lease of others) lease?.release();
    await house.clock.advance(600_000);
    await house.append(texts.map((text, at) => ({ partition: at % 2, text })));
    await house.clock.settle();
    expect(house.views.bytes).toBeGreaterThan(maxBytes / 2);
  });

  test('asks the broker for all topics at once, and one question at a time', async () => {
    const house = await openTopicHouse({ partitions: 1, views: { checkMs: 1000 } });
    const names = ['b', 'c', 'd'];
    await house.run(house.log.admin.createTopics(names.map((name) => ({ name, partitions: 1, config: {} }))));
    const asked: (readonly string[])[] = [];
    const { admin } = house.log;
    const describe = admin.describeTopics.bind(admin);
    admin.describeTopics = (which = []) => {
      asked.push(which);
      return describe(which);
    };
    const wanted = [...names, 'none', 'none', TOPIC];
    await house.run(Promise.all(wanted.map((name) => house.views.lease(name))));
    expect(asked).toEqual([[...names, 'none', TOPIC]]);
    await house.clock.advance(3_500);
    expect(asked.slice(1)).toEqual(Array.from({ length: 3 }, () => [...names, TOPIC]));
  });

  test('unused for a while it is closed, and opened again when asked for', async () => {
    const house = await openTopicHouse({ partitions: 1, views: { idleMs: 1000 } });
    const lease = await house.run(house.views.lease(TOPIC));
    lease?.release();
    await house.clock.advance(500);
    expect(house.views.openCount).toBe(1);
    await house.clock.advance(1000);
    expect(house.views.openCount).toBe(0);
    expect(await house.run(house.views.lease(TOPIC))).toBeDefined();
  });

  test('a broker that is away for a while loses nothing', async () => {
    const house = await openTopicHouse({ partitions: 1 });
    const view = await house.view();
    house.log.faults.down();
    await house.clock.advance(5000);
    house.log.faults.up();
    await house.append([{ partition: 0, text: 'after' }]);
    await house.clock.advance(10_000);
    expect((await house.run(drain(view, [0]))).texts).toEqual(['after']);
  });
});
