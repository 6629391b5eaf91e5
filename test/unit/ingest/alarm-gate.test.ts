import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAlarmGate } from '../../../src/ingest/alarm-gate.ts';

describe('the alarm gate', () => {
  it('reports at once, then the held back ones once per interval', () => {
    const gate = createAlarmGate({ intervalMs: 60_000, maxKinds: 10 });
    expect(gate.note('a', 0)).toBe(1);
    expect(gate.note('a', 1)).toBe(0);
    expect(gate.note('b', 2)).toBe(1);
    expect(gate.note('a', 59_999)).toBe(0);
    expect(gate.note('a', 60_000)).toBe(3);
    expect(gate.note('a', 60_001)).toBe(0);
  });

  it('loses no occurrence and never reports a kind twice in an interval, while it knows all kinds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ kind: fc.constantFrom('a', 'b', 'c'), waitMs: fc.nat({ max: 80 }) })),
        (notes) => {
          const gate = createAlarmGate({ intervalMs: 100, maxKinds: 3 });
          const last = new Map<string, number>();
          let [nowMs, reported] = [0, 0];
          for (const { kind, waitMs } of notes) {
            nowMs += waitMs;
            const count = gate.note(kind, nowMs);
            reported += count;
            if (count === 0) continue;
            expect(nowMs - (last.get(kind) ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(100);
            last.set(kind, nowMs);
          }
          for (const kind of last.keys()) reported += gate.note(kind, nowMs + 100) - 1;
          expect(reported).toBe(notes.length);
        },
      ),
    );
  });

  it('forgets the oldest kind rather than grow', () => {
    const gate = createAlarmGate({ intervalMs: 60_000, maxKinds: 2 });
    for (const kind of ['a', 'b', 'c']) expect(gate.note(kind, 0)).toBe(1);
    expect(gate.note('c', 1)).toBe(0);
    expect(gate.note('a', 1)).toBe(1);
  });
});
