/** The owner worker over the in-memory log under a virtual clock: ownerships (O1–O5), runners (N1–N3), workers (W1–W3). */
import { describe, expect, test } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import { type OwnedPartition, OwnerWorker, type OwnerWorkerOptions } from '../../../src/kafka/owner-worker.ts';
import type { Log } from '../../../src/kafka/port.ts';
import { BARRIER_KEY } from '../../../src/kafka/restore.ts';
import { append, changes, OwnerHouse, PARTITIONS, SETTINGS, stateOf, untilAborted } from '../../support/owner-house.ts';

/** The rejection of a promise, at once handled. */
const rejection = (promise: Promise<unknown>) => promise.then(() => expect.fail('resolved'), (error: unknown) => error); // biome-ignore format: one line

describe('state', () => {
  test('O3: what one owner committed, and nothing else, is what the next one reads', async () => {
    const house = await OwnerHouse.build();
    const first = await house.join('first');
    await house.ready(first);
    const owned = first.owned(2);
    const committing = owned.commit([append('page 1')], changes({ a: '1', b: '1' }));
    expect(owned.get('a')).toBeUndefined();
    await house.clock.run(committing);
    await house.clock.run(owned.commit([], changes({ b: null, c: '2' })));
    expect(stateOf(owned)).toEqual(['a=1', 'c=2']);
    expect(first.worker.health.partitions.find(({ partition }) => partition === 2)).toMatchObject({
      phase: 'running',
      keys: 2,
      reopened: 0,
      lastError: null,
      lastCommitAtMs: house.clock.nowMs(),
    });
    await house.clock.run(first.worker.close());
    house.log.compact('cursors');
    const second = await house.join('second');
    await house.ready(second);
    expect(stateOf(second.owned(2))).toEqual(['a=1', 'c=2']);
    expect(stateOf(second.owned(1))).toEqual([]);
    expect(await house.read('out')).toEqual(['=page 1']);
    expect(house.crashes).toEqual([]);
  });

  test('O2: compaction leaves one barrier per partition', async () => {
    const house = await OwnerHouse.build();
    for (const name of ['one', 'two', 'three']) {
      const joined = await house.join(name);
      await house.ready(joined);
      await house.clock.run(joined.worker.close());
    }
    house.log.compact('cursors');
    const barriers = (await house.read('cursors')).filter((record) => record.startsWith(BARRIER_KEY));
    expect(barriers).toHaveLength(PARTITIONS);
  });

  test('a key is in the partition the log would choose, and the owner says which', async () => {
    const house = await OwnerHouse.build();
    const { worker, owned } = await house.join('w').then(async (joined) => {
      await house.ready(joined);
      return { worker: joined.worker, owned: joined.owned(0) };
    });
    const producer = await house.clock.run(house.log.producer({ clientId: 'p' }));
    const keys = ['t/a', 't/b', 't/c', 't/d', 't/e'];
    await house.clock.run(
      producer.append(keys.map((key) => ({ topic: 'out', key: Buffer.from(key), value: Buffer.from('v') }))),
    );
    const reader = await house.clock.run(house.log.reader({ clientId: 'r', topics: ['out'] }));
    const placed = new Map<string, number>();
    for (let partition = 0; partition < PARTITIONS; partition++) {
      reader.follow({
        topic: 'out',
        partition,
        fromOffset: 0,
        failed: (error) => expect.fail(String(error)),
        records: ({ records }) => records.forEach(({ key }) => void placed.set(String(key), partition)),
      });
    }
    await house.clock.runUntil(() => placed.size === keys.length);
    expect(keys.map((key) => worker.partitionOf(key))).toEqual(keys.map((key) => placed.get(key)));
    expect(keys.map((key) => owned.partitionOf(key))).toEqual(keys.map((key) => placed.get(key)));
  });

  test('a change that would pass the bound is not sent; the partition stops, and still opens', async () => {
    const house = await OwnerHouse.build();
    const slow = ({ signal }: OwnedPartition) => untilAborted(signal).then(() => house.clock.sleep(100));
    const first = await house.join('first', slow, { stateMaxBytes: 2000 });
    await house.ready(first);
    await house.clock.run(first.owned(0).commit([], changes({ a: 'x'.repeat(1000) })));
    const refused = rejection(first.owned(0).commit([append('never')], changes({ b: 'y'.repeat(1000) })));
    const behind = rejection(first.owned(0).commit([append('nor this')], changes({})));
    expect(await house.clock.run(refused)).toMatchObject({ code: 'state_full', disposition: 'fatal' });
    expect(await house.clock.run(behind)).toMatchObject({ code: 'fenced' }); // O4
    await house.clock.advance(5000);
    expect(house.failures).toEqual(['first/0 state_full stop']);
    expect(first.worker.health.ready).toBe(false);
    await house.clock.run(first.worker.close());
    const second = await house.join('second', undefined, { stateMaxBytes: 1000 });
    await house.ready(second);
    await house.clock.run(second.owned(0).commit([], changes({ a: 'x'.repeat(900) }))); // still above, but less
    await house.clock.run(second.owned(0).commit([], changes({ a: null })));
    expect(await house.read('out')).toEqual([]);
    const third = await house.join('third', undefined, { stateMaxBytes: 100 });
    await house.ready(third, second);
    expect(house.failures).toEqual(['first/0 state_full stop']);
  });

  test('a restore of far more than the bound ends before memory does', async () => {
    const house = await OwnerHouse.build();
    const first = await house.join('first');
    await house.ready(first);
    await house.clock.run(first.owned(3).commit([], changes({ a: 'x'.repeat(5000) })));
    await house.clock.run(first.worker.close());
    const second = await house.join('second', undefined, { stateMaxBytes: 1000 });
    await house.clock.advance(5000);
    expect(house.failures).toEqual(['second/3 state_full stop']);
    expect(second.served.has(3)).toBe(false);
    expect(house.crashes).toEqual([]);
  });
});

describe('commits', () => {
  test('O4: they are made one at a time in the order of the calls, of what was given at the call', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w');
    await house.ready(joined);
    const owned = joined.owned(0);
    const reused = new Map([['n', Buffer.from('0')]]);
    const all = Array.from({ length: 5 }, (_, i) => {
      reused.set('n', Buffer.from(`${i}`));
      return owned.commit([append(`${i}`)], reused);
    });
    reused.set('n', Buffer.from('changed later'));
    await house.clock.run(Promise.all(all));
    expect(await house.read('out')).toEqual(['=0', '=1', '=2', '=3', '=4']);
    expect(stateOf(owned)).toEqual(['n=4']);
  });

  test('O4: what waits behind a failed one is refused unsent, and nothing is committed ever after', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w');
    await house.ready(joined);
    const owned = joined.owned(0);
    house.log.faults.unavailable('commit');
    const outcomes = ['a', 'b'].map((value) => rejection(owned.commit([append(value)], changes({ key: value }))));
    expect((await house.clock.run(Promise.all(outcomes))).map((error) => (error as CodedError).code)).toEqual([
      'log_unavailable',
      'fenced',
    ]);
    expect(owned.signal.aborted).toBe(true);
    expect(owned.get('key')).toBeUndefined();
    await house.ready(joined);
    expect(await house.clock.run(rejection(owned.commit([append('c')], changes({}))))).toMatchObject({
      code: 'fenced',
    });
    expect(joined.served.get(0)).toHaveLength(2);
    await house.clock.run(joined.owned(0).commit([append('d')], changes({})));
    expect(await house.read('out')).toEqual(['=d']);
    expect(house.failures).toEqual(['w/0 log_unavailable reopen']); // the cause, not what it led to
  });

  test('a full queue refuses, does nothing and ends nothing', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w');
    await house.ready(joined);
    const owned = joined.owned(0);
    const held = house.log.faults.holdCommit();
    const queued = Array.from({ length: 1000 }, () => owned.commit([], changes({ key: 'v' })));
    expect(await rejection(owned.commit([append('one too many')], changes({})))).toMatchObject({ code: 'queue_full' });
    held.release();
    await house.clock.run(Promise.all(queued));
    await house.clock.run(owned.commit([append('room again')], changes({})));
    expect(await house.read('out')).toEqual(['=room again']);
    expect(house.failures).toEqual([]);
  });

  test.each([
    ['committed', ['n=2'], ['=1', '=2']],
    ['lost', ['n=1'], ['=1']],
  ] as const)('an unknown outcome that was %s is found out by the next serve', async (outcome, state, out) => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w');
    await house.ready(joined);
    const owned = joined.owned(1);
    await house.clock.run(owned.commit([append('1')], changes({ n: '1' })));
    house.log.faults.commitUnknown(outcome, 'g-cursors-1');
    const unknown = rejection(owned.commit([append('2')], changes({ n: '2' })));
    expect(await house.clock.run(unknown)).toMatchObject({ code: 'commit_unknown' });
    expect(String(owned.get('n'))).toBe('1');
    await house.ready(joined);
    expect(stateOf(joined.owned(1))).toEqual(state);
    expect(await house.read('out')).toEqual(out);
    expect(house.failures).toEqual(['w/1 commit_unknown reopen']);
    expect(joined.served.get(0)).toHaveLength(1); // the others noticed nothing
  });

  test('the key of the barrier is nobody else’s', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w');
    await house.ready(joined);
    await house.clock.run(rejection(joined.owned(0).commit([append('x')], changes({ [BARRIER_KEY]: 'mine' }))));
    await house.clock.advance(1000);
    expect(house.crashes).toEqual([expect.any(TypeError)]);
    expect(await house.read('out')).toEqual([]);
  });
});

describe('changes of owner', () => {
  test('W1, W2: a partition kept runs on undisturbed, one lost is let go, one that comes back is owned anew', async () => {
    const house = await OwnerHouse.build();
    const first = await house.join('first');
    await house.ready(first);
    const before = new Map([0, 1, 2, 3].map((partition) => [partition, first.owned(partition)]));
    const second = await house.join('second');
    await house.ready(first, second);
    expect([first.partitions.length, second.partitions.length]).toEqual([2, 2]);
    for (const [partition, owned] of before) {
      const kept = first.partitions.includes(partition);
      expect(owned.signal.aborted).toBe(!kept);
      if (kept) await house.clock.run(owned.commit([], changes({ writer: 'first' })));
      else {
        await house.clock.run(second.owned(partition).commit([], changes({ writer: 'second' })));
        const late = await house.clock.run(rejection(owned.commit([append('late')], changes({ writer: 'the past' }))));
        expect(late).toMatchObject({ code: 'fenced' });
      }
    }
    await house.clock.run(second.worker.close());
    await house.ready(first);
    for (const [partition, owned] of before) {
      const kept = first.served.get(partition)?.length === 1;
      expect(owned.signal.aborted).toBe(!kept);
      expect(stateOf(first.owned(partition))).toEqual([kept ? 'writer=first' : 'writer=second']);
    }
    expect([...first.served.values()].map((served) => served.length).sort()).toEqual([1, 1, 2, 2]);
    expect(await house.read('out')).toEqual([]);
    expect(house.failures).toEqual([]);
  });

  test('W2, N1: a partition that comes back before its serve has settled waits for it', async () => {
    const house = await OwnerHouse.build();
    const serving = new Map<number, number>();
    const first = await house.join('first', async ({ partition, signal }) => {
      serving.set(partition, (serving.get(partition) ?? 0) + 1);
      expect(serving.get(partition)).toBe(1);
      await untilAborted(signal);
      await house.clock.sleep(3900);
      serving.set(partition, 0);
    });
    await house.ready(first);
    const second = await house.join('second');
    await house.ready(first, second);
    await house.clock.run(second.worker.close());
    await house.clock.runUntil(() => first.partitions.length === PARTITIONS);
    expect([...serving.values()]).toEqual([1, 1, 1, 1]);
    expect(first.worker.health.ready).toBe(false);
    await house.ready(first);
    expect([...first.served.values()].map((served) => served.length).sort()).toEqual([1, 1, 2, 2]);
    expect(house.crashes).toEqual([]);
  });

  test('O1, L1: a frozen owner is fenced, its commit is refused, and it does not throw out the new owner', async () => {
    const house = await OwnerHouse.build();
    const zombie = await house.join('zombie');
    await house.ready(zombie);
    const stale = zombie.owned(0);
    await house.clock.run(stale.commit([append('1')], changes({ n: '1' })));
    const held = house.log.faults.holdCommit('g-cursors-0');
    const open = rejection(stale.commit([append('in flight')], changes({ n: 'in flight' })));
    await house.clock.runUntil(() => held.reached);
    zombie.log.freeze();
    held.release();
    const heir = await house.join('heir');
    await house.ready(heir);
    expect(stateOf(heir.owned(0))).toEqual(['n=1']);
    await house.clock.run(heir.owned(0).commit([append('2')], changes({ n: '2' })));
    const rightful = [0, 1, 2, 3].map((partition) => heir.owned(partition));
    zombie.log.thaw();
    expect(await house.clock.run(open)).toMatchObject({ code: 'fenced' });
    expect(stale.signal.aborted).toBe(true);
    expect(stateOf(stale)).not.toContain('n=in flight');
    await house.ready(heir, zombie);
    expect(zombie.partitions).toHaveLength(2);
    for (const owned of rightful) expect(owned.signal.aborted).toBe(!heir.partitions.includes(owned.partition));
    const now = heir.partitions.includes(0) ? heir : zombie;
    expect(stateOf(now.owned(0))).toEqual(['n=2']);
    expect(await house.read('out')).toEqual(['=1', '=2']);
    expect(house.failures.filter((failure) => failure.startsWith('heir'))).toEqual([]);
    expect(house.crashes).toEqual([]);
  });

  test('a crash with a transaction open leaves nothing of it', async () => {
    const house = await OwnerHouse.build();
    const first = await house.join('first');
    await house.ready(first);
    const held = house.log.faults.holdCommit();
    rejection(first.owned(0).commit([append('half')], changes({ n: 'half' })));
    await house.clock.runUntil(() => held.reached);
    first.log.kill();
    const second = await house.join('second');
    await house.ready(second);
    expect(stateOf(second.owned(0))).toEqual([]);
    await house.clock.run(second.owned(0).commit([append('whole')], changes({ n: 'whole' })));
    expect(await house.read('out')).toEqual(['=whole']);
  });

  test('a broker that goes away and comes back costs nothing but time', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w');
    await house.ready(joined);
    house.log.faults.down();
    const refused = house.clock.run(rejection(joined.owned(0).commit([append('lost')], changes({ n: 'lost' }))));
    expect(await refused).toMatchObject({ code: 'log_unavailable' });
    await house.clock.advance(30_000);
    expect(joined.worker.health.ready).toBe(false);
    house.log.faults.up();
    await house.ready(joined);
    await house.clock.run(joined.owned(0).commit([append('kept')], changes({ n: 'kept' })));
    expect(await house.read('out')).toEqual(['=kept']);
    expect(house.crashes).toEqual([]);
  });

  test('O5: on a close each serve may still write down what it has done; then everything is let go', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w', async (owned) => {
      await untilAborted(owned.signal);
      await house.clock.sleep(1500);
      await owned.commit([append(`last words of ${owned.partition}`)], changes({}));
    });
    await house.ready(joined);
    await house.clock.run(joined.worker.close());
    expect(house.clock.pendingTimers).toBe(0);
    expect((await house.read('out')).toSorted()).toEqual([0, 1, 2, 3].map((p) => `=last words of ${p}`));
    expect(await rejection(joined.owned(0).commit([], changes({})))).toMatchObject({ code: 'fenced' });
    expect([house.failures, house.crashes]).toEqual([[], []]);
  });
});

describe('serve', () => {
  test('N1: one that rejects is called again after a backoff, on committed state, never beside itself', async () => {
    const house = await OwnerHouse.build();
    let running = 0;
    const startedAtMs: number[] = [];
    const joined = await house.join('w', async (owned) => {
      if (owned.partition !== 0) return untilAborted(owned.signal);
      expect(++running).toBe(1);
      startedAtMs.push(house.clock.nowMs());
      try {
        if (startedAtMs.length === 3) {
          await owned.commit([], changes({ at: 'third' }));
        }
        if (startedAtMs.length === 5) {
          expect(String(owned.get('at'))).toBe('third');
          return await untilAborted(owned.signal);
        }
        await house.clock.sleep(10);
        throw new CodedError('kustomer_unanswered', 'no answer');
      } finally {
        running--;
      }
    });
    await house.clock.runUntil(() => startedAtMs.length === 5);
    await house.ready(joined);
    expect(house.failures).toEqual(Array.from({ length: 4 }, () => 'w/0 kustomer_unanswered reopen'));
    const gaps = startedAtMs.slice(1).map((atMs, i) => atMs - (startedAtMs[i] as number));
    expect(gaps[1]).toBeGreaterThan(gaps[0] as number);
    expect(gaps[2]).toBeLessThan(gaps[1] as number); // L4: it had committed
    expect(joined.worker.health.partitions.find(({ partition }) => partition === 0)).toMatchObject({
      reopened: 4,
      lastError: 'kustomer_unanswered: no answer',
    });
    expect([...joined.served.values()].map((served) => served.length).sort()).toEqual([1, 1, 1, 5]);
    expect(house.crashes).toEqual([]);
  });

  test('L2: a fatal rejection stops this partition, loudly, and no other', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w', async ({ partition, signal }) => {
      if (partition === 1) throw new CodedError('secret_unreadable', 'wrong key');
      await untilAborted(signal);
    });
    await house.clock.advance(60_000);
    expect(house.failures).toEqual(['w/1 secret_unreadable stop']);
    expect(joined.worker.health.ready).toBe(false);
    const phases = joined.worker.health.partitions.map(({ partition, phase }) => `${partition} ${phase}`).sort();
    expect(phases).toEqual(['0 running', '1 failed', '2 running', '3 running']);
    await house.clock.run(joined.owned(0).commit([append('on')], changes({})));
    await house.clock.run(joined.worker.close());
  });

  test.each([
    ['rejects with something that is no CodedError', () => Promise.reject(new RangeError('a bug')), RangeError],
    ['throws', () => { throw new RangeError('a bug'); }, RangeError], // biome-ignore format: one line
    ['returns while the partition is owned', () => Promise.resolve(), TypeError],
  ])('N3: one that %s is a crash and not called again', async (_what, serve, kind) => {
    const house = await OwnerHouse.build();
    let calls = 0;
    const broken: OwnerWorkerOptions['serve'] = ({ partition, signal }) => {
      if (partition !== 2) return untilAborted(signal);
      calls++;
      return serve();
    };
    const joined = await house.join('w', broken);
    await house.clock.advance(60_000);
    expect(calls).toBe(1);
    expect(house.crashes).toEqual([expect.any(kind)]);
    expect(joined.worker.health.ready).toBe(false);
    expect(joined.worker.health.partitions.find(({ partition }) => partition === 2)).toMatchObject({
      phase: 'failed',
      lastError: String(house.crashes[0]),
    });
    expect(house.failures).toEqual([]);
  });

  test('N3: one that goes on after its signal is a crash, and can commit nothing any more', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w', ({ signal, partition }) =>
      partition === 0 ? new Promise(() => undefined) : untilAborted(signal),
    );
    await house.ready(joined);
    const closing = joined.worker.close();
    await house.clock.advance(7_900);
    expect(house.crashes).toEqual([]);
    await house.clock.run(closing);
    expect(house.crashes).toEqual([expect.objectContaining({ message: expect.stringContaining('goes on after') })]);
    const late = rejection(joined.owned(0).commit([append('late')], changes({})));
    expect(await house.clock.run(late)).toMatchObject({ code: 'fenced' });
  });

  test('N3: a commit that the log is slow to answer is not held against the serve that waits for it', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w', async (owned) => {
      await untilAborted(owned.signal);
      if (owned.partition === 0) await owned.commit([append('slow')], changes({}));
    });
    await house.ready(joined);
    const held = house.log.faults.holdCommit();
    const closing = joined.worker.close();
    await house.clock.advance(12_000);
    held.release();
    await house.clock.run(closing);
    expect(house.crashes).toEqual([]);
    expect(await house.read('out')).toEqual(['=slow']);
  });

  test('a commit nobody waits for holds up a close until it is answered', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w');
    await house.ready(joined);
    const held = house.log.faults.holdCommit();
    const committing = joined.owned(0).commit([append('in flight')], changes({}));
    let isClosed = false;
    const closing = joined.worker.close().then(() => (isClosed = true));
    await house.clock.advance(3000);
    expect(isClosed).toBe(false);
    held.release();
    await house.clock.run(Promise.all([closing, committing]));
    expect(await house.read('out')).toEqual(['=in flight']);
  });

  test('N2, L3: one that never hears of the rejection of its commit is ended by the signal all the same', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w', async ({ signal }) => {
      await untilAborted(signal);
      await house.clock.sleep(1000);
    });
    await house.ready(joined);
    house.log.faults.unavailable('commit');
    await house.clock.run(rejection(joined.owned(0).commit([], changes({ n: '1' }))));
    await house.clock.advance(500);
    expect(joined.worker.health.ready).toBe(false);
    expect(joined.served.get(0)).toHaveLength(1);
    await house.ready(joined);
    expect(house.failures).toEqual(['w/0 log_unavailable reopen']);
    expect(joined.served.get(0)).toHaveLength(2);
    expect(house.crashes).toEqual([]);
  });

  test('what the signal interrupts may reject with its reason or an AbortError', async () => {
    const house = await OwnerHouse.build();
    const joined = await house.join('w', async ({ signal, partition }) => {
      await untilAborted(signal);
      if (partition % 2 === 0) signal.throwIfAborted();
      throw Object.assign(new Error('The operation was aborted'), { name: 'AbortError' });
    });
    await house.ready(joined);
    await house.clock.run(joined.worker.close());
    expect([house.failures, house.crashes]).toEqual([[], []]);
  });
});

test('a topic that does not exist is said so, and nothing is left open', async () => {
  const house = await OwnerHouse.build();
  const options = { log: house.log, clientId: 'w', settings: { ...SETTINGS, topic: 'nowhere' } };
  const starting = OwnerWorker.start(options as unknown as OwnerWorkerOptions);
  expect(await house.clock.run(rejection(starting))).toMatchObject({ code: 'topic_invalid' });
  expect(house.clock.pendingTimers).toBe(0);
});

test('an assignment that comes before a join that fails starts nothing, and nothing is left open', async () => {
  const { clock, log } = await OwnerHouse.build();
  let opened = 0;
  const early: Log = {
    clock,
    admin: log.admin,
    reader: (options) => log.reader(options),
    producer: (options) => log.producer(options),
    transactional: (options) => {
      opened++;
      return log.transactional(options);
    },
    group: async ({ listener }) => {
      listener.assigned([{ topic: 'cursors', partition: 0 }], 1);
      await clock.sleep(5000);
      throw new CodedError('log_unavailable', 'not today');
    },
    close: () => log.close(),
  };
  const options = { log: early, clientId: 'w', settings: SETTINGS, observer: { assigned: () => undefined } };
  const starting = OwnerWorker.start(options as unknown as OwnerWorkerOptions);
  expect(await clock.run(rejection(starting))).toMatchObject({ message: 'not today' });
  await clock.advance(5000);
  expect([opened, clock.pendingTimers]).toEqual([0, 0]);
});
