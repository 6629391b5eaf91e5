/** GroupListener and GroupMember. */
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Assigner, GroupMember, Log, TopicPartition } from '../../src/kafka/port.ts';
import { everything, modulo, own, SESSION_TIMEOUT_MS } from './group-support.ts';
import type { LogHarness } from './harness.ts';
import type { Prove } from './log.contract.ts';
import { appendTo, FollowRecorder, GroupRecorder, values } from './recorders.ts';

export function groupContract(prove: Prove): void {
  prove('a single member is given all partitions of all its topics', async (h) => {
    const topics = [h.unique('a'), h.unique('b')];
    await h.log.admin.createTopics(topics.map((name) => ({ name, partitions: 2, config: {} })));
    const ears = new GroupRecorder();
    await join(h.log, h.unique('group'), topics, ears, everything);
    await h.until('it is assigned', () => ears.assignment !== null);
    expect(ears.assignment).toEqual(topics.flatMap((topic) => [`${topic}/0`, `${topic}/1`]).sort());
    expect(ears.epoch).toBe(1);
    expect(ears.events[0]?.kind).toBe('assigned');
  });

  prove('every assigned partition is paused until it is resumed, and reads from where it was sought', async (h) => {
    const { topic, groupId } = await prepared(h, 2);
    await appendTo(h.log, own(topic, 0), ['0', '1', '2', '3']);
    await appendTo(h.log, own(topic, 1), ['never resumed']);
    await h.log.admin.commit(groupId, [{ topic, partition: 0, offset: 1 }]);
    const ears = new GroupRecorder();
    const member = await join(h.log, groupId, [topic], ears, everything);
    await h.until('it is assigned and has beaten', () => ears.heartbeats.length >= 2);
    expect(ears.allRecords).toEqual([]);
    member.seek(own(topic, 0), 2);
    member.resume(own(topic, 0));
    await h.until('the rest is read', () => ears.allRecords.length >= 2);
    await appendTo(h.log, own(topic, 0), ['4']);
    await h.until('and what comes later', () => ears.allRecords.length >= 3);
    expect(ears.recordsOf(own(topic, 0)).map((record) => record.offset)).toEqual([2, 3, 4]);
    expect(ears.recordsOf(own(topic, 1))).toEqual([]);
  });

  prove('records come in order per partition, complete, in batches of one partition', async (h) => {
    const { topic, groupId } = await prepared(h, 3);
    const ears = new GroupRecorder();
    const member = await join(h.log, groupId, [topic], ears, everything);
    await h.until('it is assigned', () => ears.assignment !== null);
    for (const partition of [0, 1, 2]) {
      member.seek(own(topic, partition), 0);
      member.resume(own(topic, partition));
    }
    const wanted = Array.from({ length: 500 }, (_, index) => String(index));
    for (let round = 0; round < 5; round += 1) {
      for (const partition of [0, 1, 2]) {
        await appendTo(h.log, own(topic, partition), wanted.slice(round * 100, (round + 1) * 100));
      }
    }
    await h.until('all is read', () => ears.allRecords.length >= 1500);
    for (const partition of [0, 1, 2]) expect(values(ears.recordsOf(own(topic, partition)))).toEqual(wanted);
    expect(ears.allRecords).toHaveLength(1500);
  });

  prove('a fetch brings at most about maxBytesPerPartition, and everything in the end', async (h) => {
    const { topic, groupId } = await prepared(h, 1);
    // Several requests, because a broker never splits one; and bytes that compression makes little of.
    for (let request = 0; request < 10; request += 1) {
      await appendTo(
        h.log,
        own(topic, 0),
        Array.from({ length: 5 }, (_, index) => noise(`${request}.${index}`)),
      );
    }
    const ears = new GroupRecorder();
    const member = await h.log.group({
      groupId,
      topics: [topic],
      assigner: everything,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      listener: ears,
      maxBytesPerPartition: 8_000,
    });
    await h.until('it is assigned', () => ears.assignment !== null);
    member.seek(own(topic, 0), 0);
    member.resume(own(topic, 0));
    await h.until('all is read', () => ears.allRecords.length >= 50);
    expect(ears.recordsOf(own(topic, 0)).map((record) => record.offset)).toEqual(
      Array.from({ length: 50 }, (_, o) => o),
    );
    const largest = Math.max(
      ...ears.events.map((event) => (event.kind === 'records' ? event.batch.records.length : 0)),
    );
    expect(largest).toBeLessThanOrEqual(20);
  });

  prove('two members share as the assigner says, which sees their ids and the partition counts', async (h) => {
    const { topic, groupId } = await prepared(h, 4);
    const asked: { ids: readonly string[]; counts: Record<string, number> }[] = [];
    const assigner: Assigner = (ids, topics) => {
      asked.push({ ids: [...ids], counts: Object.fromEntries(topics) });
      return modulo(ids, topics);
    };
    const [first, second] = [new GroupRecorder(), new GroupRecorder()];
    await join(h.log, groupId, [topic], first, assigner);
    await h.until('the first has all', () => first.assignment?.length === 4);
    await join(await h.connect(), groupId, [topic], second, assigner);
    await h.until('both have half', () => first.assignment?.length === 2 && second.assignment?.length === 2);
    const halves = [
      [`${topic}/0`, `${topic}/2`],
      [`${topic}/1`, `${topic}/3`],
    ];
    expect([first.assignment, second.assignment].sort()).toEqual(halves);
    expect(asked[0]).toMatchObject({ counts: { [topic]: 4 } });
    expect(asked[0]?.ids).toHaveLength(1);
    expect(new Set(asked.at(-1)?.ids).size).toBe(2);
    expect(asked.at(-1)?.counts).toEqual({ [topic]: 4 });
  });

  prove('an assigner may leave a member with nothing; it stays a member', async (h) => {
    const { topic, groupId } = await prepared(h, 2);
    const [first, second] = [new GroupRecorder(), new GroupRecorder()];
    await join(h.log, groupId, [topic], first, everything);
    await h.until('the first has all', () => first.assignment?.length === 2);
    await join(await h.connect(), groupId, [topic], second, everything);
    const idle = () => [first, second].find((one) => one.assignment?.length === 0);
    const busy = () => [first, second].find((one) => one.assignment?.length === 2);
    await h.until('one has all and one nothing', () => idle() !== undefined && busy() !== undefined);
    const before = idle()?.heartbeats.length ?? 0;
    await h.until('the idle one beats', () => (idle()?.heartbeats.length ?? 0) > before);
  });

  prove('a rebalance is announced, then comes assigned, and the epoch grows by one', async (h) => {
    const { topic, groupId } = await prepared(h, 2);
    const ears = new GroupRecorder();
    const member = await join(h.log, groupId, [topic], ears, modulo);
    ears.onAssigned = (partitions) => resumeAll(partitions, member);
    await h.until('it has all', () => ears.assignment?.length === 2);
    resumeAll([own(topic, 0), own(topic, 1)], member);
    for (let round = 0; round < 2; round += 1) {
      const guest = await h.connect();
      const other = new GroupRecorder();
      await join(guest, groupId, [topic], other, modulo);
      await h.until('they share', () => ears.assignment?.length === 1 && other.assignment?.length === 1);
      await guest.close();
      await appendTo(h.log, own(topic, 0), [`${round}`]);
      await h.until('it has all again', () => ears.assignment?.length === 2);
    }
    const turns = ears.events.filter((event) => event.kind === 'assigned' || event.kind === 'rebalancing');
    const epochs = turns.filter((event) => event.kind === 'assigned').map((event) => event.epoch);
    expect(epochs).toEqual(epochs.map((_, index) => index + 1));
    expect(epochs.length).toBeGreaterThanOrEqual(5);
    for (const [index, event] of ears.events.entries()) {
      if (event.kind === 'rebalancing') {
        // The epoch that ends is named, and the next call is `assigned`.
        expect(ears.events[index + 1]).toMatchObject({ kind: 'assigned', epoch: event.epoch + 1 });
      }
      if (event.kind === 'assigned' && event.epoch > 1) expect(ears.events[index - 1]?.kind).toBe('rebalancing');
    }
    expect(ears.crashes).toEqual([]);
  });

  prove('after a rebalance partitions are paused again, also those kept', async (h) => {
    const { topic, groupId } = await prepared(h, 2);
    await appendTo(h.log, own(topic, 0), ['0', '1']);
    const first = new GroupRecorder();
    const member = await join(h.log, groupId, [topic], first, everything);
    await h.until('it has all', () => first.assignment?.length === 2);
    member.seek(own(topic, 0), 0);
    member.resume(own(topic, 0));
    await h.until('it reads', () => first.allRecords.length >= 2);
    const second = new GroupRecorder();
    await join(await h.connect(), groupId, [topic], second, everything);
    await h.until('both are assigned', () => first.epoch >= 2 && second.epoch >= 1 && first.assignment !== null);
    await appendTo(h.log, own(topic, 0), ['2']);
    const beats = first.heartbeats.length;
    await h.until('time passes for the first', () => first.heartbeats.length >= beats + 2);
    expect(values(first.allRecords)).toEqual(['0', '1']);
    expect(second.allRecords).toEqual([]);
  });

  prove('pause stops the delivery, and resume goes on without loss or repetition', async (h) => {
    const { topic, groupId } = await prepared(h, 2);
    const ears = new GroupRecorder();
    const member = await join(h.log, groupId, [topic], ears, everything);
    await h.until('it is assigned', () => ears.assignment !== null);
    resumeAll([own(topic, 0), own(topic, 1)], member);
    const reader = await h.log.reader({ clientId: 'contract', topics: [topic] });
    const witness = new FollowRecorder(reader, own(topic, 0));
    let written = 0;
    for (let round = 0; round < 4; round += 1) {
      const before = ears.recordsOf(own(topic, 0)).length;
      await appendTo(h.log, own(topic, 0), numbers(written, 50));
      written += 50;
      await h.until('something is delivered', () => ears.recordsOf(own(topic, 0)).length > before);
      member.pause(own(topic, 0));
      const paused = ears.recordsOf(own(topic, 0)).length;
      await appendTo(h.log, own(topic, 0), numbers(written, 50));
      written += 50;
      await appendTo(h.log, own(topic, 1), [`round ${round}`]);
      await h.until('the witness and the other partition have all', () => {
        return witness.records.length >= written && ears.recordsOf(own(topic, 1)).length > round;
      });
      expect(ears.recordsOf(own(topic, 0))).toHaveLength(paused);
      member.resume(own(topic, 0));
      await h.until('the rest is delivered', () => ears.recordsOf(own(topic, 0)).length >= written);
    }
    expect(values(ears.recordsOf(own(topic, 0)))).toEqual(numbers(0, written));
  });

  prove('a pause made inside the delivery holds at once', async (h) => {
    const { topic, groupId } = await prepared(h, 2);
    for (let request = 0; request < 6; request += 1) await appendTo(h.log, own(topic, 0), numbers(request * 10, 10));
    const ears = new GroupRecorder();
    const member = await h.log.group({
      groupId,
      topics: [topic],
      assigner: everything,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      listener: ears,
      maxBytesPerPartition: 600,
    });
    await h.until('it is assigned', () => ears.assignment !== null);
    let whilePaused = 0;
    let paused = false;
    ears.onRecords = () => {
      if (paused) whilePaused += 1;
      member.pause(own(topic, 0));
      paused = true;
    };
    member.seek(own(topic, 0), 0);
    let rounds = 0;
    while (ears.allRecords.length < 60) {
      const before = ears.allRecords.length;
      paused = false;
      member.resume(own(topic, 0));
      await h.until('one more batch comes', () => ears.allRecords.length > before);
      rounds += 1;
    }
    expect(whilePaused).toBe(0);
    expect(rounds).toBeGreaterThan(1);
    expect(values(ears.allRecords)).toEqual(numbers(0, 60));
  });

  prove('seek on a running partition repeats from there', async (h) => {
    const { topic, groupId } = await prepared(h, 1);
    await appendTo(h.log, own(topic, 0), numbers(0, 5));
    const ears = new GroupRecorder();
    const member = await join(h.log, groupId, [topic], ears, everything);
    await h.until('it is assigned', () => ears.assignment !== null);
    resumeAll([own(topic, 0)], member);
    await h.until('all is read', () => ears.allRecords.length >= 5);
    member.pause(own(topic, 0));
    member.seek(own(topic, 0), 3);
    member.resume(own(topic, 0));
    await h.until('the end is read again', () => ears.allRecords.length >= 7);
    await appendTo(h.log, own(topic, 0), ['5']);
    await h.until('and what comes later', () => ears.allRecords.length >= 8);
    expect(values(ears.allRecords)).toEqual(['0', '1', '2', '3', '4', '3', '4', '5']);
  });

  prove('a member sees only committed records', async (h) => {
    const { topic, groupId } = await prepared(h, 1);
    const transactionalId = h.unique('tx');
    const append = (value: string) => ({ ...own(topic, 0), key: Buffer.from('a key'), value: Buffer.from(value) });
    await h.leaveOpen({ transactionalId, appends: [append('aborted')] });
    const producer = await h.log.transactional({ transactionalId, transactionTimeoutMs: 10_000 });
    await producer.commit({ appends: [append('committed')] });
    const ears = new GroupRecorder();
    const member = await join(h.log, groupId, [topic], ears, everything);
    await h.until('it is assigned', () => ears.assignment !== null);
    resumeAll([own(topic, 0)], member);
    await h.until('the committed one is read', () => ears.allRecords.length >= 1);
    await producer.commit({ appends: [append('later')] });
    await h.until('the later one is read', () => ears.allRecords.length >= 2);
    expect(values(ears.allRecords)).toEqual(['committed', 'later']);
  });

  prove('heartbeats name the epoch and the time they were sent', async (h) => {
    const { topic, groupId } = await prepared(h, 1);
    const ears = new GroupRecorder();
    const startedMs = h.log.clock.nowMs();
    await join(h.log, groupId, [topic], ears, everything);
    await h.until('three heartbeats were accepted', () => ears.heartbeats.length >= 3);
    const times = ears.heartbeats.map((beat) => beat.atMs);
    expect(ears.heartbeats.every((beat) => beat.epoch === 1)).toBe(true);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times[0]).toBeGreaterThanOrEqual(startedMs);
    expect(times.at(-1)).toBeLessThanOrEqual(h.log.clock.nowMs());
    expect(ears.events[0]?.kind).toBe('assigned');
  });

  prove('a member that leaves hands over, and hears nothing more', async (h) => {
    const { topic, groupId } = await prepared(h, 2);
    const [leaver, stayer] = [new GroupRecorder(), new GroupRecorder()];
    const leaving = await join(h.log, groupId, [topic], leaver, modulo);
    const staying = await join(await h.connect(), groupId, [topic], stayer, modulo);
    await h.until('they share', () => leaver.assignment?.length === 1 && stayer.assignment?.length === 1);
    await leaving.close();
    const heard = leaver.events.length;
    await h.until('the other has all', () => stayer.assignment?.length === 2);
    resumeAll([own(topic, 0), own(topic, 1)], staying);
    for (const partition of [0, 1]) await appendTo(h.log, own(topic, partition), ['for the stayer']);
    await h.until('the stayer reads both', () => stayer.allRecords.length >= 2);
    expect(leaver.events).toHaveLength(heard);
    expect(leaver.crashes).toEqual([]);
  });

  prove(
    'a listener that throws does not kill the member: it is told, the batch stays unread, other partitions go on',
    async (h) => {
      const { topic, groupId } = await prepared(h, 2);
      const ears = new GroupRecorder();
      const member = await join(h.log, groupId, [topic], ears, everything);
      await h.until('it is assigned', () => ears.assignment !== null);
      ears.onRecords = (batch) => {
        if (batch.partition === 0) throw new TypeError('a listener must not throw, but this one does');
      };
      resumeAll([own(topic, 0), own(topic, 1)], member);
      await appendTo(h.log, own(topic, 0), ['poison']);
      await h.until('it has thrown', () => ears.recordsOf(own(topic, 0)).length >= 1);
      await appendTo(h.log, own(topic, 0), ['next']);
      await appendTo(h.log, own(topic, 1), ['elsewhere']);
      await h.until('the other partition goes on', () => ears.recordsOf(own(topic, 1)).length >= 1);
      const beats = ears.heartbeats.length;
      await h.until('it still beats', () => ears.heartbeats.length >= beats + 2);
      expect(values(ears.recordsOf(own(topic, 0)))).toEqual(['poison']);
      ears.onRecords = () => undefined;
      member.resume(own(topic, 0));
      await h.until('the batch comes again', () => values(ears.recordsOf(own(topic, 0))).includes('next'));
      expect(values(ears.recordsOf(own(topic, 0)))).toEqual(['poison', 'poison', 'next']);
      expect(ears.crashes).toMatchObject([{ code: 'log_fatal' }]);
      expect(ears.epoch).toBe(1);
    },
  );

  prove('groups are independent: each gets every record', async (h) => {
    const { topic } = await prepared(h, 1);
    const all = [new GroupRecorder(), new GroupRecorder()];
    for (const ears of all) {
      const member = await join(h.log, h.unique('group'), [topic], ears, everything);
      await h.until('it is assigned', () => ears.assignment !== null);
      resumeAll([own(topic, 0)], member);
    }
    await appendTo(h.log, own(topic, 0), ['for all']);
    await h.until('both have it', () => all.every((ears) => ears.allRecords.length >= 1));
    for (const ears of all) expect(values(ears.allRecords)).toEqual(['for all']);
  });

  prove('closing the log leaves the group and ends everything opened through it', async (h) => {
    const { topic, groupId } = await prepared(h, 1);
    const guest = await h.connect();
    const [gone, stayer] = [new GroupRecorder(), new GroupRecorder()];
    const member = await join(guest, groupId, [topic], gone, everything);
    await h.until('the guest is assigned', () => gone.assignment !== null);
    resumeAll([own(topic, 0)], member);
    const follow = new FollowRecorder(await guest.reader({ clientId: 'guest', topics: [topic] }), own(topic, 0));
    const producer = await guest.producer({ clientId: 'guest' });
    const transactional = await guest.transactional({ transactionalId: h.unique('tx'), transactionTimeoutMs: 10_000 });
    await guest.close();
    const heard = gone.events.length;
    const append = { topic, key: null, value: Buffer.from('too late') };
    await expect(producer.append([append])).rejects.toMatchObject({ code: 'shutting_down' });
    await expect(guest.producer({ clientId: 'too late' })).rejects.toMatchObject({ code: 'shutting_down' });
    await expect(transactional.commit({ appends: [append] })).rejects.toThrow();
    const staying = await join(h.log, groupId, [topic], stayer, everything);
    await h.until('the next member has all', () => stayer.assignment?.length === 1);
    resumeAll([own(topic, 0)], staying);
    await appendTo(h.log, own(topic, 0), ['after']);
    await h.until('it reads', () => stayer.allRecords.length >= 1);
    expect(values(stayer.allRecords)).toEqual(['after']);
    expect(gone.events).toHaveLength(heard);
    expect(follow.records).toEqual([]);
  });
}

async function prepared(h: LogHarness, partitions: number) {
  const topic = h.unique('group-topic');
  await h.log.admin.createTopics([{ name: topic, partitions, config: {} }]);
  return { topic, groupId: h.unique('group') };
}

async function join(log: Log, groupId: string, topics: readonly string[], listener: GroupRecorder, assigner: Assigner) {
  return log.group({ groupId, topics, assigner, sessionTimeoutMs: SESSION_TIMEOUT_MS, listener });
}

function resumeAll(partitions: readonly TopicPartition[], member: GroupMember): void {
  for (const partition of partitions) {
    member.seek(partition, 0);
    member.resume(partition);
  }
}

function numbers(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(from + index));
}

/** About 1,000 characters that look random and are the same in every run. */
function noise(seed: string): string {
  return Array.from({ length: 12 }, (_, index) =>
    createHash('sha512').update(`${seed} ${index}`).digest('base64'),
  ).join('');
}
