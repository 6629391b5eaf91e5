/** Cites the invariants of fifo.ts (F1, F2); a plain list is the model. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Fifo } from '../../../../src/fibric/policy/fifo.ts';

interface Item {
  readonly id: string;
  readonly n: number;
}

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant({ do: 'push' as const, by: 0 }) },
    fc.record({ do: fc.constantFrom('drop' as const, 'without' as const, 'keep' as const), by: fc.nat(12) }),
  ),
  { maxLength: 60 },
);

it('F1, F2: keeps order and ids as a list does, in chunks that never change', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 4 }), (list, perChunk) => {
      let fifo = Fifo.empty<Item>(perChunk);
      let model: readonly Item[] = [];
      const seen = new Map<object, string>();
      let next = 0;
      for (const { do: what, by } of list) {
        if (what === 'push') {
          const item = { id: `i${next}`, n: next };
          next += 1;
          fifo = fifo.push(item);
          model = [...model, item];
        } else if (what === 'drop') {
          const before = next - by;
          fifo = fifo.dropWhile(({ n }) => n < before);
          model = model.filter(({ n }) => n >= before);
        } else if (what === 'without') {
          fifo = fifo.without(`i${next - by}`);
          model = model.filter(({ n }) => n !== next - by);
        } else {
          fifo = fifo.keepLatest(by);
          expect(fifo.size).toBeGreaterThanOrEqual(Math.min(by, model.length));
          expect(fifo.size).toBeLessThan(by + perChunk + (by === 0 ? 1 : 0));
          model = model.slice(model.length - fifo.size);
        }
        expect(fifo.chunks.flatMap(({ entries }) => entries)).toEqual(model);
        expect(fifo.size).toBe(model.length);
        const numbers = fifo.chunks.map(({ number }) => number);
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
        for (const chunk of fifo.chunks) {
          expect(chunk.entries.length).toBeGreaterThan(0);
          expect(chunk.entries.length).toBeLessThanOrEqual(perChunk);
          expect(seen.get(chunk) ?? JSON.stringify(chunk)).toBe(JSON.stringify(chunk));
          seen.set(chunk, JSON.stringify(chunk));
        }
        for (let n = 0; n < next; n++) expect(fifo.find(`i${n}`)).toEqual(model.find((item) => item.n === n));
        expect([fifo.at(-1), fifo.at(0), fifo.at(model.length)]).toEqual([undefined, model[0], undefined]);
        expect(fifo.countWhile(({ n }) => n < next - by)).toBe(model.filter(({ n }) => n < next - by).length);
        expect(fifo.withChunks(fifo.chunks.toReversed())).toEqual(fifo);
      }
    }),
    { numRuns: 500 },
  );
});
