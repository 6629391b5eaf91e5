import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeState,
  EMPTY_STATE,
  encodeState,
  hash48,
  type RecentChange,
  type ResourceState,
  STATE_VERSION,
} from '../../../src/processors/resource-state.ts';
import {
  addRevision,
  closeLowestGaps,
  countRevisions,
  forgetLowest,
  hasRevision,
  type Revisions,
} from '../../../src/processors/revisions.ts';

const revisions = fc.array(fc.nat({ max: 200 })).map((list): Revisions => list.reduce(addRevision, [] as Revisions));
const ms = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: Date.parse('9999-12-31T23:59:59.999Z') }));
const safe = fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER - 1 });
const recent: fc.Arbitrary<RecentChange> = fc
  .record({
    kind: fc.constantFrom('status' as const, 'satisfaction' as const, 'token' as const, 'breach' as const),
    hash: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    atMs: ms,
    pollOnly: fc.boolean(),
    revision: safe,
  })
  .map((r) => ({ ...r, atMs: r.kind === 'token' ? 0 : r.atMs, revision: r.pollOnly ? r.revision : -1 }));
const state: fc.Arbitrary<ResourceState> = fc.record({
  created: fc.boolean(),
  lastRawOffset: safe,
  topRevision: safe,
  revisions,
  polledRevisions: revisions,
  status: fc.option(
    fc.record({
      value: fc.oneof(fc.constantFrom('open', 'snoozed', 'done'), fc.string({ maxLength: 60 })),
      atMs: ms,
      revision: safe,
    }),
  ),
  reopenCount: fc.option(fc.nat()),
  statusHorizonMs: ms,
  satisfactionHorizonMs: ms,
  breachHorizonMs: ms,
  recents: fc.array(recent, { maxLength: 19 }),
});

describe('the bytes of a resource state', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(state, (value) => {
        expect(decodeState(encodeState(value))).toEqual(value);
      }),
      { numRuns: 2000 },
    );
  });

  it('are few for an empty state, and own their memory', () => {
    const first = encodeState(EMPTY_STATE);
    expect(first.length).toBe(6);
    const copy = Buffer.from(first);
    encodeState({ ...EMPTY_STATE, lastRawOffset: 1e12 });
    expect(first.equals(copy)).toBe(true);
  });

  it('are refused when of another version, cut short or with bytes left over: never taken for an empty state', () => {
    const bytes = encodeState({ ...EMPTY_STATE, revisions: [1, 9], status: { value: 'open', atMs: 5, revision: 2 } });
    expect(() => decodeState(Buffer.from([STATE_VERSION + 1, ...bytes.subarray(1)]))).toThrow(/version 3/);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeState(bytes.subarray(0, length))).toThrow(RangeError);
    }
    expect(() => decodeState(Buffer.concat([bytes, Buffer.from([0])]))).toThrow(/left over/);
  });

  it('without breaches are those of version 1, which earlier releases read; a breach is refused in those', () => {
    const breach = { kind: 'breach', hash: 7, atMs: 9, pollOnly: false, revision: -1 } as const;
    expect(encodeState(EMPTY_STATE)[0]).toBe(1);
    expect(encodeState({ ...EMPTY_STATE, breachHorizonMs: 5 })[0]).toBe(2);
    const bytes = encodeState({ ...EMPTY_STATE, recents: [breach] });
    expect(bytes[0]).toBe(2);
    expect(() => decodeState(Buffer.from([1, ...bytes.subarray(1)]))).toThrow(/unknown kind/);
  });

  it('hash without collisions over 200,000 identities, in 48 bits', () => {
    const seen = new Set<number>();
    for (let i = 0; i < 200_000; i++) seen.add(hash48(`conversation:c1:status:open@2026-03-25T10:15:42.${i}Z`));
    expect(seen.size).toBe(200_000);
    for (const hash of seen) if (!(hash >= 0 && hash < 2 ** 48)) throw new Error(`${hash} is no 48-bit number`);
  });
});

describe('a set of revisions', () => {
  it('holds exactly what was added, as disjoint intervals that do not touch', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 60 })), (list) => {
        const set = list.reduce(addRevision, [] as Revisions);
        for (let revision = 0; revision <= 61; revision++) {
          expect(hasRevision(set, revision)).toBe(list.includes(revision));
        }
        for (let i = 1; i < set.length; i++) {
          const distance = (set[i] as number) - (set[i - 1] as number);
          expect(distance).toBeGreaterThanOrEqual(i % 2 === 1 ? 0 : 2);
        }
      }),
    );
  });

  it('counts what lies between two revisions', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 60 })), fc.nat({ max: 60 }), fc.nat({ max: 60 }), (list, low, high) => {
        const set = list.reduce(addRevision, [] as Revisions);
        const between = new Set(list.filter((revision) => low <= revision && revision <= high));
        expect(countRevisions(set, low, high)).toBe(between.size);
      }),
    );
  });

  it('closes the lowest gaps or forgets the lowest intervals when it grows too large, and keeps the upper ones', () => {
    const set = [2, 3, 7, 7, 10, 12, 20, 20];
    expect(closeLowestGaps(set, 2)).toEqual([2, 12, 20, 20]);
    expect(closeLowestGaps(set, 4)).toBe(set);
    expect(forgetLowest(set, 2)).toEqual([10, 12, 20, 20]);
    expect(forgetLowest(set, 4)).toBe(set);
  });
});
