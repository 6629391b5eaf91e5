import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StateOverlay } from '../../../src/kafka/state-overlay.ts';
import { StateTable } from '../../../src/kafka/state-table.ts';

const NOW_MS = 1_800_000_000_000;

function tableWith(entries: Record<string, string>): StateTable {
  const table = new StateTable({ maxBytes: 16 * 1024 * 1024 });
  for (const [key, value] of Object.entries(entries)) table.set(key, Buffer.from(value), NOW_MS);
  return table;
}

const plain = (overlay: StateOverlay) =>
  [...overlay.changes()].map(({ partition, key, value }) => [partition, key, value?.toString() ?? null]);

describe('StateOverlay', () => {
  it('O1: reads its own writes, then the table', () => {
    const overlay = new StateOverlay(tableWith({ kept: 'k', changed: 'c', gone: 'g' }));
    overlay.set(0, 'changed', Buffer.from('C'));
    overlay.set(1, 'new', Buffer.from('N'));
    overlay.delete(2, 'gone');
    expect(overlay.get('kept')?.toString()).toBe('k');
    expect(overlay.get('changed')?.toString()).toBe('C');
    expect(overlay.get('new')?.toString()).toBe('N');
    expect(overlay.get('gone')).toBeUndefined();
    expect(overlay.get('never')).toBeUndefined();
  });

  it('O2: the table changes at apply, and not before; discard leaves nothing behind', () => {
    const table = tableWith({ a: '1', b: '2' });
    const overlay = new StateOverlay(table);
    overlay.set(0, 'a', Buffer.from('11'));
    overlay.delete(0, 'b');
    expect(table.get('a')?.toString()).toBe('1');
    expect(table.get('b')?.toString()).toBe('2');
    overlay.discard();
    expect(plain(overlay)).toEqual([]);
    expect(overlay.get('a')?.toString()).toBe('1');

    overlay.set(0, 'a', Buffer.from('11'));
    overlay.delete(0, 'b');
    overlay.apply(NOW_MS);
    expect(table.get('a')?.toString()).toBe('11');
    expect(table.get('b')).toBeUndefined();
    expect(plain(overlay)).toEqual([]);
    expect(table.size).toBe(1);
  });

  it('O2: apply touches the entries at its own time', () => {
    const table = tableWith({});
    const overlay = new StateOverlay(table);
    overlay.set(0, 'a', Buffer.from('1'));
    overlay.apply(NOW_MS + 600_000);
    expect(table.expireOlderThan(NOW_MS + 300_000, 1e9)).toBe(0);
    expect(table.expireOlderThan(NOW_MS + 900_000, 1e9)).toBe(1);
  });

  it('O3: one change a key, the last, in order of the first write', () => {
    const overlay = new StateOverlay(tableWith({}));
    overlay.set(3, 'a', Buffer.from('1'));
    overlay.set(1, 'b', Buffer.from('2'));
    overlay.delete(3, 'a');
    overlay.set(1, 'b', Buffer.from('3'));
    overlay.delete(2, 'c');
    overlay.set(2, 'c', Buffer.from('4'));
    expect(plain(overlay)).toEqual([
      [3, 'a', null],
      [1, 'b', '3'],
      [2, 'c', '4'],
    ]);
  });

  it('keeps its own copy: neither a scratch buffer nor a view of the table can change a write later', () => {
    const table = tableWith({ a: 'old-a', b: 'old-b' });
    const overlay = new StateOverlay(table);
    const scratch = Buffer.from('first');
    overlay.set(0, 'x', scratch);
    scratch.write('later');
    overlay.set(0, 'b', Buffer.from('new-b'));
    overlay.set(0, 'a', table.get('b') as Buffer);
    overlay.apply(NOW_MS);
    expect(table.get('x')?.toString()).toBe('first');
    expect(table.get('a')?.toString()).toBe('old-b');
    expect(table.get('b')?.toString()).toBe('new-b');
  });

  it('O4: refuses at once what the table could not hold, and keeps the earlier write', () => {
    const table = tableWith({});
    const overlay = new StateOverlay(table);
    overlay.set(0, 'a', Buffer.alloc(65_535, 1));
    expect(() => overlay.set(0, 'a', Buffer.alloc(65_536))).toThrow(
      expect.objectContaining({ code: 'state_value_too_large' }),
    );
    overlay.apply(NOW_MS);
    expect(table.get('a')?.length).toBe(65_535);
  });

  it('O1–O3: any batches, applied or discarded, leave what a Map would hold', () => {
    const write = fc.tuple(fc.nat(3), fc.nat(12).map(String), fc.option(fc.string({ maxLength: 20 })));
    const batch = fc.record({ writes: fc.array(write, { maxLength: 20 }), applied: fc.boolean() });
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 10 }), (batches) => {
        const table = tableWith({});
        let committed = new Map<string, string>();
        const overlay = new StateOverlay(table);
        for (const { writes, applied } of batches) {
          const next = new Map(committed);
          const last = new Map<string, string | null>();
          for (const [partition, key, value] of writes) {
            last.set(key, value);
            if (value === null) {
              overlay.delete(partition, key);
              next.delete(key);
            } else {
              overlay.set(partition, key, Buffer.from(value));
              next.set(key, value);
            }
            expect(overlay.get(key)?.toString()).toBe(next.get(key));
          }
          expect(plain(overlay).map(([, key, value]) => [key, value])).toEqual([...last]);
          if (applied) {
            overlay.apply(NOW_MS);
            committed = next;
          } else overlay.discard();
          expect(table.size).toBe(committed.size);
          for (let n = 0; n <= 12; n++) expect(table.get(String(n))?.toString()).toBe(committed.get(String(n)));
        }
      }),
    );
  });
});
