/** The ledger under what is staged for it, and what it forgets. */
import { expect, it } from 'vitest';
import { OwnedState } from '../../../../src/kafka/owned-state.ts';
import { encodeEntry } from '../../../../src/sinks/ledger/codec.ts';
import { type Done, NO_POLICY, type Parked } from '../../../../src/sinks/ledger/entry.ts';
import { LedgerView, PROGRESS_KEY } from '../../../../src/sinks/runner/ledger-view.ts';

const RETENTION_MS = 1000;
const id = (digit: string) => digit.repeat(32);
const common = { fingerprint: 'f'.repeat(32), receiptId: 'r' };
const done = (atMs: number, vendorId: string): Done => ({ kind: 'done', ...common, atMs, vendorId });
const subject = {
  tenantId: 't',
  connectionId: 'c',
  capability: 'x',
  entityKey: 'e',
  idempotencyKey: 'k',
  commandId: 'i',
};
const parked: Parked = { kind: 'parked', ...common, atMs: 0, subject, policy: NO_POLICY, record: null };

function view() {
  const committed = new Map<string, Buffer>([
    [PROGRESS_KEY, Buffer.from('not an entry')],
    [id('a'), encodeEntry(done(0, 'old'))],
    [id('b'), encodeEntry(done(5000, 'young'))],
    [id('c'), encodeEntry(parked)],
  ]);
  const state = new OwnedState({ topic: 'ledger', partition: 0, maxBytes: 2 ** 20 });
  for (const [key, value] of committed) state.set(key, value);
  return { committed: state, ledger: new LedgerView(state, RETENTION_MS) };
}

it('shows what is staged before what is committed, until that is committed itself', () => {
  const { committed, ledger } = view();
  const entry = done(5500, 'new');
  const value = ledger.stage({ identity: id('b'), entry }) as Buffer;
  expect(ledger.get(id('b'), 5500)).toBe(entry);
  const snapshot = ledger.snapshot();
  const later = done(5600, 'later');
  ledger.stage({ identity: id('b'), entry: later });
  committed.set(id('b'), value);
  ledger.committed([id('b')], snapshot);
  expect(ledger.get(id('b'), 5600)).toBe(later);
  ledger.committed([id('b')], ledger.snapshot());
  expect(ledger.get(id('b'), 5600)).toEqual(entry);
  ledger.stage({ identity: id('b'), entry: null });
  expect(ledger.get(id('b'), 5600)).toBeNull();
});

it('forgets what is settled and old; not what is young, waits for a person, or is staged', () => {
  const { ledger } = view();
  expect(ledger.get(id('a'), 5500)).toBeNull();
  expect(ledger.get(id('c'), 5500)).toEqual(parked);
  expect(ledger.written()).toEqual(new Set(['old', 'young']));
  expect(ledger.forgettable(5500, 100)).toEqual([id('a')]);
  expect(ledger.written()).toEqual(new Set(['young']));
  ledger.stage({ identity: id('a'), entry: done(5500, 'again') });
  expect(ledger.forgettable(5500, 100)).toEqual([]);
});

it('looks at a few entries at a time, round and round', () => {
  const { ledger } = view();
  const found = Array.from({ length: 10 }, () => ledger.forgettable(5500, 1)).flat();
  expect(found).toEqual([id('a'), id('a')]);
});
