/** Owners with an input, on the in-memory log under a virtual clock: offsets (O6), the feed (I1, I2), leases (W4), epochs. */
import { expect, test } from 'vitest';
import type { LogRecord } from '../../../src/kafka/port.ts';
import {
  append,
  changes,
  type Joined,
  OwnerHouse,
  PARTITIONS,
  SETTINGS,
  untilAborted,
} from '../../support/owner-house.ts';

const INPUT = 'commands';
const WITH_INPUT = { inputTopic: INPUT } as const;

async function setUp() {
  const house = await OwnerHouse.build();
  await house.clock.run(house.log.admin.createTopics([{ name: INPUT, partitions: PARTITIONS, config: {} }]));
  const producer = await house.clock.run(house.log.producer({ clientId: 'producer' }));
  const send = (from: number, to: number) => {
    const values = Array.from({ length: to - from }, (_, index) => Buffer.from(String(from + index)));
    return house.clock.run(producer.append(values.map((value) => ({ topic: INPUT, partition: 0, key: null, value }))));
  };
  /** A worker that takes everything of partition 0 and finishes nothing by itself. */
  const join = async (name: string) => {
    const taken: LogRecord[] = [];
    const joined = await house.join(
      name,
      (owned) => {
        const take = () => taken.push(...(owned.input?.take(10) ?? []));
        if (owned.partition === 0) owned.input?.listen(take);
        return untilAborted(owned.signal);
      },
      WITH_INPUT,
    );
    return { joined, taken };
  };
  return { house, send, join };
}

const valuesOf = (records: readonly LogRecord[]) => records.map(({ value }) => Number(value));
const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);
const positionOf = (joined: Joined) => joined.owned(0).input?.position;

test('O6: the next owner begins where the last commit said, however far was taken', async () => {
  const { house, send, join } = await setUp();
  await send(0, 8);
  const first = await join('first');
  await house.clock.runUntil(() => first.taken.length === 8);
  const owned = first.joined.owned(0);
  await house.clock.run(owned.commit([append('no offset')], changes({ a: '1' })));
  await house.clock.run(owned.commit([append('five')], changes({ a: '2' }), 5));
  await house.clock.run(first.joined.worker.close());
  const second = await join('second');
  await house.clock.runUntil(() => second.taken.length === 3);
  expect(positionOf(second.joined)).toBe(5);
  expect(valuesOf(second.taken)).toEqual([5, 6, 7]);
  expect(house.crashes).toEqual([]);
});

test('I1: what was taken is not read again after a rebalance that leaves the partition where it is', async () => {
  const { house, send, join } = await setUp();
  const first = await join('first');
  await house.ready(first.joined);
  await send(0, 8);
  await house.clock.runUntil(() => first.taken.length === 8);
  const owned = first.joined.owned(0);
  const second = await join('second');
  await house.ready(first.joined, second.joined);
  await send(8, 12);
  await house.clock.runUntil(() => first.taken.at(-1)?.offset === 11);
  expect(first.joined.owned(0)).toBe(owned);
  expect(first.joined.partitions.length).toBeLessThan(PARTITIONS);
  expect(valuesOf(first.taken)).toEqual(upTo(12));
  expect(second.taken).toEqual([]);
});

test('I2: a taker that is slow has the reading paused, and gets everything all the same', async () => {
  const { house, send } = await setUp();
  const taken: LogRecord[] = [];
  const joined = await house.join(
    'slow',
    (owned) => {
      owned.input?.listen(() => undefined);
      return untilAborted(owned.signal);
    },
    WITH_INPUT,
  );
  await house.ready(joined);
  for (let sent = 0; sent < 5000; sent += 500) await send(sent, sent + 500);
  await house.clock.advance(1000);
  const { input } = joined.owned(0);
  for (let round = 0; taken.length < 5000 && round < 1000; round++) {
    taken.push(...(input?.take(50) ?? []));
    await house.clock.advance(5);
  }
  expect(valuesOf(taken)).toEqual(upTo(5000));
});

test('every owner has a greater epoch than those before it, in whatever process, compacted or not', async () => {
  const { house, join } = await setUp();
  const epochs: number[] = [];
  for (const name of ['one', 'two', 'three']) {
    const { joined } = await join(name);
    await house.ready(joined);
    epochs.push(joined.owned(0).epoch);
    await house.clock.run(joined.worker.close());
    house.log.compact('cursors');
  }
  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  expect(new Set(epochs).size).toBe(3);
});

test('W4: the lease follows the heartbeats, and lapses while they are not heard', async () => {
  const { house, join } = await setUp();
  const { joined } = await join('w');
  await house.ready(joined);
  await house.clock.advance(60_000);
  const owned = joined.owned(0);
  const left = () => owned.leaseUntilMs - house.clock.nowMs();
  expect(left()).toBeGreaterThan(SETTINGS.sessionTimeoutMs / 2);
  expect(left()).toBeLessThanOrEqual(SETTINGS.sessionTimeoutMs);
  joined.log.freeze();
  await house.clock.advance(SETTINGS.sessionTimeoutMs + 1);
  expect(left()).toBeLessThanOrEqual(0);
  joined.log.thaw();
  await house.clock.runUntil(() => left() > 0 || joined.owned(0).leaseUntilMs > house.clock.nowMs());
});

test('W4: a wall clock that is set back while no heartbeat is heard does not make the lease longer', async () => {
  const { house, join } = await setUp();
  const { joined } = await join('w');
  await house.ready(joined);
  const { clock } = house;
  const steadyMs = clock.nowMs.bind(clock);
  let backMs = 0;
  Object.assign(clock, { steadyMs, nowMs: () => steadyMs() - backMs });
  await clock.advance(5_000);
  const owned = joined.owned(0);
  const left = () => owned.leaseUntilMs - clock.nowMs();
  joined.log.freeze();
  await clock.advance(SETTINGS.sessionTimeoutMs - 1_000);
  expect(left()).toBeGreaterThan(0);
  expect(left()).toBeLessThanOrEqual(1_000);
  backMs = SETTINGS.sessionTimeoutMs - 3_000;
  expect(left()).toBeLessThanOrEqual(1_000);
  await clock.advance(1_000);
  expect(left()).toBeLessThanOrEqual(0);
  joined.log.thaw();
  await clock.runUntil(() => left() > 0);
});

test('an input that is not the twin of the owned topic is refused', async () => {
  const { house } = await setUp();
  await house.clock.run(house.log.admin.createTopics([{ name: 'odd', partitions: PARTITIONS + 1, config: {} }]));
  const joining = house.join('w', undefined, { inputTopic: 'odd' });
  await expect(joining).rejects.toMatchObject({ code: 'topic_invalid' });
});

test('I1: sought, records come once more from there on, each once; not before the position', async () => {
  const { house, send, join } = await setUp();
  await send(0, 8);
  const { joined, taken } = await join('first');
  await house.clock.runUntil(() => taken.length === 8);
  const { input } = joined.owned(0);
  input?.seek(5);
  await house.clock.runUntil(() => taken.length === 11);
  await send(8, 10);
  await house.clock.runUntil(() => taken.length === 13);
  expect(valuesOf(taken)).toEqual([...upTo(8), 5, 6, 7, 8, 9]);
  await house.clock.run(joined.owned(0).commit([append('six')], changes({ a: '1' }), 6));
  await house.clock.run(joined.worker.close());
  const second = await join('second');
  await house.clock.runUntil(() => second.taken.length === 4);
  second.joined.owned(0).input?.seek(0);
  await house.clock.runUntil(() => second.taken.length === 8);
  expect(valuesOf(second.taken)).toEqual([6, 7, 8, 9, 6, 7, 8, 9]);
  expect(house.crashes).toEqual([]);
});

test('I1: sought with records queued and the reading paused, nothing is left out', async () => {
  const { house, send } = await setUp();
  await send(0, 3000);
  const joined = await house.join('first', (owned) => untilAborted(owned.signal), WITH_INPUT);
  await house.ready(joined);
  const { input } = joined.owned(0);
  const taken: LogRecord[] = [];
  let wakes = 0;
  input?.listen(() => wakes++);
  await house.clock.runUntil(() => wakes > 0);
  taken.push(...(input?.take(10) ?? []));
  await house.clock.advance(1000);
  input?.seek(4);
  for (let rounds = 0; taken.length < 10 + 2996 && rounds < 1000; rounds++) {
    await house.clock.advance(10);
    taken.push(...(input?.take(100) ?? []));
  }
  expect(valuesOf(taken)).toEqual([...upTo(10), ...upTo(2996, 4)]);
});
