/**
 * Several processes, one budget: cites lease-table.ts (L) and lease-holder.ts (H). Borrowers die with calls under way,
 * owners are fenced and go on not knowing it, transactions are aborted, records are read late, clocks disagree.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Ending } from '../../../../src/kustomer/budget/bucket.ts';
import type { CallKind } from '../../../../src/kustomer/budget/lanes.ts';
import {
  ask,
  due,
  emptyHolder,
  finish,
  type LeaseHolder,
  see,
  start,
} from '../../../../src/kustomer/budget/lease-holder.ts';
import {
  countedIn,
  EMPTY_TABLE,
  type LeaseAsk,
  type LeaseReturn,
  type LeaseTable,
  type LeaseTimes,
  type Lessor,
  lend,
  restore,
  type Shares,
  takeBack,
} from '../../../../src/kustomer/budget/lease-table.ts';

const TIMES: LeaseTimes = { startMs: 5000, callMs: 20_000 };
const SHARES: Shares = { calls: 10, searches: 4 };
const who = fc.nat(2);

const command = fc.oneof(
  fc.record({ do: fc.constant('ask' as const), who, calls: fc.integer({ min: 0, max: 14 }), searches: fc.nat(6) }),
  fc.record({
    do: fc.constant('answer' as const),
    records: fc.integer({ min: 1, max: 4 }),
    commit: fc.constantFrom(true, true, true, false),
  }),
  fc.record({ do: fc.constant('see' as const), who, behind: fc.constantFrom(0, 0, 0, 1, 2) }),
  fc.record({
    do: fc.constant('start' as const),
    who,
    times: fc.integer({ min: 1, max: 8 }),
    kind: fc.constantFrom<CallKind>('call', 'search'),
    tookMs: fc.integer({ min: 0, max: 15_000 }),
    countedAt: fc.double({ min: 0, max: 1, noNaN: true }),
    ending: fc.constantFrom<Ending>('answered', 'answered', 'unanswered', 'not_sent'),
  }),
  fc.record({ do: fc.constant('return' as const), who, lost: fc.constantFrom(false, false, true) }),
  fc.record({ do: fc.constant('die' as const), who }),
  fc.record({ do: fc.constant('failover' as const) }),
  fc.record({ do: fc.constant('zombie' as const) }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.oneof(fc.nat(500), fc.nat(8000), fc.nat(70_000)) }),
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

class World {
  trueMs = 1_000_000;
  readonly asks: (LeaseAsk | LeaseReturn)[] = [];
  /** Committed tables, oldest first. */
  readonly tables: LeaseTable[] = [EMPTY_TABLE];
  committedAsks = 0;
  readonly counted: { readonly atMs: number; readonly search: boolean }[] = [];
  owner: Lessor = restore(EMPTY_TABLE, this.trueMs, TIMES);
  ownerSkewMs = 0;
  zombie: { lessor: Lessor; skewMs: number } | null = null;
  readonly holders: { holder: LeaseHolder; readonly skewMs: number }[] = [];
  readonly due: { readonly atMs: number; readonly run: () => void }[] = [];
  names = 0;

  constructor() {
    for (const skewMs of [0, 400_000, -3_000_000]) this.holders.push({ holder: this.newHolder(), skewMs });
  }

  newHolder(): LeaseHolder {
    this.names += 1;
    return emptyHolder(`process ${this.names}`, TIMES);
  }

  holderOf(index: number): { holder: LeaseHolder; readonly skewMs: number } {
    return this.holders[index] as { holder: LeaseHolder; readonly skewMs: number };
  }

  pass(ms: number): void {
    const untilMs = this.trueMs + ms;
    for (;;) {
      this.due.sort((a, b) => a.atMs - b.atMs);
      const first = this.due[0];
      if (first === undefined || first.atMs > untilMs) break;
      this.due.shift();
      this.trueMs = first.atMs;
      first.run();
    }
    this.trueMs = untilMs;
  }

  answer(lessor: Lessor, record: LeaseAsk | LeaseReturn, nowMs: number): Lessor {
    return record.type === 'ask' ? lend(lessor, record, SHARES, nowMs) : takeBack(lessor, record, nowMs);
  }

  run(step: Command): void {
    switch (step.do) {
      case 'ask': {
        const mine = this.holderOf(step.who);
        const asked = ask(mine.holder, {
          calls: step.calls,
          searches: step.searches,
          nowMs: this.trueMs + mine.skewMs,
        });
        mine.holder = asked.holder;
        this.asks.push(asked.ask);
        return;
      }
      case 'answer': {
        const batch = this.asks.slice(this.committedAsks, this.committedAsks + step.records);
        const nowMs = this.trueMs + this.ownerSkewMs;
        const after = batch.reduce((lessor, record) => this.answer(lessor, record, nowMs), this.owner);
        if (!step.commit) {
          this.takeOver(this.ownerSkewMs);
          return;
        }
        this.owner = after;
        this.committedAsks += batch.length;
        this.tables.push(after.table);
        expect(countedIn(after.table).calls).toBeLessThanOrEqual(SHARES.calls);
        expect(countedIn(after.table).searches).toBeLessThanOrEqual(SHARES.searches);
        return;
      }
      case 'see': {
        const mine = this.holderOf(step.who);
        mine.holder = see(mine.holder, this.tables[Math.max(0, this.tables.length - 1 - step.behind)] as LeaseTable);
        return;
      }
      case 'start': {
        for (let index = 0; index < step.times; index += 1) this.start(step);
        return;
      }
      case 'return': {
        const mine = this.holderOf(step.who);
        const owed = due(mine.holder, this.trueMs + mine.skewMs);
        mine.holder = owed.holder;
        if (!step.lost) this.asks.push(...owed.returns);
        return;
      }
      case 'die':
        this.holderOf(step.who).holder = this.newHolder();
        return;
      case 'failover':
        this.zombie = { lessor: this.owner, skewMs: this.ownerSkewMs };
        this.takeOver(this.ownerSkewMs + 777_777);
        return;
      case 'zombie': {
        // It decides what it likes; the commit is refused, and nobody ever reads it.
        const next = this.asks[this.committedAsks];
        if (this.zombie === null || next === undefined) return;
        const { lessor, skewMs } = this.zombie;
        this.zombie = { lessor: this.answer(lessor, next, this.trueMs + skewMs), skewMs };
        return;
      }
      case 'pass':
        this.pass(step.ms);
    }
  }

  takeOver(skewMs: number): void {
    this.ownerSkewMs = skewMs;
    this.owner = restore(this.tables.at(-1) as LeaseTable, this.trueMs + skewMs, TIMES);
  }

  start(step: Extract<Command, { do: 'start' }>): void {
    const mine = this.holderOf(step.who);
    const started = start(mine.holder, step.kind, this.trueMs + mine.skewMs);
    if (started === null) return;
    const { borrower } = started.holder;
    mine.holder = started.holder;
    const { kind, ending, tookMs } = step;
    // One that is given up may still be counted, until the longest a call can take.
    const countedMs = ending === 'unanswered' ? TIMES.callMs * step.countedAt : tookMs * step.countedAt;
    if (ending !== 'not_sent') {
      this.due.push({
        atMs: this.trueMs + countedMs,
        run: () => this.counted.push({ atMs: this.trueMs, search: kind === 'search' }),
      });
    }
    this.due.push({
      atMs: this.trueMs + tookMs,
      run: () => {
        if (mine.holder.borrower !== borrower) return;
        mine.holder = finish(mine.holder, { leaseId: started.leaseId, kind, ending });
      },
    });
  }
}

function most(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  let first = 0;
  let best = 0;
  for (let last = 0; last < sorted.length; last += 1) {
    while ((sorted[last] as number) - (sorted[first] as number) >= 60_000) first += 1;
    best = Math.max(best, last - first + 1);
  }
  return best;
}

/** Asking, answering, reading and calling in a row: chance alone seldom gets as far as a call. */
const round = fc
  .tuple(who, fc.integer({ min: 1, max: 14 }), fc.nat(6), fc.integer({ min: 1, max: 14 }), fc.nat(4000))
  .map(([index, calls, searches, times, ms]): Command[] => [
    { do: 'ask', who: index, calls, searches },
    { do: 'answer', records: 4, commit: true },
    { do: 'see', who: index, behind: 0 },
    { do: 'start', who: index, times, kind: 'call', tookMs: 100, countedAt: 0.5, ending: 'answered' },
    { do: 'pass', ms },
    { do: 'return', who: index, lost: false },
    { do: 'answer', records: 4, commit: true },
  ]);
/** All of it lent, started as late and counted as late as may be; not returned or given up; then the next comes soon. */
const lateRound = fc
  .record({
    startAfterMs: fc.integer({ min: 0, max: TIMES.startMs - 1 }),
    ending: fc.constantFrom<Ending>('answered', 'unanswered'),
    end: fc.constantFrom('die', 'lost', 'return'),
    nextAfterMs: fc.integer({ min: 40_000, max: 90_000 }),
  })
  .map(({ startAfterMs, ending, end, nextAfterMs }): Command[] => [
    { do: 'ask', who: 0, calls: 10, searches: 4 },
    { do: 'answer', records: 99, commit: true },
    { do: 'see', who: 0, behind: 0 },
    { do: 'pass', ms: startAfterMs },
    { do: 'start', who: 0, times: 10, kind: 'call', tookMs: 5000, countedAt: 1, ending },
    ...(end === 'die' ? [{ do: 'die', who: 0 } as const] : []),
    { do: 'pass', ms: 5000 },
    ...(end === 'die' ? [] : [{ do: 'return', who: 0, lost: end === 'lost' } as const]),
    { do: 'answer', records: 99, commit: true },
    { do: 'pass', ms: nextAfterMs },
    { do: 'ask', who: 1, calls: 10, searches: 4 },
    { do: 'answer', records: 99, commit: true },
    { do: 'see', who: 1, behind: 0 },
    { do: 'start', who: 1, times: 10, kind: 'call', tookMs: 10, countedAt: 0, ending: 'answered' },
  ]);
const single = command.map((step): Command[] => [step]);
const story = fc
  .array(
    fc.oneof({ arbitrary: single, weight: 4 }, { arbitrary: round, weight: 4 }, { arbitrary: lateRound, weight: 1 }),
    {
      minLength: 1,
      maxLength: 60,
    },
  )
  .map((parts) => parts.flat());

describe('leases', () => {
  it('L1–L5, H1–H3: never more counted than the share, in no 60 s, whoever dies', () => {
    let most10 = 0;
    fc.assert(
      fc.property(story, (steps) => {
        const world = new World();
        for (const step of steps) world.run(step);
        world.pass(100_000);
        const ours = most(world.counted.map(({ atMs }) => atMs));
        most10 = Math.max(most10, ours);
        expect(ours).toBeLessThanOrEqual(SHARES.calls);
        const searches = world.counted.filter(({ search }) => search);
        expect(most(searches.map(({ atMs }) => atMs))).toBeLessThanOrEqual(SHARES.searches);
      }),
      { numRuns: 1500 },
    );
    expect(most10).toBe(SHARES.calls);
  });

  it('L2: whatever happened, all of it can be lent again when its time has passed', () => {
    fc.assert(
      fc.property(story, (steps) => {
        const world = new World();
        for (const step of steps) world.run(step);
        world.run({ do: 'answer', records: 10_000, commit: true });
        world.pass(100_000);
        const nowMs = world.trueMs + world.ownerSkewMs;
        const all: LeaseAsk = { type: 'ask', borrower: 'somebody', sequence: 1, ...SHARES };
        expect(lend(world.owner, all, SHARES, nowMs).table.leases).toEqual([
          expect.objectContaining({ borrower: 'somebody', ...SHARES }),
        ]);
      }),
      { numRuns: 300 },
    );
  });

  it('L2 counts what is not returned until nobody can have a call of it counted; what is returned, for a window', () => {
    const asked = ask(emptyHolder('a', TIMES), { ...SHARES, nowMs: 0 });
    const lent = lend(restore(EMPTY_TABLE, 0, TIMES), asked.ask, SHARES, 0);
    const all: LeaseAsk = { type: 'ask', borrower: 'b', sequence: 1, ...SHARES };
    const callsAt = (lessor: Lessor, nowMs: number): number =>
      lend(lessor, all, SHARES, nowMs).table.leases.find(({ borrower }) => borrower === 'b')?.calls ?? 0;
    const longestMs = TIMES.startMs + TIMES.callMs + 60_000;
    expect(callsAt(lent, longestMs)).toBe(0);
    expect(callsAt(lent, longestMs + 500)).toBe(10);
    const back = takeBack(lent, { type: 'return', leaseId: 1, usedCalls: 7, usedSearches: 0 }, 1000);
    expect(callsAt(back, 1000)).toBe(3);
    expect(callsAt(back, 61_000)).toBe(3);
    expect(callsAt(back, 61_500)).toBe(10);
    // A successor counts from when it read the table (L4).
    const successor = restore(lent.table, 40_000, TIMES);
    expect(callsAt(successor, 40_000 + longestMs)).toBe(0);
    expect(callsAt(successor, 40_500 + longestMs)).toBe(10);
  });

  it('H2 lets a lease lapse when a call of it got no answer', () => {
    const asked = ask(emptyHolder('a', TIMES), { calls: 1, searches: 0, nowMs: 0 });
    const { table } = lend(restore(EMPTY_TABLE, 0, TIMES), asked.ask, SHARES, 0);
    const started = start(see(asked.holder, table), 'call', 1) as { holder: LeaseHolder; leaseId: number };
    const after = finish(started.holder, { leaseId: started.leaseId, kind: 'call', ending: 'unanswered' });
    expect(due(after, 2)).toMatchObject({ returns: [], holder: { held: [] } });
  });

  it('L5 answers an ask once; H3 returns unused what it did not ask for', () => {
    const asked = ask(emptyHolder('a', TIMES), { calls: 3, searches: 1, nowMs: 0 });
    const once = lend(restore(EMPTY_TABLE, 0, TIMES), asked.ask, SHARES, 0);
    expect(lend(once, asked.ask, SHARES, 1)).toEqual(once);
    const stranger = see(emptyHolder('a', TIMES), once.table);
    expect(start(stranger, 'call', 0)).toBeNull();
    const { returns } = due(stranger, 0);
    expect(returns).toEqual([{ type: 'return', leaseId: 1, usedCalls: 0, usedSearches: 0 }]);
    const back = takeBack(once, returns[0] as LeaseReturn, 5);
    expect(back.table.leases).toEqual([]);
    expect(takeBack(back, returns[0] as LeaseReturn, 6)).toEqual(back);
  });

  it('H1 starts nothing late and nothing beyond the counts', () => {
    const asked = ask(emptyHolder('a', TIMES), { calls: 2, searches: 1, nowMs: 1000 });
    const { table } = lend(restore(EMPTY_TABLE, 0, TIMES), asked.ask, SHARES, 0);
    const holder = see(asked.holder, table);
    expect(start(holder, 'call', 6000)).toBeNull();
    const first = start(holder, 'search', 5999);
    expect(first).not.toBeNull();
    expect(start(first?.holder as LeaseHolder, 'search', 5999)).toBeNull();
    const second = start(first?.holder as LeaseHolder, 'call', 5999);
    expect(start(second?.holder as LeaseHolder, 'call', 5999)).toBeNull();
    expect(due(second?.holder as LeaseHolder, 9000).returns).toEqual([]);
    const seenAgain = see(holder, table);
    expect(seenAgain.held).toHaveLength(1);
  });
});
