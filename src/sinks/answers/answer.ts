/**
 * What a person says to a command that waits, as a record of the commands topic: under the key of the command, so that it
 * runs in the command's lane, behind what came before it.
 *
 * J1 an answer counts only with a MAC over all of it and its key: changed, or put into another lane, it is forged
 * J2 it names the receipt of the one command it is about: said again later, it meets nothing that it could change
 * J3 reading one never throws, and tells of one that cannot be read no more than why
 */
import { z } from 'zod';
import type { ErrorCode } from '../../base/errors.ts';
import { instantText, parseInstant } from '../../fibric/commands/instant.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Append, LogRecord } from '../../kafka/port.ts';
import { TENANT_ID } from '../../kafka/topics.ts';
import type { AnswerMac } from './mac.ts';

/** Value of the header `kind`. */
export const ANSWER_RECORD = 'answer';

export const HELD_ANSWERS = ['approve', 'reject'] as const;
export const PARKED_ANSWERS = ['applied', 'not_applied'] as const;
export type AnswerKind = (typeof HELD_ANSWERS)[number] | (typeof PARKED_ANSWERS)[number];

export const MAX_ANSWER_NOTE_LENGTH = 1000;
export const MAX_ANSWERED_BY_LENGTH = 200;
const MAX_VENDOR_ID_LENGTH = 255;
const MAX_ANSWER_BYTES = 16 * 1024;

export interface Answer {
  readonly tenantId: string;
  /** Of the ledger. */
  readonly identity: string;
  /** Of the command that waits. */
  readonly receiptId: string;
  readonly answer: AnswerKind;
  /** Who gave it. */
  readonly by: string;
  readonly note: string | null;
  /** With `applied`: what Kustomer calls what was written, if the person knows. */
  readonly vendorId: string | null;
  readonly atMs: number;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const NAME = /^[^\u0000-\u001f\u007f]+$/;

const ANSWER = z.strictObject({
  version: z.literal(1),
  tenant_id: z.string().regex(TENANT_ID),
  identity: z.string().regex(/^[0-9a-f]{32}$/),
  receipt_id: z.string().regex(/^rc_[0-9a-f]{32}$/),
  answer: z.enum([...HELD_ANSWERS, ...PARKED_ANSWERS]),
  by: z.string().regex(NAME).max(MAX_ANSWERED_BY_LENGTH),
  note: z.string().max(MAX_ANSWER_NOTE_LENGTH).nullable(),
  vendor_id: z.string().min(1).max(MAX_VENDOR_ID_LENGTH).nullable().default(null),
  at: z.string().refine((text) => parseInstant(text) !== null),
  mac: z.string().regex(/^[0-9a-f]{64}$/),
});
type WireAnswer = z.output<typeof ANSWER>;

export function isAnswer(record: Pick<LogRecord, 'headers'>): boolean {
  return record.headers[HEADER.kind]?.toString() === ANSWER_RECORD;
}

export interface AnswerPlace {
  readonly topic: string;
  /** Of the command. */
  readonly partition: number;
  readonly key: string;
}

/** Throws a RangeError for what could not be read back: whoever asks bounds what people enter. */
export function composeAnswerRecord(answer: Answer, { topic, partition, key }: AnswerPlace, mac: AnswerMac): Append {
  const unsigned = {
    version: 1 as const,
    tenant_id: answer.tenantId,
    identity: answer.identity,
    receipt_id: answer.receiptId,
    answer: answer.answer,
    by: answer.by,
    note: answer.note,
    vendor_id: answer.vendorId,
    at: instantText(answer.atMs),
  };
  const wire: WireAnswer = { ...unsigned, mac: mac.sign(signedText(unsigned, key)) };
  const parsed = ANSWER.safeParse(wire);
  if (!parsed.success) throw new RangeError(`not an answer: ${fieldsOf(parsed.error)}`);
  const headers = { [HEADER.kind]: ANSWER_RECORD, [HEADER.tenant]: answer.tenantId };
  return { topic, partition, key: Buffer.from(key), value: Buffer.from(JSON.stringify(wire)), headers };
}

export type AnswerReading =
  | { readonly ok: true; readonly answer: Answer; readonly key: string }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

export function readAnswer(record: Pick<LogRecord, 'key' | 'value'>, mac: AnswerMac): AnswerReading {
  const parsed = ANSWER.safeParse(jsonOf(record.value));
  if (!parsed.success) {
    return { ok: false, code: 'answer_malformed', message: `the answer cannot be read: ${fieldsOf(parsed.error)}` };
  }
  const wire = parsed.data;
  const key = record.key?.toString() ?? '';
  if (!mac.verify(signedText(wire, key), wire.mac)) {
    return { ok: false, code: 'answer_forged', message: 'the answer was not made with our key, or was changed' };
  }
  const { tenant_id: tenantId, identity, receipt_id: receiptId, answer, by, note, vendor_id: vendorId, at } = wire;
  const atMs = parseInstant(at) as number;
  return { ok: true, key, answer: { tenantId, identity, receiptId, answer, by, note, vendorId, atMs } };
}

/** J1. As JSON, so that no two answers give one text. */
function signedText(wire: Omit<WireAnswer, 'mac'>, key: string): string {
  const { version, tenant_id, identity, receipt_id, answer, by, note, vendor_id, at } = wire;
  return JSON.stringify([
    ANSWER_RECORD,
    version,
    key,
    tenant_id,
    identity,
    receipt_id,
    answer,
    by,
    note,
    vendor_id,
    at,
  ]);
}

function jsonOf(value: Buffer | null): unknown {
  if (value === null || value.length > MAX_ANSWER_BYTES) return undefined;
  try {
    return JSON.parse(value.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Names only: what stands in them is somebody's words. */
function fieldsOf({ issues }: z.ZodError): string {
  const fields = new Set(issues.map(({ path }) => path.join('.') || 'value'));
  return [...fields].slice(0, 5).join(', ');
}
