/** Cites the invariants of fifo.ts (F1, F2); a plain list is the model. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Chunk, Fifo } from '../../../../src/fibric/policy/fifo.ts';

interface Item {
  readonly id: string;
  readonly n: number;
}

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant({ do: 'push' as const, by: 0 }) },
    fc.record({
      do: fc.constantFrom('drop' as const, 'without' as const, 'keep' as const, 'again' as const, 'back' as const),
      by: fc.nat(12),
    }),
  ),
  { maxLength: 60 },
);

const shown = ({ number, entries }: Chunk<Item>) => JSON.stringify([number, entries]);

it('F1, F2: keeps order and ids as a list does, in chunks that never change', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 4 }), (list, perChunk) => {
      let fifo = Fifo.empty<Item>(perChunk);
      let model: readonly Item[] = [];
      const seen = new Map<Fifo<Item>['chunks'][number], string>();
      const versions = [{ fifo, model }];
      let next = 0;
      for (const { do: what, by } of list) {
        if (what === 'push') {
          const item = { id: `i${next}`, n: next };
          next += 1;
          fifo = fifo.push(item);
          model = [...model, item];
        } else if (what === 'again') {
          // Of an id that is over: as a grant that is asked for once more.
          const item = { id: `i${next - by}`, n: next - by };
          if (by > 0 && by <= next && !model.some(({ id }) => id === item.id)) {
            fifo = fifo.push(item);
            model = [...model, item];
          }
        } else if (what === 'back') {
          ({ fifo, model } = versions[versions.length - 1 - (by % versions.length)] as (typeof versions)[number]);
        } else if (what === 'drop') {
          const before = next - by;
          const standing = model.findIndex(({ n }) => n >= before);
          fifo = fifo.dropWhile(({ n }) => n < before);
          model = standing === -1 ? [] : model.slice(standing);
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
          expect(chunk.entries.map((_, index) => chunk.at(index))).toEqual(chunk.entries);
        }
        for (let n = 0; n < next; n++) expect(fifo.find(`i${n}`)).toEqual(model.find((item) => item.n === n));
        expect([fifo.at(-1), fifo.at(0), fifo.at(model.length)]).toEqual([undefined, model[0], undefined]);
        const standing = model.findIndex(({ n }) => n >= next - by);
        expect(fifo.countWhile(({ n }) => n < next - by)).toBe(standing === -1 ? model.length : standing);
        const again = fifo.withChunks(fifo.chunks.toReversed());
        expect(again.chunks.map(shown)).toEqual(fifo.chunks.map(shown));
        versions.push({ fifo, model });
        for (const { chunks } of [fifo, again])
          for (const chunk of chunks) seen.set(chunk, seen.get(chunk) ?? shown(chunk));
        for (const [chunk, before] of seen) {
          expect(shown(chunk)).toBe(before);
          for (const entry of chunk.entries) expect(chunk.find(entry.id)).toBe(entry);
        }
      }
    }),
    { numRuns: 500 },
  );
});

it('F2: an id that is over and comes again is found in both queues, each its own', () => {
  const [old, other, anew] = [
    { id: 'a', n: 0 },
    { id: 'b', n: 1 },
    { id: 'a', n: 2 },
  ];
  const before = Fifo.empty<Item>(4).push(old).push(other);
  const after = before.dropWhile(({ n }) => n < 1).push(anew);
  expect([before.find('a'), before.find('b')]).toEqual([old, other]);
  expect([after.find('a'), after.find('b')]).toEqual([anew, other]);
});
