/** Opening a partition session where a restore goes wrong, and S6; what goes right (S1–S5) is in stream-worker.test.ts. */
import { expect, test } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import { createMemoryLog, VirtualClock } from '../../../src/kafka/memory/index.ts';
import type { FollowOptions, PartitionReader } from '../../../src/kafka/port.ts';
import { PartitionSession } from '../../../src/kafka/session.ts';

/** A reader that delivers nothing by itself and, as the real ones do, follows a partition only once. */
class SilentReader implements PartitionReader {
  readonly following = new Map<number, FollowOptions>();

  follow(options: FollowOptions) {
    if (this.following.has(options.partition)) throw new TypeError('already followed by this reader');
    this.following.set(options.partition, options);
    return { stop: async () => void this.following.delete(options.partition) };
  }

  async close(): Promise<void> {}
}

test('regression: a failed restore left the other partitions of its shard followed, and the next open crashed on them', async () => {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock, latencyMs: () => 1 });
  const topic = (name: string) => ({ name, partitions: 4, config: {} });
  await clock.run(log.admin.createTopics([topic('raw'), topic('state')]));
  const reader = new SilentReader();
  const open = () =>
    PartitionSession.open({
      log,
      reader,
      groupId: 'g',
      topic: 'raw',
      stateTopic: 'state',
      shard: 0,
      partitions: [0, 2],
      barrierId: 'barrier',
      transactionTimeoutMs: 15_000,
      restoreStallMs: 10_000,
      stateMaxBytes: 2 ** 24,
      signal: new AbortController().signal,
    });
  for (let attempt = 0; attempt < 2; attempt++) {
    const opening = open();
    const outcome = opening.catch((error: unknown) => error);
    await clock.runUntil(() => reader.following.size === 2);
    reader.following.get(0)?.failed(new CodedError('log_unavailable', 'the reader lost it'));
    expect(await clock.run(outcome)).toMatchObject({ code: 'log_unavailable', message: 'the reader lost it' });
    expect([...reader.following.keys()]).toEqual([]);
  }
});

/** A raw topic of `count` records, of which the group has committed `committed`. */
async function rawWithCommitted(count: number, committed: number) {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock, latencyMs: () => 1 });
  const topics = ['raw', 'state'].map((name) => ({ name, partitions: 2, config: {} }));
  await clock.run(log.admin.createTopics(topics));
  const producer = await clock.run(log.producer({ clientId: 'feed' }));
  for (let i = 0; i < count; i++) {
    await clock.run(producer.append([{ topic: 'raw', partition: 1, key: null, value: Buffer.from(`${i}`) }]));
  }
  await clock.run(log.admin.commit('g', [{ topic: 'raw', partition: 1, offset: committed }]));
  const reader = await clock.run(log.reader({ clientId: 'restore', topics: ['state'] }));
  const open = () =>
    clock.run(
      PartitionSession.open({
        log,
        reader,
        groupId: 'g',
        topic: 'raw',
        stateTopic: 'state',
        shard: 0,
        partitions: [0, 1],
        barrierId: 'barrier',
        transactionTimeoutMs: 15_000,
        restoreStallMs: 10_000,
        stateMaxBytes: 2 ** 24,
        signal: new AbortController().signal,
      }),
    );
  return { clock, log, open };
}

test('regression S6: a committed offset above the end of a log that was cut was waited for in silence', async () => {
  const beyond = await rawWithCommitted(5, 6);
  await expect(beyond.open()).rejects.toMatchObject({
    code: 'offset_beyond_end',
    disposition: 'fatal',
    message: expect.stringContaining('move group g to the earliest offset'),
    detail: { topic: 'raw', partition: 1, committed: 6, end: 5 },
  });
  const atEnd = await rawWithCommitted(5, 5);
  const session = await atEnd.open();
  expect([...session.positions]).toEqual([
    [0, 0],
    [1, 5],
  ]);
  expect(session.lost).toEqual([]);
});

test('regression S6: records that retention took before they were processed went unnoticed', async () => {
  const { log, open } = await rawWithCommitted(5, 1);
  log.deleteRecordsBefore({ topic: 'raw', partition: 1 }, 4);
  const session = await open();
  expect(session.lost).toEqual([{ partition: 1, from: 1, to: 4 }]);
  expect(session.positions.get(1)).toBe(4);
});
