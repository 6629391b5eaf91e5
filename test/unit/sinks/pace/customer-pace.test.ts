/** The pace of creates for one customer: P1–P5. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CustomerPace, PACE_LIMITS, type PaceTarget } from '../../../../src/sinks/pace/customer-pace.ts';

const LIMITS = { creates: 5, windowMs: 1000, maxCustomers: 50 };
const to = (customerId: string | null, conversationId: string | null = null): PaceTarget => ({
  connectionId: 'cn',
  customerId,
  conversationId,
});

function taken(pace: CustomerPace, target: PaceTarget, who: string, nowMs: number) {
  const asked = pace.take(target, who, nowMs);
  if (asked.kind !== 'place') throw new Error(`${who} waits until ${asked.untilMs}`);
  return asked.place;
}

const isFull = (pace: CustomerPace, target: PaceTarget, nowMs: number): boolean => {
  const asked = pace.take(target, 'probe', nowMs);
  if (asked.kind === 'place') asked.place.unused();
  return asked.kind === 'wait';
};

describe('the pace of a customer', () => {
  it("is Kustomer's 120 a minute", () => {
    expect(PACE_LIMITS).toMatchObject({ creates: 120, windowMs: 60_000 });
  });

  it('P1 P2: lets the limit through in any window, keeps nobody waiting for ever, and serves in order', () => {
    const step = fc.record({ passMs: fc.constantFrom(0, 0, 1, 7, 40, 300), takesMs: fc.constantFrom(0, 5, 60, 700) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const pace = new CustomerPace(LIMITS);
        const target = to('c1');
        const calls: { readonly fromMs: number; readonly endMs: number }[] = [];
        const events: { atMs: number; run: (nowMs: number) => void }[] = [];
        const arrivals = new Map<string, number>();
        const begin = (who: string, takesMs: number) => (nowMs: number) => {
          const asked = pace.take(target, who, nowMs);
          if (asked.kind === 'wait') {
            expect(asked.untilMs).toBeGreaterThan(nowMs);
            events.push({ atMs: asked.untilMs, run: begin(who, takesMs) });
            return;
          }
          const endMs = nowMs + takesMs;
          calls.push({ fromMs: nowMs, endMs });
          arrivals.set(who, nowMs);
          events.push({ atMs: endMs, run: () => asked.place.used(endMs) });
        };
        let atMs = 10_000;
        for (const [index, { passMs, takesMs }] of steps.entries()) {
          atMs += passMs;
          events.push({ atMs, run: begin(`w${index}`, takesMs) });
        }
        for (let looked = 0; events.length > 0; looked++) {
          expect(looked, 'asked again and again').toBeLessThan(40 * steps.length);
          events.sort((a, b) => a.atMs - b.atMs);
          const { atMs: nowMs, run } = events.shift() as (typeof events)[number];
          run(nowMs);
        }
        expect(arrivals.size).toBe(steps.length);
        // Whenever Kustomer counted each, within its call: the last of six begins a window after the first has ended.
        for (const call of calls) {
          const counted = calls.filter(
            ({ fromMs, endMs }) => fromMs <= call.fromMs && endMs > call.fromMs - LIMITS.windowMs,
          );
          expect(counted.length).toBeLessThanOrEqual(LIMITS.creates);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('holds up no other customer, nor what is for nobody who is known', () => {
    const pace = new CustomerPace(LIMITS);
    for (let count = 0; count < 5; count++) taken(pace, to('c1'), `w${count}`, 0).used(0);
    expect(isFull(pace, to('c1'), 10)).toBe(true);
    expect(isFull(pace, to('c2'), 10)).toBe(false);
    expect(isFull(pace, { ...to('c1'), connectionId: 'another' }, 10)).toBe(false);
    for (let count = 0; count < 20; count++) expect(isFull(pace, to(null), 10)).toBe(false);
    expect(isFull(pace, to('c1'), 1300)).toBe(false);
  });

  it('gives back what was not used, once', () => {
    const pace = new CustomerPace(LIMITS);
    const places = Array.from({ length: 5 }, (_, count) => taken(pace, to('c1'), `w${count}`, 0));
    expect(isFull(pace, to('c1'), 0)).toBe(true);
    places[0]?.unused();
    places[0]?.unused();
    places[0]?.used(0);
    taken(pace, to('c1'), 'w6', 0);
    expect(isFull(pace, to('c1'), 0)).toBe(true);
  });

  it('P3: counts a conversation for its customer as soon as that is known, what is under way too', () => {
    const pace = new CustomerPace(LIMITS);
    taken(pace, to(null, 'v1'), 'a', 0).used(0);
    const open = taken(pace, to(null, 'v1'), 'b', 0);
    taken(pace, to(null, 'v2'), 'c', 0).used(0);
    pace.learn('cn', 'v1', 'c1');
    pace.learn('cn', 'v2', 'c1');
    taken(pace, to('c1'), 'd', 0).used(0);
    taken(pace, to(null, 'v3'), 'e', 0).used(0);
    expect(isFull(pace, to('c1'), 0)).toBe(false);
    pace.learn('cn', 'v3', 'c1');
    for (const target of [to('c1'), to(null, 'v1'), to(null, 'v2'), to(null, 'v3')]) {
      expect(isFull(pace, target, 0)).toBe(true);
    }
    open.unused();
    expect(isFull(pace, to(null, 'v2'), 0)).toBe(false);
  });

  it('P4: waits as long as Kustomer says for that customer, and all who waited then may go on', () => {
    const pace = new CustomerPace(LIMITS);
    pace.learn('cn', 'v1', 'c1');
    pace.refused(to(null, 'v1'), 500);
    const waits = Array.from({ length: 4 }, (_, count) => pace.take(to('c1'), `w${count}`, 0));
    expect(waits).toEqual(Array(4).fill({ kind: 'wait', untilMs: 500 }));
    expect(isFull(pace, to('c2'), 0)).toBe(false);
    for (let count = 0; count < 4; count++) taken(pace, to('c1'), `w${count}`, 500);
  });

  it('P5: forgets whom nobody has asked for the longest', () => {
    const pace = new CustomerPace({ ...LIMITS, maxCustomers: 3 });
    for (let count = 0; count < 5; count++) taken(pace, to('c1'), `w${count}`, 0).used(0);
    for (const customer of ['c2', 'c3']) expect(isFull(pace, to(customer), 0)).toBe(false);
    expect(isFull(pace, to('c1'), 0)).toBe(true);
    for (const customer of ['c4', 'c5', 'c6']) expect(isFull(pace, to(customer), 0)).toBe(false);
    expect(isFull(pace, to('c1'), 0)).toBe(false);
  });
});
