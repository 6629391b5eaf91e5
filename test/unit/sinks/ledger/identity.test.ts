import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalText,
  externalIdOf,
  fingerprintOf,
  identityOf,
  receiptIdOf,
} from '../../../../src/sinks/ledger/identity.ts';

const note = { connectionId: 'acme', capability: 'conversation.note.write', args: { conversation_id: 'c', body: 'b' } };

describe('identity', () => {
  it('is one for one triple, and another for any other', () => {
    const part = fc.string({ maxLength: 4, unit: fc.constantFrom('a', ':', '1', '/') });
    const name = fc.record({ tenantId: part, entityKey: part, idempotencyKey: part });
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(identityOf(a) === identityOf(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
      { numRuns: 10_000 },
    );
  });

  it('has the form that is stored and written to Kustomer', () => {
    const identity = identityOf({ tenantId: 't_acme', entityKey: 'conversation:1', idempotencyKey: 'op:1:note' });
    expect(identity).toBe('ecd07c58704405b5562b76bb92a1603a');
    expect(fingerprintOf(note)).toBe('361426dd4c33cd2a754f1b420126fa4b');
    expect(externalIdOf(identity)).toBe(`fibric-${identity}`);
  });
});

describe('fingerprint', () => {
  it('does not mind the order of names, nor null for what is absent', () => {
    const shuffled = { body: 'b', snooze_until: null, conversation_id: 'c', extra: undefined };
    expect(fingerprintOf({ ...note, args: shuffled })).toBe(fingerprintOf(note));
  });

  it('minds everything else', () => {
    const all = [
      note,
      { ...note, connectionId: 'other' },
      { ...note, capability: 'conversation.status.write' },
      { ...note, args: { ...note.args, body: 'B' } },
      { ...note, args: { ...note.args, users: [] } },
      { ...note, args: { ...note.args, users: ['a', 'b'] } },
      { ...note, args: { ...note.args, users: ['b', 'a'] } },
      { ...note, args: { ...note.args, users: ['a,b'] } },
    ].map(fingerprintOf);
    expect(new Set(all).size).toBe(all.length);
  });

  it('is of the values: canonical text is JSON that reads back alike', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalText(value);
        expect(canonicalText(JSON.parse(text))).toBe(text);
      }),
    );
    expect(() => canonicalText({ a: Number.NaN })).toThrow(RangeError);
  });
});

it('a receipt is of a record: copies of one command have one each', () => {
  const at = { topic: 'fibric.commands', partition: 1, offset: 23, commandId: 'x' };
  const ids = [at, { ...at, offset: 24 }, { ...at, partition: 12, offset: 3 }, { ...at, commandId: 'y' }].map(
    receiptIdOf,
  );
  expect(new Set(ids).size).toBe(4);
  expect(ids[0]).toMatch(/^rc_[0-9a-f]{32}$/);
  expect(receiptIdOf(at)).toBe(ids[0]);
});
