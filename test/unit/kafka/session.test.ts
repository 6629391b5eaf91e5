/** Opening a partition session (S1–S5) where a restore goes wrong; what goes right is in stream-worker.test.ts. */
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
