/** What only the in-memory log can do to its clients: the faults the session's tests are built on. */
import { describe, expect, it } from 'vitest';
import { createMemoryLog, type MemoryLog, VirtualClock } from '../../../../src/kafka/memory/index.ts';
import type { Append, GroupMember, TopicPartition } from '../../../../src/kafka/port.ts';
import { everything, modulo, own } from '../../../contract/group-support.ts';
import { FollowRecorder, GroupRecorder, values } from '../../../contract/recorders.ts';

const TOPIC = 'topic';
const ID = 'tx';
const GROUP = 'group';
const SESSION_MS = 10_000;

describe('commits with an unknown outcome', () => {
  it.each([
    { outcome: 'committed', read: ['unknown', 'next'], offset: 7 },
    { outcome: 'lost', read: ['next'], offset: null },
  ] as const)('$outcome: the next holder finds out which way it went', async ({ outcome, read, offset }) => {
    const { log, clock, follow } = await setUp();
    const first = await log.transactional({ transactionalId: ID, transactionTimeoutMs: 5_000 });
    log.faults.commitUnknown(outcome, ID);
    const offsets = { groupId: GROUP, offsets: [{ ...own(TOPIC, 0), offset: 7 }] };
    await expect(first.commit({ appends: [one('unknown')], offsets })).rejects.toMatchObject({
      code: 'commit_unknown',
    });
    await expect(first.commit({ appends: [one('spent')] })).rejects.toMatchObject({ code: 'log_unavailable' });
    const next = await log.transactional({ transactionalId: ID, transactionTimeoutMs: 5_000 });
    expect(await log.admin.committed(GROUP, [own(TOPIC, 0)])).toEqual([offset]);
    await next.commit({ appends: [one('next')] });
    expect((await settled(clock, follow())).values).toEqual(read);
  });

  it('a fault for one transactional.id leaves the others alone', async () => {
    const { log } = await setUp();
    log.faults.commitUnknown('lost', 'another');
    const producer = await log.transactional({ transactionalId: ID, transactionTimeoutMs: 5_000 });
    await producer.commit({ appends: [one('fine')] });
  });
});

describe('open transactions', () => {
  it('T5 one that outlives its timeout is aborted, frees what it held back, and its holder is a zombie', async () => {
    const { log, clock, follow } = await setUp();
    const slow = await log.transactional({ transactionalId: ID, transactionTimeoutMs: 5_000 });
    const held = log.faults.holdCommit(ID);
    const commit = slow.commit({ appends: [one('slow')] });
    await clock.runUntil(() => held.reached);
    await append(log, ['behind']);
    const ears = await settled(clock, follow());
    await clock.advance(4_999);
    expect(ears.values).toEqual([]);
    await clock.advance(1);
    expect(ears.values).toEqual(['behind']);
    held.release();
    await expect(commit).rejects.toMatchObject({ code: 'fenced' });
    await clock.settle();
    expect(ears.values).toEqual(['behind']);
  });

  it('a frozen process does not end its transaction until it is thawed, and not at all once fenced', async () => {
    const { log, clock, follow } = await setUp({ latencyMs: 5 });
    const victim = log.connect();
    const producer = await clock.run(victim.transactional({ transactionalId: ID, transactionTimeoutMs: 60_000 }));
    const commit = producer.commit({ appends: [one('zombie')] });
    await clock.advance(7);
    victim.freeze();
    await clock.advance(1_000);
    await clock.run(log.transactional({ transactionalId: ID, transactionTimeoutMs: 60_000 }));
    victim.thaw();
    await expect(clock.run(commit)).rejects.toMatchObject({ code: 'fenced' });
    await clock.run(append(log, ['witness']));
    expect((await settled(clock, follow())).values).toEqual(['witness']);
  });

  it('a killed process ends nothing', async () => {
    const { log, clock, follow } = await setUp({ latencyMs: 5 });
    const victim = log.connect();
    const producer = await clock.run(victim.transactional({ transactionalId: ID, transactionTimeoutMs: 60_000 }));
    let answered = false;
    void producer.commit({ appends: [one('killed')] }).finally(() => {
      answered = true;
    });
    await clock.advance(7);
    victim.kill();
    await clock.run(append(log, ['behind']));
    const ears = await settled(clock, follow());
    await clock.advance(59_000);
    expect(ears.values).toEqual([]);
    await clock.advance(1_000);
    expect(ears.values).toEqual(['behind']);
    expect(answered).toBe(false);
  });
});

describe('a broker that does not answer', () => {
  it('unavailable operations fail once each, and have done nothing', async () => {
    const { log, clock, follow } = await setUp();
    const plain = await log.producer({ clientId: 'plain' });
    const transactional = await log.transactional({ transactionalId: ID, transactionTimeoutMs: 5_000 });
    log.faults.unavailable('append', 2);
    log.faults.unavailable('commit');
    log.faults.unavailable('open');
    log.faults.unavailable('admin');
    const unavailable = { code: 'log_unavailable' };
    await expect(plain.append([one('lost')])).rejects.toMatchObject(unavailable);
    await expect(plain.append([one('lost')])).rejects.toMatchObject(unavailable);
    await plain.append([one('plain')]);
    await expect(transactional.commit({ appends: [one('lost')] })).rejects.toMatchObject(unavailable);
    await expect(log.transactional({ transactionalId: ID, transactionTimeoutMs: 1 })).rejects.toMatchObject(
      unavailable,
    );
    await expect(log.admin.describeTopics()).rejects.toMatchObject(unavailable);
    const again = await log.transactional({ transactionalId: ID, transactionTimeoutMs: 5_000 });
    await again.commit({ appends: [one('transactional')] });
    expect((await settled(clock, follow())).values).toEqual(['plain', 'transactional']);
  });

  it('while it is down everything rejects, nothing is delivered, nobody is evicted; then all goes on', async () => {
    const { log, clock, ears, member } = await setUpMember();
    await append(log, ['before']);
    await clock.runUntil(() => ears.allRecords.length === 1);
    const plain = await log.producer({ clientId: 'plain' });
    await append(log, ['at the last moment']);
    log.faults.down();
    const beats = ears.heartbeats.length;
    await clock.advance(10 * SESSION_MS);
    await expect(plain.append([one('lost')])).rejects.toMatchObject({ code: 'log_unavailable' });
    expect(ears.heartbeats).toHaveLength(beats);
    log.faults.up();
    await append(log, ['after']);
    await clock.runUntil(() => ears.allRecords.length === 3 && ears.heartbeats.length > beats);
    expect(values(ears.allRecords)).toEqual(['before', 'at the last moment', 'after']);
    expect(ears.epoch).toBe(1);
    await member.close();
  });

  it('a commit whose end meets a broker going down is unknown, and was not made', async () => {
    const { log, clock, follow } = await setUp({ latencyMs: 5 });
    const producer = await clock.run(log.transactional({ transactionalId: ID, transactionTimeoutMs: 60_000 }));
    const commit = producer.commit({ appends: [one('unknown')] });
    await clock.advance(7);
    log.faults.down();
    await expect(clock.run(commit)).rejects.toMatchObject({ code: 'commit_unknown' });
    log.faults.up();
    const next = await clock.run(log.transactional({ transactionalId: ID, transactionTimeoutMs: 60_000 }));
    await clock.run(next.commit({ appends: [one('next')] }));
    expect((await settled(clock, follow())).values).toEqual(['next']);
  });
});

describe('members that stop', () => {
  it('M3 a frozen member is evicted; thawed, it is a zombie until its heartbeat says so, then joins anew', async () => {
    const { log, clock, ears, member } = await setUpMember();
    const other = new GroupRecorder();
    await log.connect().group({ ...groupOptions, assigner: modulo, listener: other });
    await clock.runUntil(() => ears.assignment?.length === 1 && other.assignment?.length === 1);
    const [mine] = ears.events.findLast((event) => event.kind === 'assigned')?.partitions ?? [];
    member.resume(mine as TopicPartition);
    await append(log, ['first'], mine);
    await clock.runUntil(() => ears.allRecords.length === 1);

    log.freeze(member);
    const heard = ears.events.length;
    await append(log, ['while frozen'], mine);
    await clock.runUntil(() => other.assignment?.length === 2);
    expect(ears.events).toHaveLength(heard);

    log.thaw(member);
    await clock.runUntil(() => ears.assignment?.length === 1);
    expect(ears.events.slice(heard).map((event) => event.kind)).toEqual(
      expect.arrayContaining(['records', 'rebalancing', 'assigned']),
    );
    expect(ears.events[heard]?.kind).toBe('records');
    expect(ears.events[heard + 1]).toMatchObject({ kind: 'rebalancing', epoch: 2 });
    expect(ears.events[heard + 2]).toMatchObject({ kind: 'assigned', epoch: 3 });
    await clock.runUntil(() => other.assignment?.length === 1);
  });

  it('M1 G4 a rebalance held up by a frozen member: those who wait hear nothing and are not evicted', async () => {
    const { log, clock, ears, member } = await setUpMember();
    const [slow, late] = [new GroupRecorder(), new GroupRecorder()];
    const long = { ...groupOptions, assigner: modulo, sessionTimeoutMs: 6 * SESSION_MS };
    const frozen = log.connect();
    await frozen.group({ ...long, listener: slow });
    await clock.runUntil(() => ears.assignment?.length === 1 && slow.assignment?.length === 1);
    for (const partition of [0, 1]) member.resume(own(TOPIC, partition));
    for (const partition of [0, 1]) await append(log, ['before'], own(TOPIC, partition));
    frozen.freeze();
    await log.connect().group({ ...groupOptions, assigner: modulo, listener: late });
    await clock.runUntil(() => ears.events.at(-1)?.kind === 'rebalancing');
    const heard = ears.events.length;
    for (const partition of [0, 1]) await append(log, ['meanwhile'], own(TOPIC, partition));
    await clock.advance(4 * SESSION_MS);
    expect(ears.events).toHaveLength(heard);
    expect(late.events).toEqual([]);
    await clock.runUntil(() => ears.assignment?.length === 1 && late.assignment?.length === 1);
    expect([ears.epoch, late.epoch]).toEqual([3, 1]);
  });

  it('a freeze shorter than the session costs nothing', async () => {
    const { log, clock, ears, member } = await setUpMember();
    log.freeze(member);
    await append(log, ['while frozen']);
    await clock.advance(SESSION_MS - 1_000);
    expect(ears.allRecords).toEqual([]);
    log.thaw(member);
    await clock.advance(SESSION_MS);
    expect(values(ears.allRecords)).toEqual(['while frozen']);
    expect(ears.epoch).toBe(1);
    expect(ears.events.some((event) => event.kind === 'rebalancing')).toBe(false);
  });

  it('G4 a killed member is evicted after its session timeout, not before, and hears nothing more', async () => {
    const { log, clock, ears } = await setUpMember();
    const other = new GroupRecorder();
    const killedAtMs = clock.nowMs();
    log.kill();
    const heard = ears.events.length;
    const survivor = log.connect();
    await survivor.group({ ...groupOptions, listener: other });
    await clock.advance(SESSION_MS - 1_000);
    expect(other.assignment).toBeNull();
    await clock.runUntil(() => other.assignment?.length === 2);
    expect(clock.nowMs() - killedAtMs).toBeLessThanOrEqual(SESSION_MS);
    expect(ears.events).toHaveLength(heard);
  });

  it('an assigner that throws takes its own member down and no other', async () => {
    const { log, clock, ears } = await setUpMember();
    const other = new GroupRecorder();
    let calls = 0;
    const faulty = new GroupRecorder();
    await log.connect().group({
      ...groupOptions,
      groupId: 'faulty',
      assigner: () => {
        calls += 1;
        throw new TypeError('a mistake');
      },
      listener: faulty,
    });
    await clock.runUntil(() => faulty.crashes.length === 1);
    await log.connect().group({ ...groupOptions, groupId: 'faulty', listener: other });
    await clock.runUntil(() => other.assignment?.length === 2);
    expect(calls).toBe(1);
    expect(ears.crashes).toEqual([]);
  });

  it('a listener that throws outside of records ends its member', async () => {
    const { log, clock } = await setUp();
    const [faulty, other] = [new GroupRecorder(), new GroupRecorder()];
    faulty.onAssigned = () => {
      throw new TypeError('a mistake');
    };
    await log.group({ ...groupOptions, listener: faulty });
    await clock.runUntil(() => faulty.crashes.length === 1);
    expect(faulty.crashes).toMatchObject([{ code: 'log_fatal' }]);
    await log.group({ ...groupOptions, listener: other });
    await clock.runUntil(() => other.assignment?.length === 2);
    expect(faulty.events.filter((event) => event.kind === 'assigned')).toHaveLength(1);
  });
});

describe('misuse that a real broker would punish later', () => {
  it('a second append or commit before the first has settled is refused', async () => {
    const { log } = await setUp();
    const plain = await log.producer({ clientId: 'plain' });
    const running = plain.append([one('first')]);
    await expect(plain.append([one('second')])).rejects.toThrow('before it settled');
    await running;
    const transactional = await log.transactional({ transactionalId: ID, transactionTimeoutMs: 5_000 });
    const commit = transactional.commit({ appends: [one('third')] });
    await expect(transactional.commit({ appends: [one('fourth')] })).rejects.toThrow('before it settled');
    await commit;
  });

  it('a key of exactly four bytes is refused, and nothing of its request is written', async () => {
    const { log } = await setUp();
    const plain = await log.producer({ clientId: 'plain' });
    const bad = { topic: TOPIC, key: Buffer.alloc(4), value: null };
    await expect(plain.append([one('good'), bad])).rejects.toThrow(RangeError);
    expect(await log.admin.watermarks(own(TOPIC, 0))).toEqual({ low: 0, high: 0 });
  });

  it('an unknown topic or partition is refused, and nothing of its request is written', async () => {
    const { log } = await setUp();
    const plain = await log.producer({ clientId: 'plain' });
    for (const bad of [
      { ...one('x'), topic: 'missing' },
      { ...one('x'), partition: 9 },
    ]) {
      await expect(plain.append([one('good'), bad])).rejects.toMatchObject({ code: 'topic_invalid' });
    }
    expect(await log.admin.watermarks(own(TOPIC, 0))).toEqual({ low: 0, high: 0 });
  });
});

it('R2 a delivery already scheduled does not survive a stop', async () => {
  const { log, clock } = await setUp();
  await append(log, ['stock']);
  const reader = await log.reader({ clientId: 'reader', topics: [TOPIC] });
  const ears = new FollowRecorder(reader, own(TOPIC, 0));
  const stopped = ears.follow.stop();
  await clock.settle();
  await stopped;
  expect(ears.records).toEqual([]);
});

it('R3 a position beyond the end is moved to the log start, as KafkaJS does', async () => {
  const { log, clock } = await setUp();
  await append(log, ['0', '1', '2']);
  log.deleteRecordsBefore(own(TOPIC, 0), 1);
  const reader = await log.reader({ clientId: 'reader', topics: [TOPIC] });
  const ears = new FollowRecorder(reader, own(TOPIC, 0), 99);
  await clock.settle();
  expect(ears.values).toEqual(['1', '2']);
});

it('the same calls give the same order of events, to the millisecond', async () => {
  const trace = async () => {
    const { log, clock, ears, member } = await setUpMember({ latencyMs: 3 });
    const other = new GroupRecorder();
    const stop = clock.run(log.connect().group({ ...groupOptions, assigner: modulo, listener: other }));
    await clock.run(append(log, ['a', 'b']));
    await stop;
    log.freeze(member);
    await clock.advance(2 * SESSION_MS);
    log.thaw(member);
    await clock.run(append(log, ['c']));
    await clock.advance(SESSION_MS);
    return JSON.stringify([clock.nowMs(), ears.events, other.events]);
  };
  expect(await trace()).toBe(await trace());
});

const groupOptions = { groupId: GROUP, topics: [TOPIC], assigner: everything, sessionTimeoutMs: SESSION_MS };

async function setUp({ latencyMs = 0 }: { readonly latencyMs?: number } = {}) {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock, latencyMs: () => latencyMs });
  await clock.run(log.admin.createTopics([{ name: TOPIC, partitions: 2, config: {} }]));
  const follow = async () => {
    const reader = await log.reader({ clientId: 'reader', topics: [TOPIC] });
    return new FollowRecorder(reader, own(TOPIC, 0));
  };
  return { clock, log, follow };
}

/** A single member with both partitions, reading partition 0. */
async function setUpMember(options: { readonly latencyMs?: number } = {}) {
  const { clock, log } = await setUp(options);
  const ears = new GroupRecorder();
  const member: GroupMember = await clock.run(log.group({ ...groupOptions, assigner: modulo, listener: ears }));
  await clock.runUntil(() => ears.assignment?.length === 2);
  member.resume(own(TOPIC, 0));
  return { clock, log, ears, member };
}

function one(value: string): Append {
  return { ...own(TOPIC, 0), key: Buffer.from('a key'), value: Buffer.from(value) };
}

/** The follow, once it has heard all there is to hear now. */
async function settled(clock: VirtualClock, opening: Promise<FollowRecorder>): Promise<FollowRecorder> {
  const ears = await clock.run(opening);
  await clock.settle();
  return ears;
}

async function append(log: MemoryLog, texts: readonly string[], at: TopicPartition = own(TOPIC, 0)): Promise<void> {
  const producer = await log.connect().producer({ clientId: 'plain' });
  await producer.append(texts.map((value) => ({ ...one(value), ...at })));
}
