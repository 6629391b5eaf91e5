import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../src/simulator/model/random.ts';
import { createResource, mutate, type Resource } from '../../../src/simulator/model/resource.ts';
import { parseQuery } from '../../../src/simulator/search/query.ts';
import { SearchIndex } from '../../../src/simulator/search/search-index.ts';
import { type SearchOptions, searchSettingsSchema } from '../../../src/simulator/search/settings.ts';

const START_MS = Date.UTC(2026, 0, 1);
const RULES = { archive: false, sortByAny: true };

const byUpdate = (gteMs = 0, more: object = {}) =>
  parseQuery(
    {
      and: [{ conversation_updated_at: { gte: new Date(gteMs).toISOString() } }],
      sort: [{ conversation_updated_at: 'asc' }],
      queryContext: 'conversation',
      ...more,
    },
    RULES,
  );

function indexOf(options: SearchOptions = {}, seed = 'index'): SearchIndex {
  return new SearchIndex(searchSettingsSchema.parse(options), createRandom(seed));
}

const idOf = (n: number): string => n.toString(16).padStart(24, '0');

function made(n: number, nowMs: number): Resource {
  return createResource('conversation', idOf(n), nowMs, { priority: 1, name: '' }, {});
}

function changed(resource: Resource, nowMs: number): Resource {
  const patch = { attributes: { priority: Number(resource.attributes['priority']) + 1 } };
  return mutate(resource, patch, {}, nowMs)?.resource as Resource;
}

function allPages(index: SearchIndex, nowMs: number, pageSize: number, query = byUpdate()): readonly Resource[] {
  const found: Resource[] = [];
  for (let page = 1; ; page += 1) {
    const { items, total } = index.search(query, { nowMs, archive: false, page, pageSize });
    found.push(...items);
    if (page * pageSize >= total) return found;
  }
}

const plan = fc.array(fc.record({ waitMs: fc.nat(3000), which: fc.nat(8) }), { minLength: 1, maxLength: 60 });

describe('a search index', () => {
  it('shows each object once, never too early, never going back, and all of it in the end (N1–N3)', () => {
    const lags = fc.record({
      min: fc.nat(2000),
      spread: fc.nat(5000),
      seed: fc.string(),
      pageSize: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(plan, lags, (steps, { min, spread, seed, pageSize }) => {
        const index = indexOf({ lagMs: { min, max: min + spread } }, seed);
        const truth = new Map<string, Resource[]>();
        const seen = new Map<string, number>();
        let nowMs = START_MS;
        const look = (): readonly Resource[] => {
          const found = allPages(index, nowMs, pageSize);
          expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
          for (const [at, resource] of found.entries()) {
            expect(resource.updatedAtMs + min).toBeLessThanOrEqual(nowMs);
            expect(resource.rev).toBeGreaterThanOrEqual(seen.get(resource.id) ?? 0);
            seen.set(resource.id, resource.rev);
            if (at > 0) expect(resource.updatedAtMs).toBeGreaterThanOrEqual((found[at - 1] as Resource).updatedAtMs);
          }
          return found;
        };
        for (const { waitMs, which } of steps) {
          nowMs += waitMs;
          const revisions = truth.get(idOf(which)) ?? [];
          const last = revisions.at(-1);
          const next = last === undefined ? made(which, nowMs) : changed(last, nowMs);
          truth.set(idOf(which), [...revisions, next]);
          index.add(next);
          for (const found of look()) expect(truth.get(found.id)).toContain(found);
        }
        nowMs += min + spread + 61;
        expect(new Map(look().map(({ id, rev }) => [id, rev]))).toEqual(
          new Map([...truth].map(([id, revisions]) => [id, revisions.length])),
        );
        expect(index.waiting).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('finds by bounds exactly what a scan finds, ties included', () => {
    const times = fc.array(fc.nat(20), { maxLength: 60 });
    fc.assert(
      fc.property(times, fc.nat(20), fc.nat(20), fc.boolean(), (offsets, from, to, strict) => {
        const index = indexOf();
        const all = offsets.map((offset, n) => made(n, START_MS + offset));
        for (const resource of all) index.add(resource);
        const iso = (offset: number): string => new Date(START_MS + offset).toISOString();
        const bounds = { [strict ? 'gt' : 'gte']: iso(from), [strict ? 'lt' : 'lte']: iso(to) };
        const query = byUpdate(0, { and: [{ conversation_updated_at: bounds }] });
        const found = allPages(index, START_MS + 100, 7, query).map(({ id }) => id);
        const inside = (offset: number): boolean =>
          strict ? offset > from && offset < to : offset >= from && offset <= to;
        const expected = offsets.flatMap((offset, n) => (inside(offset) ? [{ offset, id: idOf(n) }] : []));
        expected.sort((a, b) => a.offset - b.offset || (a.id < b.id ? -1 : 1));
        expect(found).toEqual(expected.map(({ id }) => id));
      }),
      { numRuns: 300 },
    );
  });

  it('divides at the horizon between search and archive (N4)', () => {
    const index = indexOf({ horizonMs: 1000 });
    for (const [n, ageMs] of [999, 1000, 1001].entries()) index.add(made(n, START_MS - ageMs));
    const asked = { nowMs: START_MS, page: 1, pageSize: 10 };
    const ids = (archive: boolean) => index.search(byUpdate(), { ...asked, archive }).items.map(({ id }) => id);
    expect(ids(false)).toEqual([idOf(1), idOf(0)]);
    expect(ids(true)).toEqual([idOf(2)]);
  });

  it('shows stale copies, where they were, when told to', () => {
    const index = indexOf({ stale: 0.5 });
    const first = made(1, START_MS);
    const second = changed(first, START_MS + 1000);
    index.add(first);
    index.add(second);
    const shown = Array.from({ length: 60 }, () => allPages(index, START_MS + 5000, 10)[0]?.rev);
    expect(new Set(shown)).toEqual(new Set([1, 2]));
    const late = Array.from(
      { length: 60 },
      () => allPages(index, START_MS + 5000, 10, byUpdate(START_MS + 500)).length,
    );
    expect(new Set(late)).toEqual(new Set([0, 1]));
    index.configure(searchSettingsSchema.parse({}));
    expect(allPages(index, START_MS + 5000, 10)[0]?.rev).toBe(2);
  });

  it('gives ties in another order each time when told to, but the same ones', () => {
    const index = indexOf({ ties: 'shuffled' });
    for (let n = 0; n < 20; n += 1) index.add(made(n, START_MS));
    const order = () => allPages(index, START_MS, 100).map(({ id }) => id);
    const [first, second] = [order(), order()];
    expect(first).not.toEqual(second);
    expect([...first].sort()).toEqual([...second].sort());
  });

  it('ignores a sort it does not know when told to', () => {
    const index = indexOf({ sorting: 'ignored' });
    for (let n = 0; n < 5; n += 1) index.add(made(n, START_MS + n));
    expect(allPages(index, START_MS + 10, 100)[0]?.id).toBe(idOf(4));
  });

  it('hides what is deleted unless asked', () => {
    const index = indexOf();
    const first = made(1, START_MS);
    index.add(first);
    index.add(mutate(first, { attributes: { deleted: true } }, {}, START_MS + 1)?.resource as Resource);
    expect(allPages(index, START_MS + 10, 10)).toEqual([]);
    expect(allPages(index, START_MS + 10, 10, byUpdate(0, { includeDeleted: true }))).toHaveLength(1);
  });
});
