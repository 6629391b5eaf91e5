import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteBudget } from '../../../src/kafka/byte-budget.ts';
import { StateSegment } from '../../../src/kafka/state-segment.ts';

const MINUTE = 30_000_000;

function segment(capacity: number, maxBytes = 1024 * 1024) {
  const budget = new ByteBudget(maxBytes);
  return { budget, segment: new StateSegment({ budget, capacity, arenaUnits: 8 }) };
}

/** Fingerprints that crowd a few homes, most of them at the end, where probing wraps round to the front. */
const low = fc.constantFrom(0, 1, 0x10000000, 0x7fffffff, -0x80000000, -0x10000000, -3, -2, -1);
const high = fc.constantFrom(1, 2, 3, -1, 0x7fffffff);
const step = fc.record({
  kind: fc.constantFrom('set', 'set', 'set', 'delete', 'delete', 'expire', 'trim'),
  low,
  high,
  length: fc.oneof(fc.nat(30), fc.nat(700)),
  minute: fc.nat(6),
});

describe('StateSegment', () => {
  it('G1–G3: entries that crowd and wrap are found, replaced, removed and expired like those of a Map', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 24 }), fc.array(step, { maxLength: 150 }), (capacity, steps) => {
        const { segment: tested, budget } = segment(capacity);
        const model = new Map<string, { low: number; high: number; value: Buffer; minute: number }>();
        for (const [index, { kind, low, high, length, minute }] of steps.entries()) {
          const name = `${low}:${high}`;
          if (kind === 'set') {
            const value = Buffer.alloc(length, index);
            tested.set(low, high, value, MINUTE + minute);
            model.set(name, { low, high, value, minute: MINUTE + minute });
          } else if (kind === 'delete') {
            expect(tested.delete(low, high)).toBe(model.delete(name));
          } else if (kind === 'expire') {
            const old = [...model].filter(([, entry]) => entry.minute < MINUTE + minute);
            expect(tested.expire(MINUTE + minute, 0, tested.capacity)).toBe(old.length);
            for (const [gone] of old) model.delete(gone);
          } else tested.trim();
          expect(tested.count).toBe(model.size);
          expect(tested.count / tested.capacity).toBeLessThanOrEqual(0.75); // G2
          for (const entry of model.values()) expect(tested.get(entry.low, entry.high)?.equals(entry.value)).toBe(true);
          if (!model.has(name)) expect(tested.get(low, high)).toBeUndefined();
        }
        expect(budget.usedBytes).toBe(tested.allocatedBytes);
      }),
      { numRuns: 1_000 },
    );
  });

  it('G4: what does not fit throws and leaves every entry as it was', () => {
    fc.assert(
      fc.property(fc.integer({ min: 400, max: 6_000 }), fc.array(step, { maxLength: 120 }), (maxBytes, steps) => {
        const { segment: tested, budget } = segment(6, maxBytes);
        const model = new Map<string, Buffer>();
        for (const [index, { low, high, length, minute }] of steps.entries()) {
          const name = `${low}:${high}`;
          const value = Buffer.alloc(length, index);
          try {
            tested.set(low, high, value, MINUTE + minute);
            model.set(name, value);
          } catch (error) {
            expect(error).toMatchObject({ code: 'state_full' });
          }
          expect(budget.usedBytes).toBeLessThanOrEqual(maxBytes);
          expect(tested.count).toBe(model.size);
          expect(tested.get(low, high)?.toString('hex')).toBe(model.get(name)?.toString('hex'));
        }
        for (const [name, value] of model) {
          const [low, high] = name.split(':').map(Number) as [number, number];
          expect(tested.get(low, high)?.equals(value)).toBe(true);
        }
        expect(budget.usedBytes).toBe(tested.allocatedBytes);
      }),
      { numRuns: 500 },
    );
  });
});
