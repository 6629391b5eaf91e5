import fc from 'fast-check';
import type { CommandRecord, LedgerEntry, PolicyRef, Subject } from '../../../../src/sinks/ledger/entry.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 30 });
const time = fc.nat(2 ** 42);
const count = fc.nat(2 ** 31);
export const hash = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 });
const objectId = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 24, maxLength: 24 });
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

const policy: fc.Arbitrary<PolicyRef> = fc.record({
  policy: optional(text),
  version: optional(count),
  rule: optional(text),
  tier: optional(fc.nat(3)),
});
const subject: fc.Arbitrary<Subject> = fc.record({
  tenantId: text,
  connectionId: text,
  capability: text,
  entityKey: text,
  idempotencyKey: text,
  commandId: text,
});
const record: fc.Arbitrary<CommandRecord> = fc.record({
  key: text,
  value: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  offset: time,
  appendedAtMs: time,
});
const common = {
  fingerprint: hash,
  receiptId: fc.oneof(
    hash.map((hex) => `rc_${hex}`),
    text,
  ),
};

export const entry: fc.Arbitrary<LedgerEntry> = fc.oneof(
  fc.record({
    kind: fc.constant('in_flight' as const),
    ...common,
    epoch: count,
    startedAtMs: time,
    sendByMs: time,
    deadlineMs: time,
    attempt: count,
    policy,
    approvedBy: optional(text),
    record: optional(record),
    sendable: fc.boolean(),
    basis: optional(fc.record({ rev: optional(count), changedAtMs: optional(time) })),
  }),
  fc.record({
    kind: fc.constant('done' as const),
    ...common,
    atMs: time,
    vendorId: optional(fc.oneof(objectId, text)),
  }),
  fc.record({
    kind: fc.constant('failed' as const),
    ...common,
    atMs: time,
    code: fc.constantFrom('kustomer_refused' as const, 'deadline_passed' as const),
  }),
  fc.record({ kind: fc.constant('parked' as const), ...common, atMs: time, subject, policy, record: optional(record) }),
  fc.record({
    kind: fc.constant('held' as const),
    ...common,
    atMs: time,
    expiresAtMs: time,
    subject,
    policy,
    record: optional(record),
  }),
);
