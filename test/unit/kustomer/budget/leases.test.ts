/** Single cases of lender.ts (L), lease-holder.ts (H) and lease-demand.ts (D), told one by one. */
import { describe, expect, it } from 'vitest';
import { type Demand, plan, WARM_MS } from '../../../../src/kustomer/budget/lease-demand.ts';
import {
  decode,
  type LeaseMessage,
  type LeaseWant,
  leaseMessage,
  leaseTable,
} from '../../../../src/kustomer/budget/lease-forms.ts';
import {
  compose,
  emptyHolder,
  finish,
  type LeaseHolder,
  learn,
  REASK_MS,
  see,
  sent,
  start,
} from '../../../../src/kustomer/budget/lease-holder.ts';
import { type Lender, newLender, receive } from '../../../../src/kustomer/budget/lender.ts';
import { lenderOf, lenderOfUnknown, tableOf } from '../../../../src/kustomer/budget/lender-table.ts';
import { CONFIG, NO_FACTS, SEARCHES, SHARE, TIMES } from './lease-world.ts';

const T0 = 1_000_000;
const write = (count: number): LeaseWant => ({ lane: 'writes', kind: 'call', count });
const message = (borrower: string, rest: Partial<LeaseMessage> = {}): LeaseMessage => ({
  borrower,
  sequence: 1,
  waitingFrom: 1,
  wants: [],
  returns: [],
  heard: [],
  ...rest,
});

/** Asks, is answered and reads, all at once. */
function borrow(lender: Lender, wants: readonly LeaseWant[], nowMs = T0, before = emptyHolder('a', TIMES)) {
  const { holder, message: said } = compose(before, wants, nowMs);
  const lent = receive(lender, [said], nowMs);
  return { lender: lent, holder: see(sent(holder, said), tableOf(lent), nowMs) };
}

function startOne(holder: LeaseHolder, nowMs: number, kind: 'call' | 'search' = 'call') {
  const answer = start(holder, { lane: 'writes', kind, nowMs });
  return 'grant' in answer ? answer : null;
}

const lentTo = (lender: Lender, borrower: string): number =>
  lender.leases.filter((lease) => lease.borrower === borrower).reduce((sum, { count }) => sum + count, 0);

describe('the lender', () => {
  describe('L9: its table', () => {
    const START_MS = 1_795_000_000_000;
    const config = { ...CONFIG, budget: { ...CONFIG.budget, assumedLimit: 1_000_000, othersShare: 0 } };
    const name = 'b'.repeat(64);

    function lendOn(each: number, returnsOf: (lender: Lender) => LeaseMessage['returns']) {
      let lender = newLender(config, START_MS);
      let [nowMs, largest, unmet] = [START_MS, 0, 0];
      for (let sequence = 1; sequence <= 600; sequence += 1) {
        nowMs += 10;
        const returns = returnsOf(lender);
        const ask = message(name, { sequence, waitingFrom: sequence, wants: [write(each)], returns });
        lender = receive(lender, [ask], nowMs);
        largest = Math.max(largest, Buffer.byteLength(JSON.stringify(tableOf(lender))));
        if (lender.answers[0]?.unmet[0]?.reason === 'lease') unmet += 1;
      }
      expect(largest).toBeLessThan(60_000);
      const later = nowMs + TIMES.startMs + TIMES.callMs + 71_000;
      const again = receive(lender, [message('c', { wants: [write(each)] })], later);
      expect(lentTo(again, 'c'), 'it goes on when that has lapsed').toBe(each);
      return unmet;
    }

    /** Found by the chaos run: a fifth of the answers lost, and the table could not be written any more, ever. */
    it('does not grow with calls that got no answer', () => {
      for (const each of [1, 7, 64]) {
        const unmet = lendOn(each, ({ leases }) =>
          leases.map(({ leaseId, count }) => {
            return { leaseId, ended: [], lapsing: Array.from({ length: count }, (_, index) => leaseId + index) };
          }),
        );
        expect(unmet).toBe(0);
      }
    });

    it('takes no lease more when it is full of those that do not come back', () => {
      for (const each of [1, 7, 64]) expect(lendOn(each, () => [])).toBeGreaterThan(300);
    });
  });

  it('L2 counts what is not returned until nobody can have a call of it counted any more', () => {
    const { lender } = borrow(newLender(CONFIG, T0), [write(SHARE)]);
    const longestMs = TIMES.startMs + TIMES.callMs + 70_000;
    const all = message('b', { wants: [write(SHARE)] });
    expect(lentTo(receive(lender, [all], T0 + longestMs), 'b')).toBe(0);
    expect(lentTo(receive(lender, [all], T0 + longestMs + 500), 'b')).toBe(SHARE);
    // A successor counts from when it read the table (L4).
    const successor = lenderOf(tableOf(lender), CONFIG, T0 + 40_000);
    expect(lentTo(receive(successor, [all], T0 + 40_000 + longestMs), 'b')).toBe(0);
    expect(lentTo(receive(successor, [all], T0 + 40_500 + longestMs), 'b')).toBe(SHARE);
  });

  it('counts what was used from when it ended, and gives what was not used back at once', () => {
    const { lender } = borrow(newLender(CONFIG, T0), [write(SHARE)]);
    const [lease] = lender.leases;
    const ended = [0, 1, 2, 3, 4, 5, 6].map((index): [number, number] => [(lease?.leaseId ?? 0) + index, 4000]);
    const back = message('a', { sequence: 2, returns: [{ leaseId: lease?.leaseId ?? 0, ended, lapsing: [] }] });
    const after = receive(lender, [back], T0 + 6000);
    const all = message('b', { wants: [write(SHARE)] });
    expect(lentTo(receive(after, [all], T0 + 6000), 'b')).toBe(3);
    // They ended at 2 s, and a window and the slack later their slots are free, not a window after we heard of it.
    expect(lentTo(receive(after, [all], T0 + 62_000), 'b')).toBe(3);
    expect(lentTo(receive(after, [all], T0 + 62_200), 'b')).toBe(SHARE);
  });

  it('L5 answers what was asked once, and a return once', () => {
    const ask = message('a', { wants: [write(3)] });
    const once = receive(newLender(CONFIG, T0), [ask], T0);
    expect(receive(once, [ask], T0 + 1).leases).toEqual(once.leases);
    const back = message('a', {
      sequence: 2,
      returns: [{ leaseId: once.leases[0]?.leaseId ?? 0, ended: [], lapsing: [] }],
    });
    const returned = receive(once, [back], T0 + 5);
    expect(returned.leases).toEqual([]);
    expect(receive(returned, [back], T0 + 6).budget.calls).toEqual(returned.budget.calls);
    const strangers = message('b', { returns: [{ leaseId: once.leases[0]?.leaseId ?? 0, ended: [], lapsing: [] }] });
    expect(receive(once, [strangers], T0 + 5).leases).toEqual(once.leases);
  });

  it('does not answer asks that were given up meanwhile, as after an outage', () => {
    const old = [1, 2, 3].map((sequence) => message('a', { sequence, wants: [write(3)] }));
    const last = message('a', { sequence: 4, waitingFrom: 4, wants: [write(2)] });
    expect(receive(newLender(CONFIG, T0), [...old, last], T0).leases).toMatchObject([{ sequence: 4, count: 2 }]);
  });

  it('L8 serves the more urgent lane first, and borrowers of one lane evenly', () => {
    const lower = message('a', { wants: [{ lane: 'probes', kind: 'call', count: SHARE }] });
    const first = receive(newLender(CONFIG, T0), [lower, message('b', { wants: [write(SHARE - 1)] })], T0);
    expect([lentTo(first, 'a'), lentTo(first, 'b')]).toEqual([1, SHARE - 1]);
    const both = [message('a', { wants: [write(SHARE)] }), message('b', { wants: [write(4)] })];
    const even = receive(newLender(CONFIG, T0), both, T0);
    expect([lentTo(even, 'a'), lentTo(even, 'b')]).toEqual([SHARE - 4, 4]);
  });

  it('lends searches within their own limit as well', () => {
    const { lender } = borrow(newLender(CONFIG, T0), [{ lane: 'writes', kind: 'search', count: SHARE }]);
    expect(lentTo(lender, 'a')).toBe(SEARCHES);
    expect(lender.answers).toMatchObject([{ unmet: [{ kind: 'search', reason: 'search_limit' }] }]);
  });

  it('of a table it cannot read, takes the whole share for used', () => {
    const lender = lenderOfUnknown(CONFIG, T0);
    const all = message('a', { wants: [write(SHARE)] });
    expect(lentTo(receive(lender, [all], T0 + 90_000), 'a')).toBe(0);
    expect(lentTo(receive(lender, [all], T0 + 100_000), 'a')).toBe(SHARE);
    expect(decode(leaseTable, Buffer.from('{"form":2}'))).toBeNull();
    expect(decode(leaseMessage, Buffer.from('no json'))).toBeNull();
  });
});

describe('the holder', () => {
  it('H1 starts nothing late and nothing beyond what was lent', () => {
    const { holder } = borrow(newLender(CONFIG, T0), [write(2)]);
    expect(startOne(holder, T0 + TIMES.startMs)).toBeNull();
    expect(startOne(holder, T0, 'search')).toBeNull();
    const first = startOne(holder, T0 + TIMES.startMs - 1);
    const second = startOne(first?.holder as LeaseHolder, T0 + 1);
    expect(second).not.toBeNull();
    expect(startOne(second?.holder as LeaseHolder, T0 + 2)).toBeNull();
    const third = start(holder, { lane: 'probes', kind: 'call', nowMs: T0 });
    expect(third).toMatchObject({ reason: 'lease' });
  });

  it('lets a lease of a lower lane serve a write, never the reverse', () => {
    const { holder } = borrow(newLender(CONFIG, T0), [{ lane: 'backfill', kind: 'call', count: 1 }]);
    expect(startOne(holder, T0)).not.toBeNull();
  });

  it('H2 returns a lease when all of it has ended, and leaves what got no answer to lapse', () => {
    const { holder, lender } = borrow(newLender(CONFIG, T0), [write(2)]);
    const first = startOne(holder, T0);
    const second = startOne(first?.holder as LeaseHolder, T0);
    const lost = finish(second?.holder as LeaseHolder, {
      grantId: first?.grant.grantId ?? 0,
      ending: 'unanswered',
      nowMs: T0 + 5,
    });
    expect(compose(lost, [], T0 + 6).message.returns).toEqual([]);
    const done = finish(lost, { grantId: second?.grant.grantId ?? 0, ending: 'answered', nowMs: T0 + 10 });
    const { message: said } = compose(done, [], T0 + 30);
    expect(said.returns).toEqual([
      { leaseId: first?.grant.grantId, ended: [[second?.grant.grantId, 20]], lapsing: [first?.grant.grantId] },
    ]);
    const after = receive(lender, [said], T0 + 40);
    expect([after.budget.open, after.leases]).toEqual([[], []]);
    // The one that got no answer counts as long as if it were open, until nobody can have it counted any more.
    const share = (nowMs: number) => lentTo(receive(after, [message('b', { wants: [write(SHARE)] })], nowMs), 'b');
    expect(share(T0 + 62_000)).toBe(SHARE - 1);
    expect(share(T0 + TIMES.startMs + TIMES.callMs + 70_000)).toBe(SHARE - 1);
    expect(share(T0 + TIMES.startMs + TIMES.callMs + 70_500)).toBe(SHARE);
  });

  it('uses what was not sent again', () => {
    const { holder } = borrow(newLender(CONFIG, T0), [write(1)]);
    const first = startOne(holder, T0);
    const back = finish(first?.holder as LeaseHolder, {
      grantId: first?.grant.grantId ?? 0,
      ending: 'not_sent',
      nowMs: T0,
    });
    expect(startOne(back, T0)?.grant.grantId).toBe(first?.grant.grantId);
  });

  it('H3 returns unused what it did not ask for', () => {
    const { lender } = borrow(newLender(CONFIG, T0), [write(3)]);
    const stranger = see(emptyHolder('a', TIMES), tableOf(lender), T0);
    expect(startOne(stranger, T0)).toBeNull();
    expect(compose(stranger, [], T0).message.returns).toMatchObject([{ ended: [], lapsing: [] }]);
  });

  it('H4 starts nothing after a 429 of its own, and nothing lent before the lender knew of another one', () => {
    const { holder, lender } = borrow(newLender(CONFIG, T0), [write(3)]);
    const first = startOne(holder, T0);
    const facts = { ...NO_FACTS, retryAfterMs: 7000 };
    const heard = {
      grantId: first?.grant.grantId ?? 0,
      kind: 'call' as const,
      refused: true,
      facts,
      nowMs: T0 + 10,
      random: 0,
    };
    const stopped = learn(first?.holder as LeaseHolder, heard);
    expect(start(stopped, { lane: 'writes', kind: 'call', nowMs: T0 + 7009 })).toMatchObject({ reason: 'paused' });
    const other = borrow(lender, [write(2)], T0, emptyHolder('b', TIMES));
    const told = receive(other.lender, [compose(stopped, [], T0 + 20).message], T0 + 30);
    const warned = see(other.holder, tableOf(told), T0 + 40);
    expect(startOne(other.holder, T0 + 40)).not.toBeNull();
    expect(startOne(warned, T0 + 40)).toBeNull();
    expect(compose(warned, [], T0 + 50).message.returns).toHaveLength(1);
    // 10 ms of the 7 s had gone by when the lender was told.
    expect(lentTo(receive(told, [message('c', { wants: [write(2)] })], T0 + 7015), 'c')).toBe(0);
    expect(lentTo(receive(told, [message('c', { wants: [write(2)] })], T0 + 7025), 'c')).toBe(1);
  });

  it('H5 starts nothing in a window of which an answer said that it is empty', () => {
    const { holder } = borrow(newLender(CONFIG, T0), [write(3)]);
    const first = startOne(holder, T0);
    const facts = { ...NO_FACTS, remaining: 0, resetEpochS: 1_700_000_000, resetInMs: 3000 };
    const heard = {
      grantId: first?.grant.grantId ?? 0,
      kind: 'call' as const,
      refused: false,
      facts,
      nowMs: T0,
      random: 0,
    };
    const empty = learn(first?.holder as LeaseHolder, heard);
    expect(start(empty, { lane: 'writes', kind: 'call', nowMs: T0 + 3999 })).toMatchObject({ reason: 'window_empty' });
    expect(startOne(empty, T0 + 4000)).not.toBeNull();
  });
});

describe('asking', () => {
  const nobody: Demand = {
    writes: { call: 0, search: 0 },
    probes: { call: 0, search: 0 },
    poll: { call: 0, search: 0 },
    backfill: { call: 0, search: 0 },
  };
  const cold = { demand: nobody, lastWriteAtMs: Number.NEGATIVE_INFINITY };

  it('D1 asks once for who waits, again without an answer, and not before the time the lender named', () => {
    const need = { ...cold, demand: { ...nobody, backfill: { call: 3, search: 0 } } };
    const first = plan(emptyHolder('a', TIMES), need, T0);
    expect(first).toMatchObject({ send: true, wants: [{ lane: 'backfill', kind: 'call', count: 3 }] });
    const { holder } = compose(emptyHolder('a', TIMES), first.wants, T0);
    expect(plan(holder, need, T0 + REASK_MS - 1)).toMatchObject({ send: false, lookAtMs: T0 + REASK_MS });
    expect(plan(holder, need, T0 + REASK_MS)).toMatchObject({ send: true });
    // One more waits: asked for at once, alone.
    const more = { ...cold, demand: { ...nobody, backfill: { call: 4, search: 0 } } };
    expect(plan(holder, more, T0 + 5).wants).toEqual([{ lane: 'backfill', kind: 'call', count: 1 }]);
    const lender = receive(newLender(CONFIG, T0), [message('other', { wants: [write(SHARE)] })], T0);
    const refused = borrow(lender, first.wants, T0);
    const again = plan(refused.holder, need, T0 + 10);
    expect(again.send).toBe(false);
    expect(again.lookAtMs).toBeGreaterThan(T0 + 500);
    expect(plan(refused.holder, need, again.lookAtMs).send).toBe(true);
  });

  it('D1 remembers what it was told of one lane when another is answered (regression)', () => {
    const lender = receive(newLender(CONFIG, T0), [message('other', { wants: [write(SHARE)] })], T0);
    const one = borrow(lender, [{ lane: 'backfill', kind: 'call', count: 1 }], T0);
    const two = borrow(one.lender, [{ lane: 'poll', kind: 'call', count: 1 }], T0 + 1, one.holder);
    const need = { ...cold, demand: { ...nobody, poll: { call: 1, search: 0 }, backfill: { call: 1, search: 0 } } };
    expect(plan(two.holder, need, T0 + 10).send).toBe(false);
  });

  it('D1 with half of a large store in hand, nobody who waits is asked for', () => {
    const large = { ...CONFIG, budget: { ...CONFIG.budget, assumedLimit: 300 * 20 } };
    const warm = { demand: { ...nobody, writes: { call: 9, search: 0 } }, lastWriteAtMs: T0 };
    const { holder: full, lender } = borrow(newLender(large, T0), [write(10)]);
    expect(plan(full, warm, T0 + 1).wants).toEqual([]);
    const one = startOne(full, T0 + 1);
    expect(plan(one?.holder as LeaseHolder, warm, T0 + 1).wants).toEqual([write(9 + (20 - 9) - 9)]);
    const { holder: small } = borrow(lender, [write(8)], T0, emptyHolder('b', TIMES));
    expect(plan(small, warm, T0 + 1).send, 'less than half').toBe(true);
  });

  it('D2 holds a call in store after a write, replaces it before it runs out, and lets it go later', () => {
    const { holder, lender } = borrow(newLender(CONFIG, T0), [write(1)]);
    const used = startOne(holder, T0);
    const warm = { ...cold, lastWriteAtMs: T0 };
    expect(plan(used?.holder as LeaseHolder, warm, T0 + 1).wants).toEqual([write(1)]);
    const stored = borrow(lender, [write(1)], T0 + 1, used?.holder);
    const quiet = plan(stored.holder, warm, T0 + 2);
    expect(quiet.wants).toEqual([]);
    expect(quiet.lookAtMs).toBeLessThan(T0 + TIMES.startMs);
    expect(plan(stored.holder, warm, quiet.lookAtMs).wants).toEqual([write(1)]);
    expect(plan(stored.holder, warm, T0 + WARM_MS).wants).toEqual([]);
  });
});
