/** TransactionalProducer. */
import { expect } from 'vitest';
import type { Append, TopicPartition } from '../../src/kafka/port.ts';
import type { LogHarness } from './harness.ts';
import type { Prove } from './log.contract.ts';
import { appendTo, FollowRecorder } from './recorders.ts';

const TIMEOUT_MS = 10_000;

/** Read after fencing, as the port demands: when a commit returns, its marker may still be on the way to the offsets. */
async function finalOffset(h: LogHarness, transactionalId: string, groupId: string, at: TopicPartition) {
  await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
  return (await h.log.admin.committed(groupId, [at]))[0];
}

export function transactionContract(prove: Prove): void {
  prove('a commit makes records of several topics and the offsets visible together', async (h) => {
    const { left, right, groupId, transactionalId, follow } = await prepared(h);
    const producer = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    const [onLeft, onRight] = [follow(left), follow(right)];
    await producer.commit({
      appends: [one(left, 'l1'), one(right, 'r1'), one(left, 'l2')],
      offsets: { groupId, offsets: [{ ...left, offset: 41 }] },
    });
    await h.until('both topics are read', () => onLeft.records.length >= 2 && onRight.records.length >= 1);
    expect(onLeft.values).toEqual(['l1', 'l2']);
    expect(onRight.values).toEqual(['r1']);
    expect(await finalOffset(h, transactionalId, groupId, left)).toBe(41);
  });

  prove('one producer commits again and again; every record is visible once, in order', async (h) => {
    const { left, transactionalId, groupId, follow } = await prepared(h);
    const producer = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    const ears = follow(left);
    for (let round = 0; round < 15; round += 1) {
      await producer.commit({
        appends: [one(left, `${round}a`), one(left, `${round}b`)],
        offsets: { groupId, offsets: [{ ...left, offset: round + 1 }] },
      });
    }
    await h.until('all is read', () => ears.records.length >= 30);
    expect(ears.values).toEqual(Array.from({ length: 15 }, (_, round) => [`${round}a`, `${round}b`]).flat());
    expect(await finalOffset(h, transactionalId, groupId, left)).toBe(15);
  });

  prove('a transaction may hold only records or only offsets', async (h) => {
    const { left, groupId, transactionalId, follow } = await prepared(h);
    const producer = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    await producer.commit({ appends: [], offsets: { groupId, offsets: [{ ...left, offset: 3 }] } });
    await producer.commit({ appends: [one(left, 'records only')] });
    await producer.commit({ appends: [], offsets: { groupId, offsets: [{ ...left, offset: 4 }] } });
    const ears = follow(left);
    await h.until('the record is read', () => ears.records.length >= 1);
    expect(await finalOffset(h, transactionalId, groupId, left)).toBe(4);
  });

  prove('an empty transaction is committed', async (h) => {
    const { transactionalId, left, follow } = await prepared(h);
    const producer = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    await producer.commit({ appends: [] });
    await producer.commit({ appends: [one(left, 'next')] });
    const ears = follow(left);
    await h.until('the next is read', () => ears.records.length >= 1);
    expect(ears.values).toEqual(['next']);
  });

  prove('before its commit a transaction is invisible, and holds back what comes after it', async (h) => {
    const { left, right, groupId, transactionalId, follow } = await prepared(h);
    const [onLeft, onRight] = [follow(left), follow(right)];
    await appendTo(h.log, left, ['before']);
    await h.leaveOpen({
      transactionalId,
      appends: [one(left, 'open')],
      offsets: { groupId, offsets: [{ ...left, offset: 9 }] },
    });
    await appendTo(h.log, left, ['behind']);
    await appendTo(h.log, right, ['witness']);
    await h.until('the witness is read', () => onRight.records.length >= 1 && onLeft.records.length >= 1);
    expect(onLeft.values).toEqual(['before']);
    expect(await h.log.admin.committed(groupId, [left])).toEqual([null]);

    // Opening ends the transaction, so what stood behind it is free and it is not.
    await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    await h.until('what stood behind is read', () => onLeft.records.length >= 2);
    expect(onLeft.values).toEqual(['before', 'behind']);
    expect(await h.log.admin.committed(groupId, [left])).toEqual([null]);
  });

  prove('what a crashed holder left open is never visible, and markers leave gaps in the offsets', async (h) => {
    const { left, groupId, transactionalId, follow } = await prepared(h);
    for (const round of [1, 2, 3]) {
      await h.leaveOpen({
        transactionalId,
        appends: [one(left, `aborted ${round}`), one(left, `aborted too ${round}`)],
        offsets: { groupId, offsets: [{ ...left, offset: 100 + round }] },
      });
    }
    const producer = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    expect(await h.log.admin.committed(groupId, [left])).toEqual([null]);
    await producer.commit({ appends: [one(left, 'kept')] });
    const ears = follow(left);
    await h.until('the committed one is read', () => ears.records.length >= 1);
    expect(ears.values).toEqual(['kept']);
    // Three aborted transactions of two records and a marker each come before it.
    expect(ears.records[0]?.offset).toBe(9);
    expect((await h.log.admin.watermarks(left)).high).toBe(11);
  });

  prove('what is read right after opening is final: committed offsets of the previous holder stand', async (h) => {
    const { left, groupId, transactionalId } = await prepared(h);
    for (let holder = 1; holder <= 5; holder += 1) {
      const producer = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
      expect(await h.log.admin.committed(groupId, [left])).toEqual([holder === 1 ? null : holder - 1]);
      await producer.commit({
        appends: [one(left, `v${holder}`)],
        offsets: { groupId, offsets: [{ ...left, offset: holder }] },
      });
    }
  });

  prove('a zombie’s commit rejects with fenced, leaves nothing visible, and spends the producer', async (h) => {
    const { left, right, groupId, transactionalId, follow } = await prepared(h);
    const other = await h.connect();
    const zombie = await other.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    await zombie.commit({
      appends: [one(left, 'while owner')],
      offsets: { groupId, offsets: [{ ...left, offset: 1 }] },
    });
    const owner = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    const late = {
      appends: [one(left, 'zombie'), one(right, 'zombie')],
      offsets: { groupId, offsets: [{ ...left, offset: 77 }] },
    };
    await expect(zombie.commit(late)).rejects.toMatchObject({ code: 'fenced' });
    await expect(zombie.commit({ appends: [one(right, 'spent')] })).rejects.toThrow();
    await zombie.close();
    expect(await h.log.admin.committed(groupId, [left])).toEqual([1]);

    await owner.commit({
      appends: [one(left, 'owner'), one(right, 'owner')],
      offsets: { groupId, offsets: [{ ...left, offset: 2 }] },
    });
    const [onLeft, onRight] = [follow(left), follow(right)];
    await h.until('the owner is read', () => onLeft.values.includes('owner') && onRight.values.includes('owner'));
    expect(onLeft.values).toEqual(['while owner', 'owner']);
    expect(onRight.values).toEqual(['owner']);
    expect(await finalOffset(h, transactionalId, groupId, left)).toBe(2);
  });

  prove('a zombie that has never committed is fenced all the same', async (h) => {
    const { left, transactionalId, follow } = await prepared(h);
    const zombie = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    const owner = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    await expect(zombie.commit({ appends: [one(left, 'zombie')] })).rejects.toMatchObject({ code: 'fenced' });
    await owner.commit({ appends: [one(left, 'owner')] });
    const ears = follow(left);
    await h.until('the owner is read', () => ears.records.length >= 1);
    expect(ears.values).toEqual(['owner']);
  });

  prove('holders of different transactional.ids do not disturb one another', async (h) => {
    const { left, follow } = await prepared(h);
    const producers = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        h.log.transactional({ transactionalId: h.unique(name), transactionTimeoutMs: TIMEOUT_MS }),
      ),
    );
    await Promise.all(
      producers.map(async (producer, index) => {
        for (let round = 0; round < 5; round += 1) await producer.commit({ appends: [one(left, `${index}.${round}`)] });
      }),
    );
    const ears = follow(left);
    await h.until('all is read', () => ears.records.length >= 15);
    for (const index of [0, 1, 2]) {
      const mine = ears.values.filter((value) => value?.startsWith(`${index}.`));
      expect(mine).toEqual([0, 1, 2, 3, 4].map((round) => `${index}.${round}`));
    }
  });

  prove('a closed producer can be opened anew, and an orderly close loses nothing', async (h) => {
    const { left, transactionalId, follow } = await prepared(h);
    for (const value of ['first', 'second']) {
      const producer = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
      await producer.commit({ appends: [one(left, value)] });
      await producer.close();
      await expect(producer.commit({ appends: [one(left, 'after close')] })).rejects.toThrow();
    }
    const witness = await h.log.transactional({ transactionalId, transactionTimeoutMs: TIMEOUT_MS });
    await witness.commit({ appends: [one(left, 'third')] });
    const ears = follow(left);
    await h.until('all is read', () => ears.values.includes('third'));
    expect(ears.values).toEqual(['first', 'second', 'third']);
  });
}

function one(partition: TopicPartition, value: string): Append {
  return { ...partition, key: Buffer.from('a key'), value: Buffer.from(value) };
}

async function prepared(h: LogHarness) {
  const [leftTopic, rightTopic] = [h.unique('left'), h.unique('right')];
  await h.log.admin.createTopics([leftTopic, rightTopic].map((name) => ({ name, partitions: 2, config: {} })));
  const reader = await h.log.reader({ clientId: 'contract', topics: [leftTopic, rightTopic] });
  return {
    left: { topic: leftTopic, partition: 1 },
    right: { topic: rightTopic, partition: 0 },
    groupId: h.unique('group'),
    transactionalId: h.unique('tx'),
    follow: (partition: TopicPartition) => new FollowRecorder(reader, partition),
  };
}
