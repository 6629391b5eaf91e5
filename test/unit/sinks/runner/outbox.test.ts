/** What is to be committed, and when (B of outbox.ts), by a clock that stands until it is moved. */
import { expect, it } from 'vitest';
import { VirtualClock } from '../../../../src/kafka/memory/virtual-clock.ts';
import type { OwnedPartition } from '../../../../src/kafka/owner-worker.ts';
import type { Append } from '../../../../src/kafka/port.ts';
import { LedgerView } from '../../../../src/sinks/runner/ledger-view.ts';
import { Outbox } from '../../../../src/sinks/runner/outbox.ts';

const CALL_PACE_MS = 10;
const PACE_MS = 20;
const COMMIT_MS = 5;

interface Commit {
  readonly atMs: number;
  readonly keys: readonly string[];
  readonly nextOffset: number | undefined;
}

function setUp({ commitMs = COMMIT_MS, failAt = Number.POSITIVE_INFINITY } = {}) {
  const clock = new VirtualClock(1000);
  const end = new AbortController();
  const commits: Commit[] = [];
  const told: string[] = [];
  const failures: unknown[] = [];
  const progress = { commitOffset: 7, nextOffset: 9, unfinished: [7] as number[] };
  const owned: Pick<OwnedPartition, 'signal' | 'commit' | 'get' | 'entries' | 'sweep'> = {
    signal: end.signal,
    get: () => undefined,
    entries: () => [],
    sweep: () => [],
    commit: async (appends, _changes, nextOffset) => {
      commits.push({ atMs: clock.nowMs(), keys: appends.map(({ key }) => String(key)), nextOffset });
      if (commitMs > 0) await clock.sleep(commitMs);
      if (commits.length >= failAt) throw new Error('no commit');
    },
  };
  const outbox = new Outbox({
    owned: owned as OwnedPartition,
    ledger: new LedgerView(owned, 1000),
    clock,
    paceMs: (isUrgent) => (isUrgent ? CALL_PACE_MS : PACE_MS),
    progress: () => progress,
    idle: () => told.push('idle'),
    failed: (error) => failures.push(error),
  });
  const stage = (name: string, isUrgent = false) => {
    const append: Append = { topic: 't', key: Buffer.from(name), value: null };
    outbox.stage({ append, isUrgent, afterwards: () => told.push(name) });
  };
  return { clock, end, commits, told, failures, progress, outbox, stage };
}

const at = ({ atMs, keys }: Commit) => `${atMs - 1000}: ${keys.join(' ')}`;

it('B1, B2: what is staged together, or while one is under way, goes together, and is told when it is durable', async () => {
  const { clock, commits, told, outbox, stage } = setUp();
  stage('a');
  stage('b');
  await clock.advance(1);
  expect(commits.map(at)).toEqual(['0: a b']);
  stage('c');
  expect([told, outbox.isEmpty]).toEqual([[], false]);
  await clock.advance(COMMIT_MS - 1);
  expect(told).toEqual(['a', 'b']);
  await clock.advance(100);
  expect(commits.map(at)).toEqual(['0: a b', '20: c']);
  expect([told, outbox.isEmpty]).toEqual([['a', 'b', 'c', 'idle'], true]);
});

it('B5: the next starts a pace after the last, also when nothing was staged in between', async () => {
  const { clock, commits, stage } = setUp();
  stage('a');
  await clock.advance(12);
  stage('b');
  await clock.advance(7);
  expect(commits).toHaveLength(1);
  await clock.advance(100);
  stage('c');
  await clock.advance(1);
  expect(commits.map(at)).toEqual(['0: a', '20: b', '119: c']);
});

it('B5: it starts sooner for a call that waits, and takes with it what waited longer', async () => {
  const { clock, commits, stage } = setUp();
  stage('a');
  await clock.advance(6);
  stage('rest');
  await clock.advance(1);
  stage('call', true);
  await clock.advance(2);
  expect(commits).toHaveLength(1);
  await clock.advance(3);
  stage('late rest');
  await clock.advance(14);
  expect(commits.map(at)).toEqual(['0: a', '10: rest call']);
  await clock.advance(100);
  expect(commits.map(at)).toEqual(['0: a', '10: rest call', '30: late rest']);
});

it('B5: what was staged without haste may become urgent; with nothing staged nothing does', async () => {
  const { clock, commits, outbox, stage } = setUp();
  stage('a');
  await clock.advance(6);
  outbox.urge();
  stage('ahead');
  await clock.advance(1);
  expect(commits).toHaveLength(1);
  await clock.advance(5);
  outbox.urge();
  await clock.advance(0);
  expect(commits.map(at)).toEqual(['0: a', '12: ahead']);
});

it('B5: at the end of the ownership nothing waits, neither what does nor what comes', async () => {
  const { clock, end, commits, stage } = setUp();
  stage('a');
  await clock.advance(7);
  stage('b');
  await clock.advance(1);
  end.abort();
  await clock.advance(COMMIT_MS);
  stage('c');
  await clock.advance(0);
  expect(commits.map(at)).toEqual(['0: a', '8: b', '13: c']);
});

it('B3: after a failure nothing is told or committed any more, and it is told once', async () => {
  const { clock, commits, told, failures, outbox, stage } = setUp({ failAt: 2 });
  stage('a');
  await clock.advance(7);
  stage('b');
  await clock.advance(100);
  stage('c', true);
  await clock.advance(100);
  expect(commits.map(at)).toEqual(['0: a', '20: b']);
  expect([told, failures.length, outbox.isEmpty]).toEqual([['a', 'idle'], 1, true]);
});

it('B4: the offset of the group moves with the first, when nothing is unfinished, and else every second', async () => {
  const { clock, commits, progress, stage } = setUp({ commitMs: 0 });
  const commit = async (afterMs: number): Promise<number | undefined> => {
    await clock.advance(afterMs);
    stage('x');
    await clock.advance(PACE_MS);
    return commits.at(-1)?.nextOffset;
  };
  expect(await commit(0)).toBe(7);
  Object.assign(progress, { commitOffset: 8, nextOffset: 11, unfinished: [8, 9] });
  expect(await commit(100)).toBeUndefined();
  expect(await commit(1000)).toBe(8);
  Object.assign(progress, { commitOffset: 11, nextOffset: 11, unfinished: [] });
  expect(await commit(0)).toBe(11);
});
