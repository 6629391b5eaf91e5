/**
 * Entries as values of the ledger topic. Most are `done`, kept for 90 days: about 60 bytes each. A reader refuses what it
 * does not know, a newer version above all: guessing would send twice.
 */
import { CodedError, ERROR_TABLE, type ErrorCode } from '../../base/errors.ts';
import { ByteReader, ByteWriter } from '../bytes.ts';
import type { Basis, CommandRecord, LedgerEntry, PolicyRef, Subject } from './entry.ts';

/** 2: what waits for a person has the record of its command. 3: what is in flight tells whether it may have been sent, and its basis. */
const VERSION = 3;
const WITHOUT_BASIS = 2;
const WITHOUT_RECORDS = 1;
const KINDS = ['in_flight', 'done', 'failed', 'parked', 'held'] as const satisfies readonly LedgerEntry['kind'][];
const HASH_BYTES = 16;
const RECEIPT_ID = /^rc_[0-9a-f]{32}$/;
const OBJECT_ID = /^[0-9a-f]{24}$/;
const OBJECT_ID_BYTES = 12;

/** Ids and names are bounded where commands and policies are checked; longer texts are refused here, not cut. */
export const MAX_TEXT_LENGTH = 512;
/** More than the longest entry without its record's value: ten texts of at most three bytes a UTF-16 unit, and the numbers. */
export const MAX_ENTRY_BYTES = 16 * 1024 + 256;
/** More than the longest command: a note of 10,240 characters, and ids. What is larger is refused at the door. */
export const MAX_RECORD_BYTES = 40 * 1024;

export function encodeEntry(entry: LedgerEntry): Buffer {
  const writer = new ByteWriter().byte(VERSION).byte(KINDS.indexOf(entry.kind)).hex(entry.fingerprint, HASH_BYTES);
  writeReceiptId(writer, entry.receiptId);
  switch (entry.kind) {
    case 'in_flight':
      writer.number(entry.epoch).number(entry.startedAtMs).number(entry.sendByMs).number(entry.deadlineMs);
      writer.number(entry.attempt).optional(entry.approvedBy, (name) => writeText(writer, name));
      writePolicy(writer, entry.policy);
      writeRecord(writer, entry.record);
      writer.byte(entry.sendable ? 1 : 0).optional(entry.basis, (basis) => writeBasis(writer, basis));
      break;
    case 'done':
      writer.number(entry.atMs).optional(entry.vendorId, (id) => writeVendorId(writer, id));
      break;
    case 'failed':
      writer.number(entry.atMs).text(entry.code);
      break;
    case 'parked':
      writer.number(entry.atMs);
      writeSubject(writer, entry.subject);
      writePolicy(writer, entry.policy);
      writeRecord(writer, entry.record);
      break;
    case 'held':
      writer.number(entry.atMs).number(entry.expiresAtMs);
      writeSubject(writer, entry.subject);
      writePolicy(writer, entry.policy);
      writeRecord(writer, entry.record);
      break;
  }
  return writer.finish();
}

/** Without decoding it: for looking through all there is. */
export function isHeldEntry(bytes: Buffer): boolean {
  return KINDS[bytes[1] ?? KINDS.length] === 'held';
}

/** When it was settled, without decoding it; null for what is not settled, and for what is no entry. */
export function settledAtMs(bytes: Buffer): number | null {
  const [version = 0, kind = KINDS.length] = bytes;
  if (version < WITHOUT_RECORDS || version > VERSION) return null;
  if (KINDS[kind] !== 'done' && KINDS[kind] !== 'failed') return null;
  try {
    const reader = new ByteReader(bytes).skip(2 + HASH_BYTES);
    reader.skip(reader.byte() === 1 ? HASH_BYTES : reader.number());
    return reader.number();
  } catch {
    return null;
  }
}

/** Throws `ledger_unreadable`. */
export function decodeEntry(bytes: Buffer): LedgerEntry {
  try {
    const reader = new ByteReader(bytes);
    const entry = read(reader);
    if (!reader.isAtEnd) throw new RangeError('there is more behind the entry');
    return entry;
  } catch (cause) {
    throw new CodedError('ledger_unreadable', 'An entry of the ledger cannot be read', {}, { cause });
  }
}

function read(reader: ByteReader): LedgerEntry {
  const version = reader.byte();
  if (version < WITHOUT_RECORDS || version > VERSION) throw new RangeError(`version ${version}`);
  const kind = KINDS[reader.byte()];
  if (kind === undefined) throw new RangeError('an unknown kind of entry');
  const common = { fingerprint: reader.hex(HASH_BYTES), receiptId: readReceiptId(reader) };
  switch (kind) {
    case 'in_flight':
      return {
        kind,
        ...common,
        epoch: reader.number(),
        startedAtMs: reader.number(),
        sendByMs: reader.number(),
        deadlineMs: reader.number(),
        attempt: reader.number(),
        approvedBy: reader.optional(() => reader.text()),
        policy: readPolicy(reader),
        record: readRecord(reader, version),
        sendable: version <= WITHOUT_BASIS || readFlag(reader),
        basis: version <= WITHOUT_BASIS ? null : reader.optional(() => readBasis(reader)),
      };
    case 'done':
      return { kind, ...common, atMs: reader.number(), vendorId: reader.optional(() => readVendorId(reader)) };
    case 'failed':
      return { kind, ...common, atMs: reader.number(), code: readCode(reader) };
    case 'parked':
      return {
        kind,
        ...common,
        atMs: reader.number(),
        subject: readSubject(reader),
        policy: readPolicy(reader),
        record: readRecord(reader, version),
      };
    case 'held':
      return {
        kind,
        ...common,
        atMs: reader.number(),
        expiresAtMs: reader.number(),
        subject: readSubject(reader),
        policy: readPolicy(reader),
        record: readRecord(reader, version),
      };
  }
}

const SUBJECT = [
  'tenantId',
  'connectionId',
  'capability',
  'entityKey',
  'idempotencyKey',
  'commandId',
] as const satisfies readonly (keyof Subject)[];

function writeSubject(writer: ByteWriter, subject: Subject): void {
  for (const name of SUBJECT) writeText(writer, subject[name]);
}

function readSubject(reader: ByteReader): Subject {
  // The order of evaluation is the order of SUBJECT.
  return Object.fromEntries(SUBJECT.map((name) => [name, reader.text()])) as unknown as Subject;
}

function writePolicy(writer: ByteWriter, { policy, version, rule, tier }: PolicyRef): void {
  writer.optional(policy, (name) => writeText(writer, name)).optional(version, (value) => writer.number(value));
  writer.optional(rule, (name) => writeText(writer, name)).optional(tier, (value) => writer.number(value));
}

function readPolicy(reader: ByteReader): PolicyRef {
  return {
    policy: reader.optional(() => reader.text()),
    version: reader.optional(() => reader.number()),
    rule: reader.optional(() => reader.text()),
    tier: reader.optional(() => reader.number()),
  };
}

function writeRecord(writer: ByteWriter, record: CommandRecord | null): void {
  writer.optional(record, ({ key, value, offset, appendedAtMs }) => {
    if (value.length > MAX_RECORD_BYTES) throw new RangeError(`a record of ${value.length} bytes`);
    writeText(writer, key);
    writer.bytes(value).number(offset).number(appendedAtMs);
  });
}

function readRecord(reader: ByteReader, version: number): CommandRecord | null {
  if (version === WITHOUT_RECORDS) return null;
  return reader.optional(() => ({
    key: reader.text(),
    value: reader.bytes(),
    offset: reader.number(),
    appendedAtMs: reader.number(),
  }));
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.byte();
  if (flag > 1) throw new RangeError('neither yes nor no');
  return flag === 1;
}

function writeBasis(writer: ByteWriter, { rev, changedAtMs }: Basis): void {
  writer.optional(rev, (value) => writer.number(value)).optional(changedAtMs, (value) => writer.number(value));
}

function readBasis(reader: ByteReader): Basis {
  return { rev: reader.optional(() => reader.number()), changedAtMs: reader.optional(() => reader.number()) };
}

function readCode(reader: ByteReader): ErrorCode {
  const code = reader.text();
  if (!Object.hasOwn(ERROR_TABLE, code)) throw new RangeError(`an unknown code: ${code}`);
  return code as ErrorCode;
}

/** Ours are 16 bytes. */
function writeReceiptId(writer: ByteWriter, id: string): void {
  writeEither(writer, id, RECEIPT_ID.test(id) ? () => writer.hex(id.slice(3), HASH_BYTES) : undefined);
}

function readReceiptId(reader: ByteReader): string {
  return reader.byte() === 1 ? `rc_${reader.hex(HASH_BYTES)}` : reader.text();
}

/** Kustomer's are 12 bytes. */
function writeVendorId(writer: ByteWriter, id: string): void {
  writeEither(writer, id, OBJECT_ID.test(id) ? () => writer.hex(id, OBJECT_ID_BYTES) : undefined);
}

function readVendorId(reader: ByteReader): string {
  return reader.byte() === 1 ? reader.hex(OBJECT_ID_BYTES) : reader.text();
}

function writeEither(writer: ByteWriter, text: string, packed: (() => unknown) | undefined): void {
  writer.byte(packed === undefined ? 0 : 1);
  if (packed === undefined) writeText(writer, text);
  else packed();
}

function writeText(writer: ByteWriter, text: string): void {
  if (text.length > MAX_TEXT_LENGTH) throw new RangeError(`a text of ${text.length} characters`);
  writer.text(text);
}
