/** Cites the invariants of pace.ts (P). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pace } from '../../../src/kafka/pace.ts';

describe('the pace of a shard', () => {
  it('P1: what waits, waits for company of its own kind', () => {
    const pace = new Pace(25);
    expect(pace.waitMs(0)).toBe(0);
    pace.arrived('noisy');
    pace.started(['noisy'], 0);
    expect(pace.arrived('noisy')).toBe(false);
    expect([pace.waitMs(0), pace.waitMs(10), pace.waitMs(25), pace.waitMs(99)]).toEqual([25, 15, 0, 0]);
  });

  it('P2: a tenant that sends little does not wait for the company of one that sends much', () => {
    const pace = new Pace(25);
    pace.started(['noisy'], 0);
    expect(pace.arrived('quiet')).toBe(true);
    expect(pace.waitMs(3)).toBe(0);
    pace.started(['noisy', 'quiet'], 3);
    expect(pace.waitMs(3), 'the pace begins anew').toBe(25);
  });

  it('P2 P3: only one early start follows a paced one, whoever asks for it', () => {
    const pace = new Pace(25);
    pace.started(['noisy'], 0);
    pace.arrived('quiet');
    pace.started(['quiet'], 5);
    expect(pace.arrived('another')).toBe(false);
    expect(pace.waitMs(6)).toBe(24);
    pace.started(['noisy', 'another'], 30);
    expect(pace.arrived('quiet'), 'it was not in the last paced one').toBe(true);
    expect(pace.arrived('another')).toBe(false);
  });

  it('P1 P3: at most twice as many starts as the pace allows, whatever comes and whenever', () => {
    const arrival = fc.record({
      party: fc.constantFrom('a', 'a', 'b', 'c', 'd'),
      afterMs: fc.integer({ min: 0, max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 200 }), (arrivals) => {
        const paceMs = 25;
        const pace = new Pace(paceMs);
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
        for (const { party, afterMs } of arrivals) {
          startWhenDue(nowMs + afterMs);
          waiting.push(party);
          pace.arrived(party);
          expect(pace.waitMs(nowMs)).toBeLessThanOrEqual(paceMs);
        }
        startWhenDue(nowMs + paceMs);
        expect(waiting).toEqual([]);
        // Of any three starts in a row, the two steps between them are not both early.
        for (let at = 2; at < starts.length; at += 1)
          expect((starts[at] as number) - (starts[at - 2] as number)).toBeGreaterThanOrEqual(paceMs);
      }),
    );
  });
});
