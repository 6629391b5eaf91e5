/** LogAdmin. */
import { expect } from 'vitest';
import type { Log } from '../../src/kafka/port.ts';
import { everything, own, SESSION_TIMEOUT_MS } from './group-support.ts';
import type { Prove } from './log.contract.ts';
import { appendTo, GroupRecorder } from './recorders.ts';

export function adminContract(prove: Prove): void {
  prove('createTopics creates what is missing, leaves what exists untouched, and names what it created', async (h) => {
    const { admin } = h.log;
    const [old, fresh] = [h.unique('old'), h.unique('fresh')];
    expect(await admin.createTopics([{ name: old, partitions: 2, config: { 'retention.ms': '111000' } }])).toEqual([
      old,
    ]);
    const created = await admin.createTopics([
      { name: old, partitions: 5, config: { 'retention.ms': '222000' } },
      { name: fresh, partitions: 1, config: {} },
    ]);
    expect(created).toEqual([fresh]);
    expect(await admin.createTopics([{ name: old, partitions: 2, config: {} }])).toEqual([]);
    const [description] = await admin.describeTopics([old]);
    expect(description).toMatchObject({ name: old, partitions: 2, config: { 'retention.ms': '111000' } });
  });

  prove(
    'a topic is ready once createTopics or growPartitions has resolved: a request to all of it is not refused in part',
    async (h) => {
      // Each round is a chance to meet a partition whose leader does not answer yet; a retry would double the others.
      for (let round = 0; round < 4; round += 1) {
        const topic = h.unique('ready');
        await h.log.admin.createTopics([{ name: topic, partitions: 8, config: {} }]);
        await appendToEach(h.log, topic, 8);
        await h.log.admin.growPartitions(topic, 12);
        await appendToEach(h.log, topic, 12);
        const marks = Array.from({ length: 12 }, (_, partition) => h.log.admin.watermarks({ topic, partition }));
        const high = (await Promise.all(marks)).map((one) => one.high);
        expect(high).toEqual([...Array(8).fill(2), ...Array(4).fill(1)]);
      }
    },
  );

  prove('describeTopics gives the topics that exist among the names, or all of them', async (h) => {
    const { admin } = h.log;
    const [one, two, missing] = [h.unique('one'), h.unique('two'), h.unique('missing')];
    await admin.createTopics([
      { name: one, partitions: 1, config: { 'cleanup.policy': 'compact' } },
      { name: two, partitions: 3, config: {} },
    ]);
    const some = await admin.describeTopics([two, missing, one]);
    expect(some.map(({ name, partitions }) => ({ name, partitions })).sort(byName)).toEqual(
      [
        { name: one, partitions: 1 },
        { name: two, partitions: 3 },
      ].sort(byName),
    );
    expect(some.find(({ name }) => name === one)?.config).toMatchObject({ 'cleanup.policy': 'compact' });
    const all = (await admin.describeTopics()).map(({ name }) => name);
    expect(all).toEqual(expect.arrayContaining([one, two]));
    expect(all).not.toContain(missing);
    expect(await admin.describeTopics([])).toEqual([]);
  });

  prove('deleteTopics deletes these and no other', async (h) => {
    const { admin } = h.log;
    const [gone, kept] = [h.unique('gone'), h.unique('kept')];
    await admin.createTopics([gone, kept].map((name) => ({ name, partitions: 1, config: {} })));
    await admin.deleteTopics([gone]);
    expect((await admin.describeTopics([gone, kept])).map(({ name }) => name)).toEqual([kept]);
  });

  prove('growPartitions grows, does nothing when there are as many, and refuses to shrink', async (h) => {
    const { admin } = h.log;
    const topic = h.unique('grow');
    await admin.createTopics([{ name: topic, partitions: 2, config: {} }]);
    await admin.growPartitions(topic, 4);
    expect(await admin.describeTopics([topic])).toMatchObject([{ partitions: 4 }]);
    await admin.growPartitions(topic, 4);
    await expect(admin.growPartitions(topic, 3)).rejects.toMatchObject({ code: 'topic_invalid' });
    expect(await admin.describeTopics([topic])).toMatchObject([{ partitions: 4 }]);
    await appendTo(h.log, { topic, partition: 3 }, ['in the new partition']);
  });

  prove('alterConfig sets exactly these keys and keeps the other overrides', async (h) => {
    const { admin } = h.log;
    const topic = h.unique('alter');
    const config = { 'retention.ms': '111000', 'cleanup.policy': 'compact' };
    await admin.createTopics([{ name: topic, partitions: 1, config }]);
    await admin.alterConfig(topic, { 'retention.ms': '222000', 'max.message.bytes': '123456' });
    const expected = { 'retention.ms': '222000', 'cleanup.policy': 'compact', 'max.message.bytes': '123456' };
    expect(await admin.describeTopics([topic])).toMatchObject([{ config: expected }]);
  });

  prove('watermarks are the log start and the next offset, beyond what an open transaction holds back', async (h) => {
    const { admin } = h.log;
    const topic = h.unique('marks');
    const at = { topic, partition: 0 };
    await admin.createTopics([{ name: topic, partitions: 1, config: {} }]);
    expect(await admin.watermarks(at)).toEqual({ low: 0, high: 0 });
    await appendTo(h.log, at, ['a', 'b', 'c']);
    expect(await admin.watermarks(at)).toEqual({ low: 0, high: 3 });
    await h.leaveOpen({ transactionalId: h.unique('tx'), appends: [{ ...at, key: null, value: Buffer.from('open') }] });
    expect(await admin.watermarks(at)).toEqual({ low: 0, high: 4 });
    await h.deleteRecordsBefore(at, 2);
    expect(await admin.watermarks(at)).toEqual({ low: 2, high: 4 });
  });

  prove('offsetSince is the first offset of that time or later, the end where there is none', async (h) => {
    const { admin } = h.log;
    const topic = h.unique('since');
    const at = { topic, partition: 1 };
    await admin.createTopics([{ name: topic, partitions: 2, config: {} }]);
    expect(await admin.offsetSince(at, 0)).toBe(0);
    const startMs = Date.now() - 600_000;
    const producer = await h.log.producer({ clientId: 'contract' });
    for (const minutes of [0, 1, 2, 3]) {
      const record = { ...at, key: null, value: Buffer.from(`${minutes}`), timestampMs: startMs + minutes * 60_000 };
      await producer.append([record]);
    }
    const since = (minutes: number) => admin.offsetSince(at, startMs + minutes * 60_000);
    expect(await Promise.all([-5, 0, 0.5, 2, 3, 4].map(since))).toEqual([0, 0, 1, 2, 3, 4]);
  });

  prove('commit moves offsets of a group without members, per partition, and committed reads them', async (h) => {
    const { admin } = h.log;
    const [topic, groupId] = [h.unique('offsets'), h.unique('group')];
    await admin.createTopics([{ name: topic, partitions: 3, config: {} }]);
    const all = [2, 0, 1].map((partition) => ({ topic, partition }));
    expect(await admin.committed(groupId, all)).toEqual([null, null, null]);
    await admin.commit(groupId, [
      { topic, partition: 0, offset: 7 },
      { topic, partition: 2, offset: 0 },
    ]);
    expect(await admin.committed(groupId, all)).toEqual([0, 7, null]);
    await admin.commit(groupId, [{ topic, partition: 0, offset: 3 }]);
    expect(await admin.committed(groupId, all)).toEqual([0, 3, null]);
    expect(await admin.committed(h.unique('another'), all)).toEqual([null, null, null]);
  });

  prove('commit is refused while the group has members', async (h) => {
    const { admin } = h.log;
    const [topic, groupId] = [h.unique('busy'), h.unique('group')];
    await admin.createTopics([{ name: topic, partitions: 1, config: {} }]);
    const ears = new GroupRecorder();
    await h.log.group({
      groupId,
      topics: [topic],
      assigner: everything,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      listener: ears,
    });
    await h.until('the member is assigned', () => ears.assignment !== null);
    await expect(admin.commit(groupId, [{ topic, partition: 0, offset: 5 }])).rejects.toMatchObject({
      code: 'group_active',
    });
    expect(await admin.committed(groupId, [own(topic, 0)])).toEqual([null]);
  });
}

/** One request with one record for every partition. */
async function appendToEach(log: Log, topic: string, partitions: number): Promise<void> {
  const producer = await log.producer({ clientId: 'contract' });
  const append = (partition: number) => ({ topic, partition, key: null, value: Buffer.from('one') });
  await producer.append(Array.from({ length: partitions }, (_, partition) => append(partition)));
  await producer.close();
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
