import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../src/simulator/model/random.ts';
import { deliveryTimes, faultsSchema } from '../../../src/simulator/webhooks/faults.ts';

const NONE = faultsSchema.parse({});

describe('faults', () => {
  it('deliver once and at once when there are none (X1)', () => {
    const random = createRandom('x');
    for (let event = 0; event < 100; event += 1) expect(deliveryTimes(NONE, event, random)).toEqual([event]);
  });

  it('drop, duplicate, hold and bundle within their bounds (X2, X3)', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const faults = fc.record({
      duplicate: share,
      drop: share,
      reorder: fc.option(fc.record({ fraction: share, windowMs: fc.integer({ min: 1, max: 5000 }) })),
      delay: fc.option(fc.record({ fraction: share, maxMs: fc.integer({ min: 1, max: 5000 }) })),
      burst: fc.option(fc.record({ everyMs: fc.integer({ min: 1, max: 5000 }) })),
    });
    fc.assert(
      fc.property(faults, fc.nat(1_000_000), fc.string(), (options, nowMs, seed) => {
        const config = faultsSchema.parse(options);
        const times = deliveryTimes(config, nowMs, createRandom(seed));
        const bound = (config.reorder?.windowMs ?? 0) + (config.delay?.maxMs ?? 0) + (config.burst?.everyMs ?? 0);
        expect(times.length).toBeLessThanOrEqual(2);
        expect(times).toEqual([...times].sort((a, b) => a - b));
        for (const time of times) {
          expect(time).toBeGreaterThanOrEqual(nowMs);
          expect(time).toBeLessThanOrEqual(nowMs + bound);
          if (config.burst !== null) expect(time % config.burst.everyMs).toBe(0);
        }
        expect(deliveryTimes(config, nowMs, createRandom(seed))).toEqual(times);
      }),
    );
  });

  it('happen about as often as asked', () => {
    const random = createRandom('often');
    const config = faultsSchema.parse({ duplicate: 0.2, drop: 0.1 });
    const counts = [0, 0, 0];
    for (let event = 0; event < 10_000; event += 1) {
      const { length } = deliveryTimes(config, 0, random);
      counts[length] = (counts[length] ?? 0) + 1;
    }
    expect(counts[0]).toBeGreaterThan(850);
    expect(counts[0]).toBeLessThan(1150);
    expect(counts[2]).toBeGreaterThan(1600);
    expect(counts[2]).toBeLessThan(2000);
  });

  it('refuse unknown names and fractions beyond 1', () => {
    expect(faultsSchema.safeParse({ duplicates: 0.1 }).success).toBe(false);
    expect(faultsSchema.safeParse({ drop: 1.1 }).success).toBe(false);
  });
});
