import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyedWindow } from '../../../src/simulator/limits/keyed-window.ts';
import { RateWindow } from '../../../src/simulator/limits/rate-window.ts';

const WINDOW_MS = 60_000;

describe('a rate window', () => {
  it('keeps its budget whatever is asked of it (B1–B5)', () => {
    const steps = fc.array(fc.record({ waitMs: fc.nat(20_000), takes: fc.nat(12) }), { maxLength: 60 });
    fc.assert(
      fc.property(fc.nat(40), fc.nat(120), steps, (limit, greedy, plan) => {
        const window = new RateWindow({ limit, windowMs: WINDOW_MS, greedy });
        let nowMs = 1_700_000_000_000;
        let last = { startMs: -1, remaining: 0 };
        for (const { waitMs, takes } of plan) {
          nowMs += waitMs;
          const startMs = Math.floor(nowMs / WINDOW_MS) * WINDOW_MS;
          for (let take = 0; take <= takes; take += 1) {
            const before = window.look(nowMs);
            expect(before.resetMs).toBe(startMs + WINDOW_MS);
            if (startMs === last.startMs) expect(before.remaining).toBeLessThanOrEqual(last.remaining);
            else expect(before.remaining).toBeGreaterThanOrEqual(limit - Math.ceil(greedy));
            const oursBefore = window.taken.ours;
            const granted = window.take(nowMs);
            expect(granted).toBe(before.remaining > 0);
            const { ours, others } = window.taken;
            expect(ours).toBe(oursBefore + (granted ? 1 : 0));
            expect(ours + others).toBeLessThanOrEqual(limit);
            expect(others).toBeLessThanOrEqual(Math.floor((greedy * (nowMs - startMs)) / WINDOW_MS));
            last = { startMs, remaining: window.look(nowMs).remaining };
            expect(last.remaining).toBe(limit - ours - others);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('falls without us at the rate of the other (B5)', () => {
    const window = new RateWindow({ limit: 100, windowMs: WINDOW_MS, greedy: 60 });
    expect(window.look(0).remaining).toBe(100);
    expect(window.look(30_000).remaining).toBe(70);
    expect(window.look(59_999).remaining).toBe(41);
    expect(window.look(60_000).remaining).toBe(100);
  });

  it('stays in the window it had reached when the clock goes back', () => {
    const window = new RateWindow({ limit: 1, windowMs: WINDOW_MS, greedy: 0 });
    expect(window.take(60_000)).toBe(true);
    expect(window.take(59_999)).toBe(false);
  });
});

describe('a window per key', () => {
  it('limits each key for itself and forgets with the window', () => {
    const window = new KeyedWindow(WINDOW_MS);
    const take = (key: string, nowMs: number): boolean => window.take(key, 2, nowMs);
    expect([take('a', 0), take('a', 1), take('a', 2), take('b', 3)]).toEqual([true, true, false, true]);
    expect(take('a', 60_000)).toBe(true);
    expect(window.resetMs(60_001)).toBe(120_000);
  });
});
