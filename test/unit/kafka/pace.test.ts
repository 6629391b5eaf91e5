/** Cites the invariants of pace.ts (P). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pace } from '../../../src/kafka/pace.ts';

const PACE_MS = 25;

/** Records of one party, as they come in a batch. */
const many = (party: string, count: number) => Array.from({ length: count }, () => party);

describe('the pace of a shard', () => {
  it('P1: what waits, waits for company of its own kind', () => {
    const pace = new Pace(PACE_MS);
    expect(pace.waitMs(0)).toBe(0);
    pace.started(many('noisy', 10), 0);
    pace.arrived('noisy');
    expect([pace.waitMs(0), pace.waitMs(10), pace.waitMs(25), pace.waitMs(99)]).toEqual([25, 15, 0, 0]);
  });

  it('P2: a tenant that sends little does not wait for the company of one that sends much', () => {
    const pace = new Pace(PACE_MS);
    pace.started(many('noisy', 20), 0);
    pace.arrived('quiet');
    expect(pace.waitMs(3)).toBe(0);
    pace.started(['noisy', 'quiet'], 3);
    expect(pace.waitMs(3), 'the pace begins anew').toBe(25);
    pace.arrived('noisy');
    expect(pace.waitMs(4)).toBe(24);
    pace.arrived('quiet');
    expect(pace.waitMs(4), 'once more').toBe(0);
  });

  it('P2: of several that send much none is early, and of many that send alike neither', () => {
    const pace = new Pace(PACE_MS);
    const parties = Array.from({ length: 50 }, (_, party) => `t_${party}`);
    for (let at = 0; at < 40; at++) pace.started([...many('noisy', 9), ...many('second', 7)], at * PACE_MS);
    for (const party of ['noisy', 'second']) pace.arrived(party);
    expect(pace.waitMs(40 * PACE_MS - 5)).toBe(5);
    pace.arrived('quiet');
    expect(pace.waitMs(40 * PACE_MS - 5)).toBe(0);

    const even = new Pace(PACE_MS);
    for (let at = 0; at < 100; at++)
      even.started(
        [0, 1, 2, 3, 4].map((one) => parties[(at * 5 + one) % 50] as string),
        at * PACE_MS,
      );
    for (const party of parties) even.arrived(party);
    expect(even.waitMs(100 * PACE_MS - 5)).toBe(5);
  });

  it('P2: what was long ago does not count', () => {
    const pace = new Pace(PACE_MS);
    pace.started(many('noisy', 100), 0);
    pace.started(['other'], 5000);
    pace.arrived('other');
    expect(pace.waitMs(5001), 'there is nobody who sends much').toBe(24);
    pace.arrived('noisy');
    expect(pace.waitMs(5001), 'nor is it one any more').toBe(0);
  });

  it('P1 P3: starts that are early are no more than those that are not, and four; and nobody waits longer than the pace', () => {
    const arrival = fc.record({
      party: fc.constantFrom('a', 'a', 'a', 'a', 'b', 'c', 'd'),
      count: fc.constantFrom(1, 1, 20),
      afterMs: fc.integer({ min: 0, max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 200, size: 'max' }), (arrivals) => {
        const pace = new Pace(PACE_MS);
        const starts: number[] = [];
        let waiting: string[] = [];
        let nowMs = 0;
        const startWhenDue = (untilMs: number) => {
          while (waiting.length > 0 && nowMs + pace.waitMs(nowMs) <= untilMs) {
            nowMs += pace.waitMs(nowMs);
            pace.started(waiting, nowMs);
            starts.push(nowMs);
            waiting = [];
          }
          nowMs = Math.max(nowMs, untilMs);
        };
        for (const { party, count, afterMs } of arrivals) {
          startWhenDue(nowMs + afterMs);
          waiting.push(...many(party, count));
          pace.arrived(party);
          expect(pace.waitMs(nowMs)).toBeLessThanOrEqual(PACE_MS);
        }
        startWhenDue(nowMs + PACE_MS);
        expect(waiting).toEqual([]);
        const early = starts.filter(
          (atMs, index) => index > 0 && atMs - (starts[index - 1] as number) < PACE_MS,
        ).length;
        expect(early).toBeLessThanOrEqual(starts.length - early + 4);
      }),
    );
  });
});
