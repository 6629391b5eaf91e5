/** PartitionReader. */
import { expect } from 'vitest';
import { CodedError } from '../../src/base/errors.ts';
import type { LogHarness } from './harness.ts';
import type { Prove } from './log.contract.ts';
import { appendTo, FollowRecorder } from './recorders.ts';

export function readerContract(prove: Prove): void {
  prove('follow starts at the offset wanted and goes on with new appends', async (h) => {
    const { topic, reader } = await opened(h, 1);
    const at = { topic, partition: 0 };
    await appendTo(h.log, at, ['0', '1', '2', '3']);
    const ears = new FollowRecorder(reader, at, 2);
    await h.until('the stock is read', () => ears.records.length >= 2);
    await appendTo(h.log, at, ['4']);
    await appendTo(h.log, at, ['5', '6']);
    await h.until('the new ones are read', () => ears.records.length >= 5);
    expect(ears.values).toEqual(['2', '3', '4', '5', '6']);
    expect(ears.records.map((record) => record.offset)).toEqual([2, 3, 4, 5, 6]);
    expect(ears.failures).toEqual([]);
  });

  prove('follow from the next offset delivers only what comes later', async (h) => {
    const { topic, reader } = await opened(h, 1);
    const at = { topic, partition: 0 };
    await appendTo(h.log, at, ['0', '1']);
    const ears = new FollowRecorder(reader, at, 2);
    await appendTo(h.log, at, ['2']);
    await h.until('the new one is read', () => ears.records.length >= 1);
    expect(ears.values).toEqual(['2']);
  });

  prove('follow of an empty partition waits for the first record', async (h) => {
    const { topic, reader } = await opened(h, 1);
    const ears = new FollowRecorder(reader, { topic, partition: 0 });
    await appendTo(h.log, { topic, partition: 0 }, ['first']);
    await h.until('it is read', () => ears.records.length >= 1);
    expect(ears.values).toEqual(['first']);
  });

  prove('an offset below the log start means from the log start', async (h) => {
    const { topic, reader } = await opened(h, 1);
    const at = { topic, partition: 0 };
    await appendTo(h.log, at, ['0', '1', '2', '3', '4']);
    await h.deleteRecordsBefore(at, 3);
    const ears = new FollowRecorder(reader, at, 0);
    await h.until('the rest is read', () => ears.records.length >= 2);
    await appendTo(h.log, at, ['5']);
    await h.until('and what comes later', () => ears.records.length >= 3);
    expect(ears.records.map((record) => record.offset)).toEqual([3, 4, 5]);
    expect(ears.failures).toEqual([]);
  });

  prove('no callback follows once stop has resolved, not even for what was on its way', async (h) => {
    const { topic, reader } = await opened(h, 3);
    const stopped = new FollowRecorder(reader, { topic, partition: 0 });
    const witness = new FollowRecorder(reader, { topic, partition: 1 });
    await appendTo(h.log, { topic, partition: 2 }, ['stock']);
    const hasty = new FollowRecorder(reader, { topic, partition: 2 });
    await hasty.follow.stop();
    const whileStopping = hasty.records.length;
    await appendTo(h.log, { topic, partition: 0 }, ['before']);
    await h.until('the first is read', () => stopped.records.length >= 1);
    await stopped.follow.stop();
    for (const partition of [0, 2]) await appendTo(h.log, { topic, partition }, ['after']);
    await appendTo(h.log, { topic, partition: 1 }, ['witness']);
    await h.until('the witness has heard', () => witness.records.length >= 1);
    expect(stopped.values).toEqual(['before']);
    expect(hasty.records).toHaveLength(whileStopping);
    expect([...stopped.failures, ...hasty.failures]).toEqual([]);
  });

  prove('a partition can be followed again after a stop, from any offset', async (h) => {
    const { topic, reader } = await opened(h, 1);
    const at = { topic, partition: 0 };
    await appendTo(h.log, at, ['0', '1', '2']);
    for (const from of [1, 0, 2]) {
      const ears = new FollowRecorder(reader, at, from);
      await h.until(`offsets from ${from} are read`, () => ears.records.length >= 3 - from);
      await ears.follow.stop();
      expect(ears.values).toEqual(['0', '1', '2'].slice(from));
    }
  });

  prove('several follows run at once, each at its own pace, and stop alone', async (h) => {
    const { topic, reader } = await opened(h, 4);
    const partitions = [0, 1, 2, 3];
    for (const partition of partitions)
      await appendTo(h.log, { topic, partition }, [`${partition}.0`, `${partition}.1`]);
    const ears = partitions.map((partition) => new FollowRecorder(reader, { topic, partition }, partition % 2));
    await h.until('all stock is read', () => ears.every((one, partition) => one.records.length >= 2 - (partition % 2)));
    await ears[1]?.follow.stop();
    for (const partition of partitions) await appendTo(h.log, { topic, partition }, [`${partition}.2`]);
    await h.until('the others have gone on', () => [0, 2, 3].every((p) => ears[p]?.values.at(-1) === `${p}.2`));
    expect(ears.map((one) => one.values)).toEqual([
      ['0.0', '0.1', '0.2'],
      ['1.1'],
      ['2.0', '2.1', '2.2'],
      ['3.1', '3.2'],
    ]);
  });

  prove('a batch carries records of its own partition in ascending order', async (h) => {
    const { topic, reader } = await opened(h, 2);
    for (const partition of [0, 1]) {
      await appendTo(
        h.log,
        { topic, partition },
        Array.from({ length: 3000 }, (_, index) => `${partition}-${index}`),
      );
    }
    const ears = [0, 1].map((partition) => new FollowRecorder(reader, { topic, partition }));
    await h.until('all is read', () => ears.every((one) => one.records.length >= 3000));
    for (const [partition, one] of ears.entries()) {
      expect(one.records.every((record) => record.topic === topic && record.partition === partition)).toBe(true);
      expect(one.values).toEqual(Array.from({ length: 3000 }, (_, index) => `${partition}-${index}`));
    }
  });

  prove('what cannot be followed is refused, and disturbs no other follow', async (h) => {
    const { topic, reader } = await opened(h, 1);
    const at = { topic, partition: 0 };
    const ears = new FollowRecorder(reader, at);
    expect(() => new FollowRecorder(reader, at)).toThrow('already followed');
    expect(() => new FollowRecorder(reader, { topic: h.unique('not-named'), partition: 0 })).toThrow(CodedError);
    const missing = new FollowRecorder(reader, { topic, partition: 7 });
    await h.until('the missing partition is told', () => missing.failures.length >= 1);
    expect(missing.failures).toMatchObject([{ code: 'topic_invalid' }]);
    await appendTo(h.log, at, ['heard']);
    await h.until('the first follow goes on', () => ears.records.length >= 1);
    expect([ears.values, ears.failures, missing.records]).toEqual([['heard'], [], []]);
  });

  prove('a callback that throws ends its follow with failed, and no other', async (h) => {
    const { topic, reader } = await opened(h, 2);
    const failures: unknown[] = [];
    let calls = 0;
    reader.follow({
      topic,
      partition: 0,
      fromOffset: 0,
      records: () => {
        calls += 1;
        throw new TypeError('a mistake');
      },
      failed: (error) => failures.push(error),
    });
    const witness = new FollowRecorder(reader, { topic, partition: 1 });
    await appendTo(h.log, { topic, partition: 0 }, ['poison']);
    await h.until('it has failed', () => failures.length >= 1);
    await appendTo(h.log, { topic, partition: 0 }, ['next']);
    await appendTo(h.log, { topic, partition: 1 }, ['witness']);
    await h.until('the witness has heard', () => witness.records.length >= 1);
    expect(calls).toBe(1);
    expect(failures).toMatchObject([{ message: 'a mistake' }]);
  });

  prove('closing a reader ends its follows and no other reader’s', async (h) => {
    const { topic, reader } = await opened(h, 1);
    const other = await h.log.reader({ clientId: 'other', topics: [topic] });
    const [ended, witness] = [
      new FollowRecorder(reader, { topic, partition: 0 }),
      new FollowRecorder(other, { topic, partition: 0 }),
    ];
    await appendTo(h.log, { topic, partition: 0 }, ['both']);
    await h.until('both have heard', () => ended.records.length >= 1 && witness.records.length >= 1);
    await reader.close();
    await appendTo(h.log, { topic, partition: 0 }, ['one']);
    await h.until('the other has heard', () => witness.records.length >= 2);
    expect(ended.values).toEqual(['both']);
  });

  prove('passed tells how far a follow has come, over markers and what was aborted', async (h) => {
    const { topic, reader } = await opened(h, 1);
    const at = { topic, partition: 0 };
    const [first, second] = [h.unique('tx'), h.unique('tx')];
    const committing = await h.log.transactional({ transactionalId: first, transactionTimeoutMs: 10_000 });
    await committing.commit({ appends: [{ ...at, key: null, value: Buffer.from('kept') }] });
    await h.leaveOpen({ transactionalId: second, appends: [{ ...at, key: null, value: Buffer.from('aborted') }] });
    await (await h.log.transactional({ transactionalId: second, transactionTimeoutMs: 10_000 })).close();
    const { high } = await h.log.admin.watermarks(at);
    const seen: string[] = [];
    let position = 0;
    const follow = reader.follow({
      ...at,
      fromOffset: 0,
      records: ({ records }) => {
        for (const record of records) seen.push(String(record.value));
        position = (records.at(-1)?.offset ?? 0) + 1;
      },
      passed: (nextOffset) => {
        expect(nextOffset).toBeGreaterThanOrEqual(position);
        position = nextOffset;
      },
      failed: (error) => seen.push(String(error)),
    });
    await h.until('the end is passed', () => position >= high);
    expect([seen, position]).toEqual([['kept'], high]);
    await committing.commit({ appends: [{ ...at, key: null, value: Buffer.from('next') }] });
    await h.until('and the next end', () => position >= high + 2);
    expect(seen).toEqual(['kept', 'next']);
    await follow.stop();
  });

  prove('after compaction a follow from the start reaches the barrier, whatever is gone before it', async (h) => {
    const topic = h.unique('state');
    const at = { topic, partition: 0 };
    await h.log.admin.createTopics([h.compactedTopic(topic)]);
    const transactionalId = h.unique('tx');
    // Each holder leaves a marker and a barrier behind, and every value but the last ones is overwritten.
    for (let owner = 0; owner < 3; owner += 1) {
      const producer = await h.log.transactional({ transactionalId, transactionTimeoutMs: 10_000 });
      for (let round = 0; round < 5; round += 1) {
        const state = ['alpha', 'beta-', 'gamma'].map((name) => ({
          ...at,
          key: Buffer.from(name),
          value: Buffer.from(`${name} ${owner}.${round}`),
        }));
        await producer.commit({
          appends: [...state, { ...at, key: Buffer.from('gone!'), value: round < 4 ? Buffer.from('here') : null }],
        });
      }
      await producer.commit({
        appends: [{ ...at, key: Buffer.from('barrier'), value: Buffer.from(`barrier ${owner}`) }],
      });
      await producer.close();
    }
    await h.compact(at);
    const last = await h.log.transactional({ transactionalId, transactionTimeoutMs: 10_000 });
    await last.commit({ appends: [{ ...at, key: Buffer.from('barrier'), value: Buffer.from('the barrier') }] });
    const reader = await h.log.reader({ clientId: 'contract', topics: [topic] });
    const ears = new FollowRecorder(reader, at, 0);
    await h.until('the barrier is read', () => ears.values.at(-1) === 'the barrier');
    expect(ears.values).not.toContain('alpha 0.0');
    const latest = new Map(ears.records.map((record) => [record.key?.toString(), record]));
    expect(latest.get('alpha')?.value?.toString()).toBe('alpha 2.4');
    expect(latest.get('gamma')?.value?.toString()).toBe('gamma 2.4');
    expect(latest.get('gone!')?.value ?? null).toBeNull();
    const offsets = ears.records.map((record) => record.offset);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect(ears.failures).toEqual([]);
  });
}

async function opened(h: LogHarness, partitions: number) {
  const topic = h.unique('follow');
  await h.log.admin.createTopics([{ name: topic, partitions, config: {} }]);
  return { topic, reader: await h.log.reader({ clientId: 'contract', topics: [topic] }) };
}
