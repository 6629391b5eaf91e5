import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createResource, type Resource } from '../../../src/simulator/model/resource.ts';
import { compare, Shelf } from '../../../src/simulator/search/shelf.ts';

const MAX_CHUNK = 4;
const resource = (id: number, atMs: number): Resource =>
  createResource('conversation', id.toString(16).padStart(24, '0'), atMs, { deleted: id % 3 === 0 }, {});

describe('a shelf', () => {
  it('keeps the order of a sorted list in chunks that are never empty nor too long (H1, H2)', () => {
    const step = fc.record({ id: fc.nat(25), atMs: fc.nat(15), removes: fc.boolean() });
    const steps = fc.array(step, { maxLength: 120 });
    fc.assert(
      fc.property(steps, fc.nat(15), fc.nat(15), (plan, fromMs, toMs) => {
        const shelf = new Shelf(MAX_CHUNK);
        const model = new Map<string, Resource>();
        for (const { id, atMs, removes } of plan) {
          const one = resource(id, atMs);
          if (removes) shelf.remove(one.id);
          else shelf.put(one);
          if (removes) model.delete(one.id);
          else model.set(one.id, one);
          for (const size of shelf.chunkSizes) {
            expect(size).toBeGreaterThan(0);
            expect(size).toBeLessThanOrEqual(MAX_CHUNK);
          }
        }
        const sorted = [...model.values()].sort(compare);
        expect(shelf.slice(0, sorted.length + 5)).toEqual(sorted);
        expect(shelf.deleted).toBe(sorted.filter(({ attributes }) => attributes['deleted']).length);
        const inside = sorted.filter(({ updatedAtMs }) => updatedAtMs >= fromMs && updatedAtMs <= toMs);
        const [first, beyond] = shelf.range(fromMs, toMs);
        expect(shelf.slice(first, beyond)).toEqual(inside);
        expect(shelf.slice(first + 1, Math.min(beyond, first + 3))).toEqual(inside.slice(1, 3));
      }),
      { numRuns: 500 },
    );
  });
});
