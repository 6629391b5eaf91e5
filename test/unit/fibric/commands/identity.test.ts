import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { externalIdOf, fingerprintOf, identityDigest, receiptIdOf } from '../../../../src/fibric/commands/identity.ts';

const identity = { tenantId: 't_acme', entityKey: 'conversation:1', idempotencyKey: 'a:b' };

describe('ids of commands', () => {
  it('are the same today as ever: ledgers and notes at Kustomer hold them', () => {
    expect(externalIdOf(identity)).toBe(`fibric-${identityDigest(identity).slice(0, 40)}`);
    expect({
      identity: identityDigest(identity),
      fingerprint: fingerprintOf({ capability: 'c', args: { b: [1, null], a: 'x' } }),
      receipt: receiptIdOf({ tenantId: 't_acme', commandId: 'cmd_1', position: '3:1042' }),
    }).toMatchInlineSnapshot(`
      {
        "fingerprint": "806b10c577d43ce63bd8da5bba292e7b54e7cb3b0e04dcd802addc559261ec88",
        "identity": "bf58598eacd7b779ae821ba3497b7be489e16fcbd0dba1a7af9c845a00794ff8",
        "receipt": "rc_3086ad9ad007b4242edb0c7dc2111b6a",
      }
    `);
  });

  it('differ when any part differs, wherever its border lies', () => {
    const part = fc.string({ maxLength: 6, unit: fc.constantFrom('a', ':', '"', ',', '\\') });
    const identities = fc.record({ tenantId: part, entityKey: part, idempotencyKey: part });
    fc.assert(
      fc.property(identities, identities, (a, b) => {
        const same = a.tenantId === b.tenantId && a.entityKey === b.entityKey && a.idempotencyKey === b.idempotencyKey;
        expect(identityDigest(a) === identityDigest(b)).toBe(same);
        expect(externalIdOf(a) === externalIdOf(b)).toBe(same);
      }),
    );
  });

  it('fit where Kustomer keeps them and do not tell the keys', () => {
    expect(externalIdOf(identity)).toMatch(/^fibric-[0-9a-f]{40}$/);
    expect(receiptIdOf({ tenantId: 't', commandId: 'c', position: '0:1' })).toMatch(/^rc_[0-9a-f]{32}$/);
  });

  it('of a receipt belong to one record: the same record the same, another record of the same command another', () => {
    const origin = { tenantId: 't', commandId: 'c', position: '0:1' };
    expect(receiptIdOf(origin)).toBe(receiptIdOf({ ...origin }));
    for (const other of [{ position: '0:2' }, { position: '1:1' }, { tenantId: 'u' }, { commandId: 'd' }]) {
      expect(receiptIdOf({ ...origin, ...other })).not.toBe(receiptIdOf(origin));
    }
  });
});

describe('the fingerprint', () => {
  const of = (args: object, capability = 'conversation.note.write') => fingerprintOf({ capability, args });

  it('does not see the order of fields, but everything else', () => {
    expect(of({ a: 1, b: { c: 2, d: 3 } })).toBe(of({ b: { d: 3, c: 2 }, a: 1 }));
    const distinct = [
      of({ a: 1 }),
      of({ a: '1' }),
      of({ a: null }),
      of({ a: [] }),
      of({ a: {} }),
      of({ a: ['x', 'y'] }),
      of({ a: ['y', 'x'] }),
      of({ a: 1 }, 'conversation.status.write'),
    ];
    expect(new Set(distinct).size).toBe(distinct.length);
  });
});
