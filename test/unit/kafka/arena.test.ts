import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena, MAX_VALUE_BYTES, NO_CELL, unitsFor } from '../../../src/kafka/arena.ts';

describe('Arena', () => {
  it('A1: values do not disturb one another, whatever is added, overwritten and freed', () => {
    const step = fc.record({
      kind: fc.constantFrom('add', 'write', 'free'),
      pick: fc.nat(),
      length: fc.nat(700),
      fill: fc.nat(255),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const arena = new Arena(8);
        const live = new Map<number, Buffer>();
        let freedUnits = 0;
        for (const { kind, pick, length, fill } of steps) {
          const cell = [...live.keys()][pick % Math.max(live.size, 1)];
          if (kind === 'add' || cell === undefined) {
            const value = Buffer.alloc(length, fill);
            let added = arena.add(value);
            if (added === NO_CELL) {
              arena.grow(arena.allocatedBytes / 8 + unitsFor(length));
              added = arena.add(value);
            }
            expect(added).not.toBe(NO_CELL);
            expect(live.has(added)).toBe(false);
            live.set(added, value);
          } else if (kind === 'write') {
            const old = live.get(cell) as Buffer;
            const value = Buffer.alloc(unitsFor(length) === unitsFor(old.length) ? length : old.length, fill);
            arena.write(cell, value);
            live.set(cell, value);
          } else {
            freedUnits += arena.unitsAt(cell);
            arena.free(cell);
            live.delete(cell);
          }
          for (const [at, value] of live) expect(arena.read(at).equals(value)).toBe(true);
          const units = [...live.values()].reduce((sum, value) => sum + unitsFor(value.length), 1);
          expect(arena.usedUnits).toBe(units);
          expect(arena.wastedBytes).toBeLessThanOrEqual(freedUnits * 8);
        }
      }),
    );
  });

  it('A2: a freed cell is used again for the same size, and only once', () => {
    const arena = new Arena(64);
    const first = arena.add(Buffer.alloc(60));
    arena.add(Buffer.alloc(60));
    arena.free(first);
    expect(arena.wastedBytes).toBe(64);
    expect(arena.add(Buffer.alloc(10))).not.toBe(first);
    expect(arena.add(Buffer.alloc(57))).toBe(first);
    expect(arena.wastedBytes).toBe(0);
    expect(arena.add(Buffer.alloc(60))).not.toBe(first);
  });

  it('A2: all freed cells of a size come back, in whatever order they were freed', () => {
    const arena = new Arena(1 + 5 * 8);
    const cells = [1, 2, 3, 4, 5].map((fill) => arena.add(Buffer.alloc(60, fill)));
    for (const index of [3, 0, 4, 1]) arena.free(cells[index] as number);
    const again = [6, 7, 8, 9].map((fill) => arena.add(Buffer.alloc(60, fill)));
    expect([...again, cells[2]].sort()).toEqual([...cells].sort());
    expect(arena.add(Buffer.alloc(60))).toBe(NO_CELL);
    expect(arena.read(cells[2] as number)[0]).toBe(3);
  });

  it('A3: says so when there is no room, and keeps what it has', () => {
    const arena = new Arena(3);
    const cell = arena.add(Buffer.from('twelve bytes'));
    expect(arena.add(Buffer.from('x'))).toBe(NO_CELL);
    expect(arena.read(cell).toString()).toBe('twelve bytes');
  });

  it('holds the empty value and the longest one', () => {
    const arena = new Arena(unitsFor(MAX_VALUE_BYTES) + 2);
    const longest = Buffer.alloc(MAX_VALUE_BYTES, 9);
    const [empty, full] = [arena.add(Buffer.alloc(0)), arena.add(longest)];
    expect(arena.read(empty).length).toBe(0);
    expect(arena.read(full).equals(longest)).toBe(true);
  });
});
