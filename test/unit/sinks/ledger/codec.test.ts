import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../../../../src/base/errors.ts';
import {
  decodeEntry,
  encodeEntry,
  MAX_ENTRY_BYTES,
  MAX_RECORD_BYTES,
  MAX_TEXT_LENGTH,
  settledAtMs,
} from '../../../../src/sinks/ledger/codec.ts';
import type { LedgerEntry } from '../../../../src/sinks/ledger/entry.ts';
import { entry } from './arbitraries.ts';

function isRefused(bytes: Buffer): boolean {
  try {
    decodeEntry(bytes);
    return false;
  } catch (error) {
    if (hasCode(error, 'ledger_unreadable')) return true;
    throw error;
  }
}

describe('entries as bytes', () => {
  it('come back as they were, whatever they hold', () => {
    fc.assert(
      fc.property(entry, (value) => {
        expect(decodeEntry(encodeEntry(value))).toEqual(value);
      }),
      { numRuns: 10_000 },
    );
  });

  it('tell when they were settled without being decoded, and that they were not', () => {
    fc.assert(
      fc.property(entry, fc.nat(), (value, at) => {
        const bytes = encodeEntry(value);
        expect(settledAtMs(bytes)).toBe(value.kind === 'done' || value.kind === 'failed' ? value.atMs : null);
        // Whatever it is, it is not an error: other records lie beside the entries.
        settledAtMs(bytes.subarray(0, at % bytes.length));
      }),
      { numRuns: 3000 },
    );
    expect(settledAtMs(Buffer.alloc(0))).toBeNull();
    expect(settledAtMs(Buffer.of(99, 1, ...Buffer.alloc(60)))).toBeNull();
  });

  it('are refused when cut, lengthened, or of a version or kind that is not known', () => {
    fc.assert(
      fc.property(entry, fc.nat(), (value, at) => {
        const bytes = encodeEntry(value);
        expect(isRefused(bytes.subarray(0, at % bytes.length))).toBe(true);
        expect(isRefused(Buffer.concat([bytes, Buffer.of(0)]))).toBe(true);
        expect(isRefused(Buffer.concat([Buffer.of(4), bytes.subarray(1)]))).toBe(true);
        expect(isRefused(Buffer.concat([bytes.subarray(0, 1), Buffer.of(5), bytes.subarray(2)]))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('damaged, are read as something or refused; nothing else is thrown', () => {
    fc.assert(
      fc.property(entry, fc.nat(), fc.nat(255), (value, at, byte) => {
        const bytes = encodeEntry(value);
        bytes[at % bytes.length] = byte;
        isRefused(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it('of the first version are read; what waits has no record then', () => {
    const flags = { policy: null, version: null, rule: null, tier: null };
    const subject = {
      tenantId: 't',
      connectionId: 'c',
      capability: 'x',
      entityKey: 'e',
      idempotencyKey: 'k',
      commandId: 'i',
    };
    const common = {
      fingerprint: 'a'.repeat(32),
      receiptId: `rc_${'b'.repeat(32)}`,
      subject,
      policy: flags,
      record: null,
    };
    for (const waiting of [
      { kind: 'held' as const, ...common, atMs: 1, expiresAtMs: 2 },
      { kind: 'parked' as const, ...common, atMs: 1 },
    ]) {
      const now = encodeEntry(waiting);
      // The flag that says that there is no record is all that the second version added.
      const then = Buffer.concat([Buffer.of(1), now.subarray(1, -1)]);
      expect(decodeEntry(then)).toEqual(waiting);
      expect(isRefused(now.subarray(0, -1))).toBe(true);
    }
  });

  it('of the second version are read; what is in flight may have been sent then', () => {
    const flight: LedgerEntry = {
      kind: 'in_flight',
      fingerprint: 'a'.repeat(32),
      receiptId: `rc_${'b'.repeat(32)}`,
      epoch: 1,
      startedAtMs: 1,
      sendByMs: 2,
      deadlineMs: 3,
      attempt: 1,
      policy: { policy: null, version: null, rule: null, tier: null },
      approvedBy: null,
      record: null,
      sendable: true,
      basis: null,
    };
    const now = encodeEntry(flight);
    // The flags that say that it may be sent, and that there is no basis, are all that the third version added.
    expect(decodeEntry(Buffer.concat([Buffer.of(2), now.subarray(1, -2)]))).toEqual(flight);
    expect(isRefused(now.subarray(0, -1))).toBe(true);
  });

  it('take 60 bytes for what is kept longest', () => {
    const done = encodeEntry({
      kind: 'done',
      fingerprint: 'a'.repeat(32),
      receiptId: `rc_${'b'.repeat(32)}`,
      atMs: 1_800_000_000_000,
      vendorId: 'c'.repeat(24),
    });
    expect(done.length).toBeLessThanOrEqual(60);
  });

  it('stay within the bound that room is kept for, with the longest texts; longer ones are refused', () => {
    const longest = '\uffff'.repeat(MAX_TEXT_LENGTH);
    const policy = { policy: longest, version: Number.MAX_SAFE_INTEGER, rule: longest, tier: 3 };
    const names = { tenantId: longest, connectionId: longest, capability: longest };
    const subject = { ...names, entityKey: longest, idempotencyKey: longest, commandId: longest };
    const common = { fingerprint: 'a'.repeat(32), receiptId: longest };
    const waiting = { kind: 'held' as const, ...common, atMs: 2 ** 52, expiresAtMs: 2 ** 52, subject, policy };
    const record = { key: longest, value: Buffer.alloc(MAX_RECORD_BYTES), offset: 2 ** 52, appendedAtMs: 2 ** 52 };
    const held = { ...waiting, record };
    expect(encodeEntry(held).length).toBeLessThanOrEqual(MAX_ENTRY_BYTES + MAX_RECORD_BYTES);
    const larger = { ...record, value: Buffer.alloc(MAX_RECORD_BYTES + 1) };
    expect(() => encodeEntry({ ...held, record: larger })).toThrow(RangeError);
    expect(() => encodeEntry({ ...held, receiptId: `${longest}x` })).toThrow(RangeError);
  });
});
