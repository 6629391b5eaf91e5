import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Holds } from '../../../../src/sinks/answers/holds.ts';
import { type Failed, type Held, NO_POLICY } from '../../../../src/sinks/ledger/entry.ts';

const subject = {
  tenantId: 't',
  connectionId: 'c',
  capability: 'x',
  entityKey: 'e',
  idempotencyKey: 'k',
  commandId: 'i',
};
const common = { fingerprint: 'a'.repeat(32), atMs: 0 };
const held = (receiptId: string, expiresAtMs: number): Held => ({
  kind: 'held',
  ...common,
  receiptId,
  expiresAtMs,
  subject,
  policy: NO_POLICY,
  record: null,
});
const failed: Failed = { kind: 'failed', ...common, receiptId: 'r', code: 'confirmation_rejected' };

it('X1 X2: tells of each hold that is due, once, and of nothing else, however often they come and go', () => {
  const change = fc.record({
    identity: fc.constantFrom('a', 'b', 'c'),
    receiptId: fc.constantFrom('r1', 'r2', 'r3'),
    ends: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change), fc.array(change), fc.nat(20), (first, then, nowMs) => {
      const now = new Map<string, Held>();
      const told = new Map<string, string>();
      const note = ({ identity, receiptId, ends }: (typeof first)[number]) => {
        const one = held(receiptId, 5 * Number(receiptId.slice(1)));
        if (ends) now.delete(identity);
        else now.set(identity, one);
        return { identity, entry: ends ? failed : one };
      };
      const opened = new Map(first.map((each) => [each.identity, note(each).entry] as const));
      const holds = new Holds(opened);
      for (const each of then) holds.note(note(each));
      for (let due = holds.take(nowMs); due !== undefined; due = holds.take(nowMs)) {
        expect(told.has(due)).toBe(false);
        told.set(due, now.get(due)?.receiptId as string);
      }
      const expected = [...now].filter(([, { expiresAtMs }]) => expiresAtMs <= nowMs).map(([identity]) => identity);
      expect([...told.keys()].toSorted()).toEqual(expected.toSorted());
      expect(holds.size).toBe(now.size);
    }),
    { numRuns: 2000 },
  );
});

it('forgets what is held no more long before its time', () => {
  const holds = new Holds([]);
  for (let number = 0; number < 10_000; number++) {
    holds.note({ identity: `${number}`, entry: held(`r${number}`, 1e12) });
    holds.note({ identity: `${number}`, entry: failed });
  }
  expect(holds.size).toBe(0);
  expect(holds.pending).toBeLessThan(1100);
  expect(holds.take(2e12)).toBeUndefined();
});

it('tells again of what could not be ended', () => {
  const holds = new Holds([['a', held('r', 5)]]);
  expect(holds.take(4)).toBeUndefined();
  expect(holds.take(5)).toBe('a');
  expect(holds.take(5)).toBeUndefined();
  holds.later('a', 9);
  expect([holds.nextAtMs, holds.take(8), holds.take(9)]).toEqual([9, undefined, 'a']);
  holds.note({ identity: 'a', entry: null });
  holds.later('a', 9);
  expect(holds.nextAtMs).toBeNull();
});
