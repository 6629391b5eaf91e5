/** Cites the invariants of fair-shares.ts (S). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFairShares, GREED } from '../../../src/base/fair-shares.ts';

/** Takes one at a time until there is no more. */
function takeAll(shares: ReturnType<typeof createFairShares>, party: string): number {
  let taken = 0;
  while (shares.take(party, 1) === 'taken') taken += 1;
  return taken;
}

describe('fair shares', () => {
  it('S2: one alone gets its part of the room, and not all of it', () => {
    expect(takeAll(createFairShares(900, 8), 'noisy')).toBe(800);
    expect(takeAll(createFairShares(900, 1), 'noisy')).toBe(450);
    expect(takeAll(createFairShares(900, Number.POSITIVE_INFINITY), 'anybody')).toBe(900);
  });

  it('S3 S4: however many take all they get, in the end there is room for who holds nothing', () => {
    for (const parties of [1, 2, 5, 10]) {
      const shares = createFairShares(10_000);
      const names = Array.from({ length: parties }, (_, party) => `noisy ${party}`);
      for (const name of names) takeAll(shares, name);
      const least = Math.floor(shares.max / (1 + parties * GREED)) - parties * GREED;
      for (let round = 0; shares.max - shares.held < least; round += 1) {
        expect(round, 'rounds until it has evened out').toBeLessThan(10_000);
        for (const name of names) if (shares.of(name) > 0) shares.give(name, 1);
        for (const name of names) shares.take(name, 1);
      }
      expect(shares.take('quiet', shares.max - shares.held)).toBe('taken');
    }
  });

  it('S1 S3 S4: counts what is held, refuses for the share only who has one, and leaves no trace of a refusal', () => {
    const step = fc.record({
      party: fc.constantFrom('a', 'b', 'c'),
      amount: fc.integer({ min: 1, max: 60 }),
      give: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), fc.constantFrom(1, 2, 8), (steps, greed) => {
        const shares = createFairShares(100, greed);
        const held = { a: 0, b: 0, c: 0 };
        const sum = () => held.a + held.b + held.c;
        for (const { party: name, amount, give } of steps) {
          const party = name as keyof typeof held;
          if (give) {
            const back = Math.min(amount, held[party]);
            shares.give(party, back);
            held[party] -= back;
          } else {
            const outcome = shares.take(party, amount);
            expect(outcome === 'full').toBe(sum() + amount > 100);
            if (outcome === 'share')
              expect(held[party] > 0 && held[party] + amount > greed * (100 - sum() - amount)).toBe(true);
            if (held[party] === 0) expect(outcome).not.toBe('share');
            if (outcome === 'taken') held[party] += amount;
          }
          expect(shares.held).toBe(sum());
          expect(shares.of(party)).toBe(held[party]);
          expect(shares.held).toBeLessThanOrEqual(shares.max);
        }
      }),
    );
  });
});
