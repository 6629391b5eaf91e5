import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import { StateTable } from '../../../src/kafka/state-table.ts';

const MINUTE_MS = 60_000;
const NOW_MS = 30_000_000 * MINUTE_MS;
const ROOMY = { maxBytes: 64 * 1024 * 1024, seed: 1 };

type Model = Map<string, { value: string; minute: number }>;

function expectSame(table: StateTable, model: Model, keys: Iterable<string>): void {
  expect(table.size).toBe(model.size);
  for (const key of keys) expect(table.get(key)?.toString('latin1')).toBe(model.get(key)?.value);
}

describe('StateTable', () => {
  it('T1: behaves as a Map under any sequence of changes', () => {
    const key = fc.nat(40).map((n) => (n % 3 === 0 ? `größe:${n}` : `conversation:${n}`));
    const value = fc.record({ length: fc.oneof(fc.nat(80), fc.nat(900)), fill: fc.integer({ min: 32, max: 126 }) });
    const step = fc.oneof(
      { weight: 30, arbitrary: fc.record({ kind: fc.constant('set' as const), key, value, asBytes: fc.boolean() }) },
      { weight: 15, arbitrary: fc.record({ kind: fc.constant('delete' as const), key, asBytes: fc.boolean() }) },
      { weight: 15, arbitrary: fc.record({ kind: fc.constant('restore' as const), key, value: fc.option(value) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('tick' as const), minutes: fc.nat(5) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire' as const), ageMinutes: fc.nat(8) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
    );
    fc.assert(
      fc.property(fc.integer(), fc.array(step, { maxLength: 300 }), (seed, steps) => {
        const table = new StateTable({ maxBytes: ROOMY.maxBytes, seed });
        const model: Model = new Map();
        let minute = 30_000_000;
        const touched = new Set<string>();
        for (const change of steps) {
          const nowMs = minute * MINUTE_MS + (touched.size % MINUTE_MS);
          if ('key' in change) touched.add(change.key);
          if (change.kind === 'set') {
            const bytes = Buffer.alloc(change.value.length, change.value.fill);
            table.set(change.asBytes ? Buffer.from(change.key) : change.key, bytes, nowMs);
            model.set(change.key, { value: bytes.toString('latin1'), minute });
          } else if (change.kind === 'delete') {
            expect(table.delete(change.asBytes ? Buffer.from(change.key) : change.key)).toBe(model.delete(change.key));
          } else if (change.kind === 'restore') {
            const bytes = change.value === null ? null : Buffer.alloc(change.value.length, change.value.fill);
            table.restore(Buffer.from(change.key), bytes, nowMs);
            if (bytes === null) model.delete(change.key);
            else model.set(change.key, { value: bytes.toString('latin1'), minute });
          } else if (change.kind === 'tick') minute += change.minutes;
          else if (change.kind === 'clear') {
            table.clear();
            model.clear();
            expect(table.bytes).toBe(0);
          } else {
            const oldest = minute - change.ageMinutes;
            const old = [...model].filter(([, entry]) => entry.minute < oldest).map(([name]) => name);
            expect(table.expireOlderThan(oldest * MINUTE_MS + 59_999, Number.MAX_SAFE_INTEGER)).toBe(old.length);
            for (const name of old) model.delete(name);
          }
          expectSame(table, model, touched);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('T1: keeps every entry through growth, churn and deletion of half of them', () => {
    const table = new StateTable(ROOMY);
    const count = 60_000;
    const valueAt = (n: number, round: number) => Buffer.alloc(20 + ((n * 7 + round * 13) % 60), (n + round) & 255);
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < count; n++) table.set(`conversation:${n}`, valueAt(n, round), NOW_MS);
    }
    for (let n = 0; n < count; n += 2) expect(table.delete(`conversation:${n}`)).toBe(true);
    expect(table.size).toBe(count / 2);
    let wrong = 0;
    for (let n = 0; n < count; n++) {
      const found = table.get(Buffer.from(`conversation:${n}`));
      if (n % 2 === 0 ? found !== undefined : found?.equals(valueAt(n, 2)) !== true) wrong++;
    }
    expect(wrong).toBe(0);
    expect(table.get('conversation:-1')).toBeUndefined();
  });

  it('T1: storing a view of the table in the table is safe', () => {
    const table = new StateTable(ROOMY);
    table.set('a', Buffer.from('alpha'), NOW_MS);
    table.set('a', table.get('a') as Buffer, NOW_MS);
    for (let n = 0; n < 5_000; n++) table.set(`copy:${n}`, table.get('a') as Buffer, NOW_MS);
    for (let n = 0; n < 5_000; n++) expect(table.get(`copy:${n}`)?.toString()).toBe('alpha');
  });

  it('refuses a value that no cell can hold, before changing anything', () => {
    const table = new StateTable(ROOMY);
    table.set('k', Buffer.alloc(65_535, 1), NOW_MS);
    const tooLarge = expect.objectContaining({ code: 'state_value_too_large', disposition: 'park' });
    expect(() => table.set('k', Buffer.alloc(65_536), NOW_MS)).toThrow(tooLarge);
    expect(() => table.restore(Buffer.from('new'), Buffer.alloc(65_536), NOW_MS)).toThrow(tooLarge);
    expect(table.size).toBe(1);
    expect(table.get('k')?.length).toBe(65_535);
  });

  it('T3: never passes its bound, says state_full, and keeps what it has', () => {
    const maxBytes = 700_000;
    const table = new StateTable({ maxBytes, seed: 5 });
    let thrown: unknown;
    let stored = 0;
    while (thrown === undefined && stored < 100_000) {
      try {
        table.set(`k${stored}`, Buffer.alloc(60, stored & 255), NOW_MS);
        stored++;
      } catch (error) {
        thrown = error;
      }
      expect(table.bytes <= maxBytes).toBe(true);
    }
    expect(thrown).toBeInstanceOf(CodedError);
    expect(thrown).toMatchObject({ code: 'state_full', disposition: 'fatal' });
    expect(stored).toBeGreaterThan(maxBytes / 140);
    expect(table.size).toBe(stored);
    expect(table.get(`k${stored}`)).toBeUndefined();
    let wrong = 0;
    for (let n = 0; n < stored; n++) if (table.get(`k${n}`)?.equals(Buffer.alloc(60, n & 255)) !== true) wrong++;
    expect(wrong).toBe(0);
    table.set('k0', Buffer.alloc(60, 9), NOW_MS); // in place: needs no room
    expect(table.get('k0')?.[0]).toBe(9);
  });

  it('T3: a replacement that does not fit leaves the old value', () => {
    const table = new StateTable({ maxBytes: 4_096, seed: 5 });
    table.set('k', Buffer.from('old'), NOW_MS);
    expect(() => table.set('k', Buffer.alloc(10_000), NOW_MS)).toThrow(expect.objectContaining({ code: 'state_full' }));
    expect(table.get('k')?.toString()).toBe('old');
    expect(table.size).toBe(1);
  });

  it('T4: values that change size again and again do not make the table grow', () => {
    const table = new StateTable(ROOMY);
    const round = (length: number): void => {
      for (let n = 0; n < 20_000; n++) table.set(`k${n}`, Buffer.alloc(length), NOW_MS);
    };
    round(100);
    const before = table.bytes;
    for (let length = 20; length <= 100; length += 4) round(length);
    expect(table.bytes).toBeLessThan(before * 1.4);
  });

  it('costs at most 120 bytes a resource with 60-byte values, at every size', () => {
    const table = new StateTable(ROOMY);
    for (let n = 1; n <= 200_000; n++) {
      table.set(`k${n}`, Buffer.alloc(60), NOW_MS);
      if (n % 10_000 === 0) expect(table.bytes / n, `${n} resources`).toBeLessThan(120);
    }
  });

  it('T5: a touch in the minute of the limit saves an entry; one minute earlier does not', () => {
    const table = new StateTable(ROOMY);
    table.set('early', Buffer.from('1'), NOW_MS - 1);
    table.set('same', Buffer.from('2'), NOW_MS);
    table.set('touched', Buffer.from('3'), NOW_MS - 10 * MINUTE_MS);
    table.set('touched', Buffer.from('4'), NOW_MS + MINUTE_MS);
    expect(table.expireOlderThan(NOW_MS + 59_999, 1e9)).toBe(1);
    expect(table.get('early')).toBeUndefined();
    expect(table.get('same')?.toString()).toBe('2');
    expect(table.get('touched')?.toString()).toBe('4');
    expect(table.size).toBe(2);
  });

  it('T6: small budgets get round too, expire exactly the old, and give memory back', () => {
    const table = new StateTable(ROOMY);
    const count = 30_000;
    for (let n = 0; n < count; n++) {
      table.set(`k${n}`, Buffer.alloc(60, n & 255), n % 10 === 0 ? NOW_MS : NOW_MS - 90 * 86_400_000);
    }
    const before = table.bytes;
    let expired = 0;
    let calls = 0;
    while (expired < count * 0.9 && calls < 10_000) {
      const now = table.expireOlderThan(NOW_MS - 86_400_000, 64);
      expect(now).toBeLessThanOrEqual(64 * 2); // a removal may pull the next entry under the same slot
      expired += now;
      calls++;
    }
    expect(expired).toBe(count * 0.9);
    expect(calls).toBeGreaterThan(100);
    expect(table.size).toBe(count / 10);
    let wrong = 0;
    for (let n = 0; n < count; n++) if ((table.get(`k${n}`) !== undefined) !== (n % 10 === 0)) wrong++;
    expect(wrong).toBe(0);
    for (let call = 0; call < 2; call++) expect(table.expireOlderThan(NOW_MS - 86_400_000, 1e9)).toBe(0);
    expect(table.bytes).toBeLessThan(before / 3);
  });

  it('T6: sweeping an empty table ends, and a budget of 0 looks at nothing', () => {
    const table = new StateTable(ROOMY);
    expect(table.expireOlderThan(NOW_MS, 1e9)).toBe(0);
    table.set('old', Buffer.from('1'), 0);
    expect(table.expireOlderThan(NOW_MS, 0)).toBe(0);
    expect(table.size).toBe(1);
  });
});
