/** Cites the invariants of quota.ts (Q1 to Q7) and of quota-records.ts (T1). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../../../../src/base/errors.ts';
import {
  applyQuota,
  type LogPlace,
  MAX_RELEASED,
  NEW_QUOTA,
  type QuotaOutcome,
  type QuotaRecord,
  type QuotaState,
  quotaUsed,
} from '../../../../src/fibric/policy/quota.ts';
import {
  decodeQuotaRecord,
  encodeQuotaRecord,
  quotaTwinChanges,
  restoreQuota,
} from '../../../../src/fibric/policy/quota-records.ts';

const WINDOW_MS = 1_000;
/** Longer than any window: nothing is moved. */
const EVER_FRESH_MS = 1_000_000;
const reserve = (id: string, max = 3, freshMs = EVER_FRESH_MS): QuotaRecord => ({
  op: 'reserve',
  id,
  max,
  windowMs: WINDOW_MS,
  freshMs,
});
const release = (id: string): QuotaRecord => ({ op: 'release', id });

interface Logged {
  readonly record: QuotaRecord;
  readonly place: LogPlace;
}

/** A log: offsets ascend by one, times are given. */
const logOf = (list: readonly (readonly [QuotaRecord, atMs: number])[]): readonly Logged[] =>
  list.map(([record, atMs], offset) => ({ record, place: { offset, atMs } }));

function run(log: readonly Logged[], from: QuotaState = NEW_QUOTA) {
  let state = from;
  const outcomes: QuotaOutcome[] = [];
  for (const { record, place } of log) {
    const step = applyQuota(state, record, place);
    state = step.state;
    outcomes.push(step.outcome);
  }
  return { state, outcomes, kinds: outcomes.map(({ kind }) => kind) };
}

/** The twin topic: what all changes so far have left. */
class Twin {
  readonly records = new Map<string, Buffer>();

  write(changes: ReadonlyMap<string, Buffer | null>): void {
    for (const [suffix, value] of changes) {
      if (value === null) this.records.delete(suffix);
      else this.records.set(suffix, value);
    }
  }
}

describe('Q1: a sliding window', () => {
  it('grants the last place and not the one after it', () => {
    const log = logOf([...'abcd'].map((id, n) => [reserve(id), n] as const));
    expect(run(log).outcomes).toEqual([
      { kind: 'granted', used: 1, sinceMs: 0, repeated: false },
      { kind: 'granted', used: 2, sinceMs: 1, repeated: false },
      { kind: 'granted', used: 3, sinceMs: 2, repeated: false },
      { kind: 'refused', used: 3, freeAtMs: 1_000 },
    ]);
  });

  it('a place is free when its grant is as old as the window, not a millisecond before', () => {
    const full = logOf([...'abc'].map((id, n) => [reserve(id), 10 * n] as const));
    const { state } = run(full);
    const ask = (atMs: number) => applyQuota(state, reserve('d'), { offset: 3, atMs }).outcome.kind;
    expect([ask(999), ask(1_000)]).toEqual(['refused', 'granted']);
  });

  it('an hour that begins in the middle is an hour too', () => {
    const log = logOf([
      [reserve('a', 2), 900],
      [reserve('b', 2), 950],
      [reserve('c', 2), 1_001],
      [reserve('d', 2), 1_899],
      [reserve('e', 2), 1_900],
    ]);
    expect(run(log).kinds).toEqual(['granted', 'granted', 'refused', 'refused', 'granted']);
  });

  it('refusals take no place', () => {
    const log = logOf([
      [reserve('a', 1), 0],
      ...[...'bcdef'].map((id) => [reserve(id, 1), 1] as const),
      [reserve('g', 1), 1_000],
    ]);
    expect(run(log).kinds.at(-1)).toBe('granted');
  });

  it('a smaller limit counts what a larger one granted', () => {
    const log = logOf([
      [reserve('a', 3), 0],
      [reserve('b', 3), 1],
      [reserve('c', 1), 2],
      [reserve('d', 1), 1_000],
      [reserve('e', 1), 1_001],
    ]);
    const { kinds, outcomes } = run(log);
    expect(kinds).toEqual(['granted', 'granted', 'refused', 'refused', 'granted']);
    expect(outcomes[2]).toMatchObject({ freeAtMs: 1_001 });
  });

  it('tells how much is used now', () => {
    const { state } = run(logOf([...'abc'].map((id, n) => [reserve(id), 100 * n] as const)));
    expect([0, 999, 1_000, 1_150, 1_200].map((nowMs) => quotaUsed(state, WINDOW_MS, nowMs))).toEqual([3, 3, 2, 1, 0]);
  });
});

describe('Q2 to Q5', () => {
  it('Q2: a clock that goes back frees nothing', () => {
    const log = logOf([
      [reserve('a', 1), 5_000],
      [reserve('b', 1), 100],
      [reserve('c', 1), 5_999],
      [reserve('d', 1), 6_000],
    ]);
    expect(run(log).kinds).toEqual(['granted', 'refused', 'refused', 'granted']);
  });

  it('Q3: a repetition gets the same answer and takes nothing', () => {
    const log = logOf([
      [reserve('a', 1), 0],
      [reserve('a', 1), 1],
      [reserve('b', 1), 2],
    ]);
    const { outcomes } = run(log);
    expect(outcomes[1]).toEqual({ kind: 'granted', used: 1, sinceMs: 0, repeated: true });
    expect(outcomes[2]).toMatchObject({ kind: 'refused' });
  });

  it('Q3: what was refused may be asked again', () => {
    const log = logOf([
      [reserve('a', 1), 0],
      [reserve('b', 1), 1],
      [reserve('b', 1), 2],
      [release('a'), 3],
      [reserve('b', 1), 4],
    ]);
    const { outcomes, kinds } = run(log);
    expect(kinds).toEqual(['granted', 'refused', 'refused', 'released', 'granted']);
    expect(outcomes[4]).toEqual({ kind: 'granted', used: 1, sinceMs: 4, repeated: false });
  });

  it('Q3: a grant ends with its window; its id is a new one then', () => {
    const log = logOf([
      [reserve('a', 1), 0],
      [reserve('a', 1), 1_000],
      [reserve('b', 1), 1_500],
    ]);
    expect(run(log).outcomes).toMatchObject([
      { repeated: false },
      { kind: 'granted', repeated: false },
      { kind: 'refused' },
    ]);
  });

  it('Q4: a released id is not granted again, also when its reservation comes late', () => {
    const log = logOf([
      [reserve('a'), 0],
      [release('a'), 1],
      [reserve('a'), 2],
      [release('z'), 3],
      [reserve('z'), 4],
      [release('z'), 5],
    ]);
    const { kinds, state } = run(log);
    expect(kinds).toEqual(['granted', 'released', 'released', 'released', 'released', 'released']);
    expect(state.granted.size).toBe(0);
  });

  it('Q5: a record read again gets its answer and changes nothing', () => {
    const log = logOf([...'abcd'].map((id) => [reserve(id), 0] as const));
    const { state } = run(log);
    const again = run(log, state);
    expect(again.kinds).toEqual(['granted', 'granted', 'granted', 'forgotten']);
    expect(again.state).toBe(state);
    expect(applyQuota(state, reserve('x'), { offset: 2, atMs: 9_999 })).toEqual({
      state,
      outcome: { kind: 'forgotten' },
    });
  });
});

describe('Q7: a grant may be used for a while', () => {
  it('and asked for again when it is older, counts from then on, once', () => {
    const log = logOf([
      [reserve('a', 2, 100), 0],
      [reserve('b', 2, 100), 50],
      [reserve('a', 2, 100), 100],
      [reserve('a', 2, 100), 101],
      [reserve('c', 2, 100), 1_049],
      [reserve('c', 2, 100), 1_050],
      [reserve('d', 2, 100), 1_100],
      [reserve('d', 2, 100), 1_101],
    ]);
    expect(run(log).outcomes).toMatchObject([
      { kind: 'granted', sinceMs: 0, repeated: false },
      { kind: 'granted', sinceMs: 50, repeated: false },
      { kind: 'granted', used: 2, sinceMs: 0, repeated: true },
      { kind: 'granted', used: 2, sinceMs: 101, repeated: true },
      { kind: 'refused', freeAtMs: 1_050 },
      { kind: 'granted', sinceMs: 1_050, repeated: false },
      { kind: 'refused', freeAtMs: 1_101 },
      { kind: 'granted', sinceMs: 1_101, repeated: false },
    ]);
  });
});

describe('Q6: bounded', () => {
  it('whatever is refused and released', () => {
    let state = NEW_QUOTA;
    for (let offset = 0; offset < 5_000; offset++) {
      const id = `r${offset >> 1}`;
      const record = offset % 2 === 0 ? reserve(id, 2) : release(`r${(offset >> 1) - (offset % 3)}`);
      state = applyQuota(state, record, { offset, atMs: offset / 100 }).state;
      expect(state.granted.size).toBeLessThanOrEqual(2);
      expect(state.released.size).toBeLessThan(2 * MAX_RELEASED);
    }
    expect(state.released.size).toBeGreaterThanOrEqual(MAX_RELEASED);
  });

  it('Q4: the latest that were released are remembered; of what was refused nothing is kept', () => {
    const log = logOf([
      [reserve('a', 1), 0],
      ...Array.from({ length: 3_000 }, (_, n) => [release(`r${n}`), 1] as const),
      ...Array.from({ length: 3_000 }, (_, n) => [reserve(`s${n}`, 1), 1] as const),
    ]);
    const { state } = run(log);
    for (let n = 3_000 - MAX_RELEASED; n < 3_000; n++) expect(state.released.has(`r${n}`)).toBe(true);
    expect([state.granted.size, state.released.size]).toEqual([1, expect.any(Number)]);
    expect(state.released.size).toBeLessThan(2 * MAX_RELEASED);
  });

  it('no value of the twin comes near what one record holds', () => {
    const ids = Array.from({ length: 2_000 }, (_, n) => String(n).padStart(64, 'x'));
    const { state } = run(logOf(ids.map((id, n) => [reserve(id, 1_500), 1_793_491_200_000 + n] as const)));
    const sizes = [...quotaTwinChanges(NEW_QUOTA, state).values()].map((value) => value?.length ?? 0);
    expect(Math.max(...sizes)).toBeLessThan(32_768);
  });

  it('a step writes what it touched only', () => {
    const { state } = run(logOf(Array.from({ length: 1_000 }, (_, n) => [reserve(`r${n}`, 5_000), 0] as const)));
    const { state: after } = applyQuota(state, reserve('one-more', 5_000), { offset: 1_000, atMs: 1 });
    expect([...quotaTwinChanges(state, after).keys()]).toEqual(['', '/granted-3']);
    expect(quotaTwinChanges(after, after).size).toBe(0);
  });
});

/** What quota.ts does, said in the fewest words: all that was ever granted, looked through each time. */
class Model {
  #grants: { id: string; atMs: number }[] = [];
  readonly #released = new Set<string>();
  #lastMs = 0;

  apply(record: QuotaRecord, atMs: number): QuotaOutcome['kind'] {
    this.#lastMs = Math.max(this.#lastMs, atMs);
    if (record.op === 'release') {
      this.#grants = this.#grants.filter(({ id }) => id !== record.id);
      this.#released.add(record.id);
      return 'released';
    }
    const current = this.#grants.filter((grant) => grant.atMs > this.#lastMs - record.windowMs);
    const own = current.find(({ id }) => id === record.id);
    if (own !== undefined) {
      if (own.atMs < this.#lastMs - record.freshMs) own.atMs = this.#lastMs;
      return 'granted';
    }
    if (this.#released.has(record.id)) return 'released';
    if (current.length >= record.max) return 'refused';
    this.#grants.push({ id: record.id, atMs: this.#lastMs });
    return 'granted';
  }
}

const ids = fc.integer({ min: 0, max: 30 }).map((n) => `r${n}`);
const steps = fc.array(
  fc.record({
    record: fc.oneof(
      {
        weight: 5,
        arbitrary: fc.tuple(ids, fc.constantFrom(0, 150, EVER_FRESH_MS)).map(
          ([id, freshMs]) =>
            (max: number) =>
              reserve(id, max, freshMs),
        ),
      },
      { weight: 1, arbitrary: ids.map((id) => () => release(id)) },
    ),
    passMs: fc.oneof(fc.constant(0), fc.integer({ min: -50, max: 400 })),
  }),
  { maxLength: 60 },
);
const logs = fc.tuple(steps, fc.integer({ min: 1, max: 6 })).map(([list, max]) => {
  let atMs = 1_000;
  return {
    max,
    log: logOf(
      list.map(({ record, passMs }) => {
        atMs += passMs;
        return [record(max), atMs] as const;
      }),
    ),
  };
});

describe('for all logs', () => {
  it('Q1 to Q4: grants as the model does, and never more than max in any window', () => {
    fc.assert(
      fc.property(logs, ({ log, max }) => {
        const model = new Model();
        const { kinds } = run(log);
        expect(kinds).toEqual(log.map(({ record, place }) => model.apply(record, place.atMs)));
        // The most that can have been done: each granted once, and used then or when it was last moved; none of them released.
        const releasedIds = new Set(log.flatMap(({ record }) => (record.op === 'release' ? [record.id] : [])));
        let lastMs = 0;
        let state = NEW_QUOTA;
        const lastUse = new Map<string, number>();
        const done: number[] = [];
        for (const { record, place } of log) {
          lastMs = Math.max(lastMs, place.atMs);
          const step = applyQuota(state, record, place);
          state = step.state;
          const { outcome } = step;
          if (outcome.kind !== 'granted' || releasedIds.has(record.id)) continue;
          // Its window over, the id is a new one, and was used before.
          const used = lastUse.get(record.id);
          if (!outcome.repeated && used !== undefined) done.push(used);
          lastUse.set(record.id, outcome.sinceMs);
        }
        done.push(...lastUse.values());
        for (const endMs of done) {
          expect(done.filter((atMs) => atMs > endMs - WINDOW_MS && atMs <= endMs).length).toBeLessThanOrEqual(max);
        }
      }),
      { numRuns: 10_000 },
    );
  });

  it('Q5, T1: the same grants however it is cut into batches, restored, and read again from before', () => {
    const cuts = fc.array(fc.record({ size: fc.integer({ min: 1, max: 9 }), back: fc.nat(5) }), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(logs, cuts, ({ log }, list) => {
        const straight = run(log);
        const twin = new Twin();
        let at = 0;
        for (let n = 0; at < log.length; n++) {
          const { size, back } = list[n % list.length] as (typeof list)[number];
          const before = restoreQuota([...twin.records].reverse());
          const from = Math.max(0, at - back);
          const { state, kinds } = run(log.slice(from, at + size), before);
          expect(kinds.slice(at - from)).toEqual(straight.kinds.slice(at, at + size));
          twin.write(quotaTwinChanges(before, state));
          at += size;
        }
        expect(plain(restoreQuota(twin.records))).toEqual(plain(straight.state));
      }),
      { numRuns: 3_000 },
    );
  });

  it('an older state stays what it was: a failed transaction goes back to it', () => {
    fc.assert(
      fc.property(logs, ({ log }) => {
        let state = NEW_QUOTA;
        for (const { record, place } of log) {
          const before = JSON.stringify(plain(state));
          const { state: after } = applyQuota(state, record, place);
          expect(JSON.stringify(plain(state))).toBe(before);
          state = after;
        }
      }),
      { numRuns: 500 },
    );
  });
});

const plain = ({ nextOffset, lastMs, granted, released }: QuotaState) => ({
  nextOffset,
  lastMs,
  granted: granted.chunks,
  released: released.chunks,
});

describe('in the log', () => {
  it('a reservation and a release come back as they were', () => {
    for (const record of [reserve('a'.repeat(64)), release('b')]) {
      expect(decodeQuotaRecord(encodeQuotaRecord(record))).toEqual(record);
    }
  });

  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['another thing', '{"op":"grant","id":"a"}'],
    ['no id', '{"op":"release","id":""}'],
    ['a long id', JSON.stringify({ op: 'release', id: 'a'.repeat(65) })],
    ['half a place', '{"op":"reserve","id":"a","max":0.5,"window_ms":1,"fresh_ms":1}'],
    ['no window', '{"op":"reserve","id":"a","max":1,"window_ms":0,"fresh_ms":1}'],
    ['no time of use', '{"op":"reserve","id":"a","max":1,"window_ms":1}'],
  ])('%s is no record', (_, text) => {
    expect(decodeQuotaRecord(Buffer.from(text))).toBeNull();
    expect(decodeQuotaRecord(null)).toBeNull();
  });

  it.each([
    ['', '{"version":2,"next_offset":0,"last_ms":0}'],
    ['', 'x'],
    ['/granted-0', '{"version":1}'],
    ['/granted-x', '{"version":1,"granted":[]}'],
    ['/released-0', '{"version":1,"released":["a",1]}'],
    ['/other-0', '{"version":1,"released":[]}'],
  ])('what cannot be read of a twin is told, not left out: %s %s', (suffix, text) => {
    let error: unknown;
    try {
      restoreQuota([[suffix, Buffer.from(text)]]);
    } catch (thrown) {
      error = thrown;
    }
    expect(hasCode(error, 'policy_state_unreadable')).toBe(true);
  });
});
