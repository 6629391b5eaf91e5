/** E1 to E5 of src/ingest/enrich/plan.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EnrichMemory } from '../../../../src/ingest/enrich/memory.ts';
import { ENRICH_SETTINGS, planErrands, type Wish } from '../../../../src/ingest/enrich/plan.ts';

const NOW = Date.UTC(2026, 0, 1);
const wish = (customerId: string, more: Partial<Wish> = {}): Wish => ({
  tenantId: 't_acme',
  connectionId: 'cn_acme',
  customerId,
  lane: 'poll',
  askedAtMs: NOW,
  ...more,
});
const plan = (wishes: readonly Wish[], memory = new EnrichMemory()) =>
  planErrands(wishes, memory, ENRICH_SETTINGS, NOW);

describe('errands', () => {
  it('E1: one per customer of a connection; every wish is in exactly one', () => {
    const any = fc.record({
      tenantId: fc.constantFrom('t_acme', 't_other'),
      connectionId: fc.constantFrom('cn_acme', 'cn_two'),
      customerId: fc.constantFrom('a', 'b', 'c'),
      lane: fc.constantFrom('poll' as const, 'backfill' as const),
      askedAtMs: fc.integer({ min: NOW - 100_000, max: NOW }),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 40 }), (wishes) => {
        const errands = plan(wishes);
        const places = errands.flatMap((errand) => errand.wishes);
        expect(places.toSorted((a, b) => a - b)).toEqual(wishes.map((_, index) => index));
        const keys = errands.map(
          ({ tenantId, connectionId, customerId }) => `${tenantId} ${connectionId} ${customerId}`,
        );
        expect(new Set(keys).size).toBe(keys.length);
        for (const errand of errands) {
          for (const place of errand.wishes) {
            const { tenantId, connectionId, customerId } = wishes[place] as Wish;
            expect({ tenantId, connectionId, customerId }).toEqual({
              tenantId: errand.tenantId,
              connectionId: errand.connectionId,
              customerId: errand.customerId,
            });
          }
          // E2: the first to ask counts.
          if (errand.kind !== 'read') throw new Error('nothing is remembered here');
          const first = wishes[errand.wishes[0] as number] as Wish;
          expect(errand.deadlineMs).toBe(Math.max(first.askedAtMs + 30_000, NOW + 1000));
          const isPresent = errand.wishes.some((place) => wishes[place]?.lane === 'poll');
          expect(errand.lane).toBe(isPresent ? 'poll' : 'backfill');
        }
      }),
    );
  });

  it('E3: a congested connection gets the grace only, and nothing where it has waited too long; others are not touched', () => {
    const memory = new EnrichMemory();
    memory.congested('cn_acme', 'poll', NOW + 1);
    const late = NOW - ENRICH_SETTINGS.maxWaitMs;
    expect(
      plan([wish('a'), wish('b', { askedAtMs: late }), wish('c', { connectionId: 'cn_two', askedAtMs: late })], memory),
    ).toEqual([
      expect.objectContaining({ customerId: 'a', kind: 'read', deadlineMs: NOW + 1000 }),
      expect.objectContaining({ customerId: 'b', kind: 'answered', state: 'skipped' }),
      expect.objectContaining({ customerId: 'c', kind: 'read', deadlineMs: NOW + 1000 }),
    ]);
    expect(planErrands([wish('a')], memory, ENRICH_SETTINGS, NOW + 1)).toMatchObject([{ deadlineMs: NOW + 30_000 }]);
  });

  it('E4: a refusal is remembered for its time, and told once', () => {
    const memory = new EnrichMemory();
    const refusal = { connectionId: 'cn_acme', state: 'forbidden', reason: 'no role', untilMs: NOW + 1 } as const;
    expect(memory.refuse(refusal)).toBe(true);
    expect(memory.refuse({ ...refusal, untilMs: NOW + 2 })).toBe(false);
    expect(plan([wish('a'), wish('a', { connectionId: 'cn_two' })], memory)).toMatchObject([
      { kind: 'answered', state: 'forbidden' },
      { kind: 'read' },
    ]);
    expect(planErrands([wish('a')], memory, ENRICH_SETTINGS, NOW + 2)).toMatchObject([{ kind: 'read' }]);
    expect(memory.refuse({ ...refusal, reason: 'another' })).toBe(true);
    expect([memory.allow('cn_acme'), memory.allow('cn_acme')]).toEqual([true, false]);
    expect(memory.refusals).toEqual([]);
  });

  it('E5: congestion of the backfill is not that of the present', () => {
    const memory = new EnrichMemory();
    memory.congested('cn_acme', 'backfill', NOW + 1);
    const late = { askedAtMs: NOW - 60_000 };
    expect(plan([wish('a', late), wish('b', { ...late, lane: 'backfill' })], memory)).toMatchObject([
      { kind: 'read' },
      { kind: 'answered', state: 'skipped' },
    ]);
  });

  it('is bounded in what it remembers', () => {
    const memory = new EnrichMemory();
    for (let n = 0; n < 10_050; n++) {
      memory.refuse({ connectionId: `cn_${n}`, state: 'forbidden', reason: '', untilMs: NOW + 1 });
    }
    expect(memory.refusals.length).toBe(10_000);
    expect(memory.refusal('cn_0', NOW)).toBeNull();
    expect(memory.refusal('cn_10049', NOW)).not.toBeNull();
  });
});
