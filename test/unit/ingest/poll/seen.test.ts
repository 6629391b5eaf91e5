/** What was published lately, against a plain map: cites S1–S4 of seen.ts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_ROWS_PER_RECORD, Seen } from '../../../../src/ingest/poll/seen.ts';
import type { Row } from '../../../../src/ingest/poll/streams.ts';

const row = (id: string, rev: number | null, timeMs: number | null): Row => ({
  ...{ id, rev, timeMs },
  createdMs: null,
  resource: null,
});

/** With a store as the owned topic is one. */
class Kept {
  seen: Seen;
  readonly slots = new Map<number, Buffer>();
  readonly #maxRows: number | undefined;

  constructor(maxRows?: number) {
    this.#maxRows = maxRows;
    this.seen = new Seen(maxRows);
  }

  remember(rows: readonly Row[], forgetBeforeMs: number): number {
    const change = this.seen.plan(rows, forgetBeforeMs);
    for (const [slot, value] of change.slots) {
      if (value === null) this.slots.delete(slot);
      else this.slots.set(slot, value);
    }
    this.seen.apply(change);
    return change.crowdedOut;
  }

  restart(): void {
    this.seen = Seen.restore(this.seen.range, (slot) => this.slots.get(slot), this.#maxRows);
  }
}

const ID = fc.oneof(
  fc.constantFrom('0123456789abcdef01234567', '0123456789abcdef01234568', 'ABCDEF', ''),
  fc.string({ maxLength: 3 }),
);
const rows = fc.array(
  fc
    .tuple(ID, fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 50 }))
    .map(([id, rev, timeMs]) => row(id, rev, timeMs)),
  { maxLength: 5 },
);

describe('what was seen', () => {
  test('is known exactly, forgotten only before the bound, and the same after a restart (S1, S2, S4)', () => {
    const step = fc.record({ rows, forgetBeforeMs: fc.integer({ min: 0, max: 50 }), restart: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const kept = new Kept();
        const told: Row[] = [];
        let forgetBeforeMs = 0;
        for (const one of steps) {
          forgetBeforeMs = Math.max(forgetBeforeMs, one.forgetBeforeMs);
          kept.remember(one.rows, forgetBeforeMs);
          told.push(...one.rows);
          if (one.restart) kept.restart();
          for (const asked of [...told, row('never', 1, 1)]) {
            const latest = told.findLast(({ id }) => id === asked.id);
            const mayKnow = told.some(({ id, rev }) => id === asked.id && (rev ?? 0) >= (asked.rev ?? 0));
            if (kept.seen.knows(asked)) expect(mayKnow).toBe(true);
            else if (latest !== undefined && latest.rev === asked.rev)
              expect(told.some(({ id, timeMs }) => id === asked.id && (timeMs ?? 0) < forgetBeforeMs)).toBe(true);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('a row without a revision is known by its time', () => {
    const kept = new Kept();
    kept.remember([row('a', null, 10)], 0);
    kept.restart();
    expect(kept.seen.knows(row('a', null, 10))).toBe(true);
    expect(kept.seen.knows(row('a', null, 11))).toBe(false);
    expect(kept.seen.knows(row('a', 7, 11))).toBe(false);
  });

  test('keeps within its bounds, the oldest go first (S3)', () => {
    const kept = new Kept(10);
    for (let made = 0; made < 12; made += 1) kept.remember([row(`row-${made}`, 1, made)], 0);
    expect(kept.seen.size).toBe(10);
    expect(kept.slots.size).toBe(10);
    expect(kept.seen.knows(row('row-1', 1, 1))).toBe(false);
    expect(kept.seen.knows(row('row-2', 1, 2))).toBe(true);
  });

  test('the ring goes round for ever, its records stay few', () => {
    const kept = new Kept();
    for (let made = 0; made < 3000; made += 1) kept.remember([row(`row-${made}`, 1, made)], made - 5);
    kept.restart();
    expect(kept.slots.size).toBeLessThanOrEqual(6);
    expect(kept.seen.knows(row('row-2999', 1, 2999))).toBe(true);
    expect(kept.seen.knows(row('row-2990', 1, 2990))).toBe(false);
    for (let made = 0; made < 1100; made += 1) kept.remember([row(`still-${made}`, 1, 9000)], 0);
    expect(kept.slots.size).toBeLessThan(1024);
    expect(kept.seen.knows(row('still-0', 1, 9000))).toBe(false);
    expect(kept.seen.knows(row('still-1099', 1, 9000))).toBe(true);
  });

  test('no record is larger than a value of the owned topic may be', () => {
    const kept = new Kept();
    const many = Array.from({ length: MAX_ROWS_PER_RECORD + 1 }, (_, at) => row(`row-${at}`, 1, 5));
    kept.remember(many, 0);
    kept.restart();
    expect(Math.max(...[...kept.slots.values()].map(({ length }) => length))).toBeLessThan(65_536);
    expect(many.every((one) => kept.seen.knows(one))).toBe(true);
  });
});
