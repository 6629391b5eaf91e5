import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changeIds } from '../../../src/fibric/envelope.ts';

/** RFC 9562, section 5.5, from the text of the standard. */
function uuidVersion5(namespace: string, name: string): string {
  const digest = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name, 'utf8')
    .digest()
    .subarray(0, 16);
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x50, 6);
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8);
  return digest.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

describe('the ids of a change', () => {
  it('are the version 5 UUID anyone can compute, and a correlation id', () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ unit: 'grapheme' }), (tenant, identity) => {
        const { eventId, correlationId } = changeIds(tenant, 'cn_1', identity);
        expect(eventId).toBe(uuidVersion5('66696272-6963-2e6b-7573-746f6d65722e', `${tenant}/cn_1/${identity}`));
        expect(correlationId).toMatch(/^co_[0-9a-f]{16}$/);
      }),
    );
  });

  it('never change: a replay in years gives the same', () => {
    expect(changeIds('t_acme', 'cn_acme', 'conversation:c1:created')).toEqual({
      eventId: 'aa86e3a6-f712-58f7-a65f-f3d621aa615a',
      correlationId: 'co_21aa615af2e9098b',
    });
  });

  it('differ between tenants, connections and changes', () => {
    const ids = [
      changeIds('t_a', 'cn_1', 'x'),
      changeIds('t_b', 'cn_1', 'x'),
      changeIds('t_a', 'cn_2', 'x'),
      changeIds('t_a', 'cn_1', 'y'),
    ];
    expect(new Set(ids.map(({ eventId }) => eventId)).size).toBe(4);
    expect(new Set(ids.map(({ correlationId }) => correlationId)).size).toBe(4);
  });
});
