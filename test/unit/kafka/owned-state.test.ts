/** The state of an owned partition, against a Map. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OwnedState } from '../../../src/kafka/owned-state.ts';

const MAX_BYTES = 2 ** 40;
const newState = (maxBytes = MAX_BYTES) => new OwnedState({ topic: 't', partition: 3, maxBytes });

const keys = [
  ...Array.from({ length: 6 }, (_, n) => `${n}`.repeat(32)),
  ...Array.from({ length: 6 }, (_, n) => `${n}`.repeat(31)),
  'A'.repeat(32),
  '',
  '~progress',
  'ключ',
  '\u0000barrier',
  'long'.repeat(63),
  'long'.repeat(64),
  'very long'.repeat(1000),
];
const aKey = fc.constantFrom(...keys);
const aValue = fc.oneof(
  { weight: 5, arbitrary: fc.uint8Array({ maxLength: 80 }) },
  { weight: 1, arbitrary: fc.integer({ min: 4000, max: 70_000 }).map((length) => new Uint8Array(length).fill(length)) },
);

describe('the state of an owned partition', () => {
  it('S1: is what a Map would be, whatever is set, replaced and deleted', () => {
    const changes = fc.array(fc.tuple(aKey, fc.option(aValue)), { maxLength: 60 });
    fc.assert(
      fc.property(changes, fc.boolean(), (all, restored) => {
        const state = newState();
        const model = new Map<string, Buffer>();
        for (const [key, given] of all) {
          const value = given === null ? null : Buffer.from(given);
          if (restored) state.restore(key, value);
          else state.set(key, value);
          if (value === null) model.delete(key);
          else model.set(key, value);
          expect(state.get(key)).toEqual(model.get(key));
        }
        expect(new Map(state.entries())).toEqual(model);
        expect(state.size).toBe(model.size);
        for (const key of keys) expect(state.get(key)).toEqual(model.get(key));
        for (const key of keys) state.set(key, null);
        expect([state.size, state.bytes, [...state.entries()]]).toEqual([0, 0, []]);
      }),
      { numRuns: 500 },
    );
  });

  it('S1: what it gave stays as it was', () => {
    const state = newState();
    state.set('a', Buffer.from('before'));
    const before = state.get('a');
    const [entry] = [...state.entries()];
    state.set('a', Buffer.from('behind'));
    expect([String(before), String(entry?.[1])]).toEqual(['before', 'before']);
  });

  it('S2: its entries may be walked while it changes', () => {
    const state = newState();
    const key = (n: number) => n.toString(16).padStart(32, '0');
    for (let n = 0; n < 5000; n++) state.set(key(n), Buffer.from(`${n}`));
    const seen = new Set<string>();
    for (const [found] of state.entries()) {
      seen.add(found);
      // Its own values change in place; nothing moves.
      state.set(found, Buffer.from('new'));
    }
    expect(seen.size).toBe(5000);
    for (const [found] of state.entries()) state.set(found, null);
    // Deleting closes gaps, so some were moved to where it had already looked.
    expect(state.size).toBeLessThan(2500);
  });

  it('is swept a little at a time, every entry once a round, the large ones too', () => {
    const state = newState();
    for (const key of keys) state.set(key, Buffer.from('x'));
    state.set('large', Buffer.alloc(5000, 'y'));
    const round = () => {
      const found: string[] = [];
      let looks = 0;
      const isWanted = (value: Buffer) => {
        looks++;
        return value.toString('utf8', 0, 1) !== 'z';
      };
      for (let more = true; more; ) {
        const before = looks;
        found.push(...state.sweep(4, isWanted));
        more = looks - before === 4;
      }
      return found;
    };
    const all = [...new Set([...keys, 'large'])].sort();
    expect(round().sort()).toEqual(all);
    state.set('A'.repeat(32), Buffer.from('z'));
    state.set('large', null);
    expect(round().sort()).toEqual(all.filter((key) => key !== 'A'.repeat(32) && key !== 'large'));
  });

  it('S3: costs the sum of what each entry costs, and refuses before it is passed', () => {
    const one = newState();
    one.set('a'.repeat(32), Buffer.alloc(60));
    const each = one.bytes;
    const state = newState(each * 10);
    const key = (n: number) => n.toString(16).padStart(32, '0');
    for (let n = 0; n < 10; n++) {
      state.assertFits(new Map([[key(n), Buffer.alloc(60)]]));
      state.set(key(n), Buffer.alloc(60));
    }
    expect(state.bytes).toBe(each * 10);
    const another = new Map([[key(10), Buffer.alloc(60)]]);
    expect(() => state.assertFits(another)).toThrow(expect.objectContaining({ code: 'state_full' }));
    expect(() => state.assertFits(new Map([[key(0), Buffer.alloc(90)]]))).toThrow();
    state.assertFits(new Map([[key(0), null], ...another]));
    expect(state.get(key(10))).toBeUndefined();
  });

  it('what is read back may pass the bound once over, and no further', () => {
    const state = newState(1000);
    state.restore('a', Buffer.alloc(1200));
    expect(state.get('a')).toHaveLength(1200);
    expect(() => state.restore('b', Buffer.alloc(1200))).toThrow(expect.objectContaining({ code: 'state_full' }));
  });
});
