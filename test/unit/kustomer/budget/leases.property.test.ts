/**
 * Several processes, one budget: cites lender.ts (L) and lease-holder.ts (H). Borrowers die with calls under way, owners are
 * fenced and go on not knowing it, transactions are aborted, messages are lost or said twice, clocks disagree.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CALL_KINDS, LANES } from '../../../../src/kustomer/budget/lanes.ts';
import { receive } from '../../../../src/kustomer/budget/lender.ts';
import { type Command, most, SEARCHES, SHARE, TIMES, World } from './lease-world.ts';

const who = fc.nat(2);
const want = fc.record({
  lane: fc.constantFrom(...LANES),
  kind: fc.constantFrom(...CALL_KINDS),
  count: fc.integer({ min: 1, max: 14 }),
});
const said = { fate: fc.constantFrom('sent', 'sent', 'sent', 'lost', 'unsure') } as const;
const startStep = {
  do: fc.constant('start' as const),
  who,
  times: fc.integer({ min: 1, max: 8 }),
  lane: fc.constantFrom(...LANES),
  kind: fc.constantFrom(...CALL_KINDS),
  tookMs: fc.integer({ min: 0, max: 15_000 }),
  countedAt: fc.double({ min: 0, max: 1, noNaN: true }),
};

function commands(
  endings: readonly Extract<Command, { do: 'start' }>['ending'][],
  limits: readonly (number | null)[],
): fc.Arbitrary<Command> {
  return fc.oneof(
    fc.record({ do: fc.constant('say' as const), who, wants: fc.array(want, { maxLength: 3 }), ...said }),
    fc.record({
      do: fc.constant('answer' as const),
      records: fc.integer({ min: 1, max: 4 }),
      commit: fc.constantFrom(true, true, true, false),
    }),
    fc.record({ do: fc.constant('see' as const), who, behind: fc.constantFrom(0, 0, 0, 1, 2) }),
    fc.record({ ...startStep, ending: fc.constantFrom(...endings), limit: fc.constantFrom(...limits) }),
    fc.record({ do: fc.constant('die' as const), who }),
    fc.record({ do: fc.constant('failover' as const) }),
    fc.record({ do: fc.constant('zombie' as const) }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.oneof(fc.nat(500), fc.nat(8000), fc.nat(70_000)) }),
  );
}

/** Asking, answering, reading and calling in a row: chance alone seldom gets as far as a call. */
const round = fc
  .tuple(who, want, fc.integer({ min: 1, max: 14 }), fc.nat(4000))
  .map(([index, wanted, times, ms]): Command[] => [
    { do: 'say', who: index, wants: [wanted], fate: 'sent' },
    { do: 'answer', records: 4, commit: true },
    { do: 'see', who: index, behind: 0 },
    { do: 'start', who: index, times, ...wanted, tookMs: 100, countedAt: 0.5, ending: 'answered', limit: null },
    { do: 'pass', ms },
    { do: 'say', who: index, wants: [], fate: 'sent' },
    { do: 'answer', records: 4, commit: true },
  ]);
/** All of it lent, started as late and counted as late as may be; not returned or given up; then the next comes soon. */
const lateRound = fc
  .record({
    startAfterMs: fc.integer({ min: 0, max: TIMES.startMs - 1 }),
    ending: fc.constantFrom('answered' as const, 'unanswered' as const),
    end: fc.constantFrom('die', 'lost', 'return'),
    failover: fc.boolean(),
    nextAfterMs: fc.integer({ min: 40_000, max: 90_000 }),
  })
  .map(({ startAfterMs, ending, end, failover, nextAfterMs }): Command[] => {
    const all = { lane: 'writes', kind: 'call', count: SHARE } as const;
    const start = { do: 'start', times: SHARE, lane: 'writes', kind: 'call', limit: null } as const;
    return [
      { do: 'say', who: 0, wants: [all], fate: 'sent' },
      { do: 'answer', records: 99, commit: true },
      { do: 'see', who: 0, behind: 0 },
      { do: 'pass', ms: startAfterMs },
      { ...start, who: 0, tookMs: 5000, countedAt: 1, ending },
      ...(end === 'die' ? [{ do: 'die', who: 0 } as const] : []),
      { do: 'pass', ms: 5000 },
      ...(end === 'die' ? [] : [{ do: 'say', who: 0, wants: [], fate: end === 'lost' ? 'lost' : 'sent' } as const]),
      { do: 'answer', records: 99, commit: true },
      ...(failover ? [{ do: 'failover' } as const] : []),
      { do: 'pass', ms: nextAfterMs },
      { do: 'say', who: 1, wants: [all], fate: 'sent' },
      { do: 'answer', records: 99, commit: true },
      { do: 'see', who: 1, behind: 0 },
      { ...start, who: 1, tookMs: 10, countedAt: 0, ending: 'answered' },
    ];
  });

function stories(command: fc.Arbitrary<Command>): fc.Arbitrary<Command[]> {
  const single = command.map((step): Command[] => [step]);
  const part = fc.oneof(
    { arbitrary: single, weight: 4 },
    { arbitrary: round, weight: 4 },
    { arbitrary: lateRound, weight: 1 },
  );
  return fc.array(part, { minLength: 1, maxLength: 60 }).map((parts) => parts.flat());
}

const quiet = stories(commands(['answered', 'answered', 'unanswered', 'not_sent'], [null]));
const stormy = stories(commands(['answered', 'answered', 'refused', 'unanswered', 'not_sent'], [null, null, SHARE, 7]));

describe('leases', () => {
  it('L1–L5, H1–H3: never more counted than the share, in no 60 s, whoever dies', { timeout: 120_000 }, () => {
    let busiest = 0;
    fc.assert(
      fc.property(quiet, (steps) => {
        const world = new World();
        for (const step of steps) world.run(step);
        world.pass(100_000);
        const ours = most(world.counted.map(({ atMs }) => atMs));
        busiest = Math.max(busiest, ours);
        expect(ours).toBeLessThanOrEqual(SHARE);
        expect(most(world.counted.filter(({ search }) => search).map(({ atMs }) => atMs))).toBeLessThanOrEqual(
          SEARCHES,
        );
      }),
      { numRuns: 1500 },
    );
    // The property would hold of a lender that lends nothing.
    expect(busiest).toBe(SHARE);
  });

  it('L6, L7, H4: a 429 stops everybody and one tries first; a limit told anywhere bounds all', {
    timeout: 120_000,
  }, () => {
    let started = 0;
    fc.assert(
      fc.property(stormy, (steps) => {
        const world = new World();
        for (const step of steps) world.run(step); // the world checks each table and each start
        world.pass(100_000);
        started += world.started;
        expect(most(world.counted.map(({ atMs }) => atMs))).toBeLessThanOrEqual(SHARE);
      }),
      { numRuns: 1500 },
    );
    expect(started).toBeGreaterThan(1500);
  });

  it('L2: whatever happened, all of it can be lent again when its time has passed', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(quiet, (steps) => {
        const world = new World();
        for (const step of steps) world.run(step);
        world.run({ do: 'answer', records: 10_000, commit: true });
        world.pass(TIMES.startMs + TIMES.callMs + 80_000);
        const nowMs = world.trueMs + world.ownerSkewMs;
        const ask = (sequence: number, count: number) => ({
          borrower: 'somebody',
          sequence,
          waitingFrom: sequence,
          wants: [{ lane: 'writes' as const, kind: 'call' as const, count }],
          returns: [],
          heard: [],
        });
        // Grants nobody returned are given up when the time has passed, and their slots come free a window later.
        const first = receive(world.owner, [], nowMs);
        const again = receive(first, [ask(1, SHARE)], nowMs + 80_000);
        expect(again.leases).toEqual([expect.objectContaining({ borrower: 'somebody', count: SHARE })]);
      }),
      { numRuns: 300 },
    );
  });

  it('L8: what is lent to a lane is not refused to the lanes above it', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(quiet, fc.nat(70_000), (steps, laterMs) => {
        const world = new World();
        for (const step of steps) world.run(step);
        const nowMs = world.trueMs + world.ownerSkewMs + laterMs;
        for (const kind of CALL_KINDS) {
          const lent = LANES.map((lane) => {
            const wants = [{ lane, kind, count: 1 }];
            const asked = { borrower: 'somebody', sequence: 1, waitingFrom: 1, wants, returns: [], heard: [] };
            return receive(world.owner, [asked], nowMs).leases.some(({ borrower }) => borrower === 'somebody');
          });
          expect(lent).toEqual([...lent].sort((a, b) => Number(b) - Number(a)));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('L4: a successor never has more room than the owner it follows', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(quiet, fc.nat(70_000), (steps, laterMs) => {
        const world = new World();
        for (const step of steps) world.run(step);
        const { owner, ownerSkewMs } = world;
        if (world.tables.length === 0 || world.tables.at(-1)?.nextGrantId !== owner.budget.nextGrantId) return;
        world.takeOver(ownerSkewMs);
        const wants = [{ lane: 'writes' as const, kind: 'call' as const, count: SHARE }];
        const asked = { borrower: 'somebody', sequence: 1, waitingFrom: 1, wants, returns: [], heard: [] };
        const nowMs = world.trueMs + ownerSkewMs + laterMs;
        const lentBy = (lender: typeof owner): number =>
          receive(lender, [asked], nowMs).leases.find(({ borrower }) => borrower === 'somebody')?.count ?? 0;
        expect(lentBy(world.owner)).toBeLessThanOrEqual(lentBy(owner));
      }),
      { numRuns: 300 },
    );
  });
});
