/** The Avro schemas of commands and receipts, and the avsc types that encode them. */
import avsc from 'avsc';
import { avroFields, type Json, NAMESPACE } from '../avro-schema.ts';
import { quickTypes } from '../avro-writers.ts';
import { COMMAND_FIELDS, DEFAULT_MODE, type WireCommand } from './command.ts';
import { RECEIPT_FIELDS, type WireReceipt } from './receipt-fields.ts';

/** Each raised by one whenever its schema changes; `schemas/history` keeps every version. */
export const COMMAND_SCHEMA_VERSION = 1;
export const RECEIPT_SCHEMA_VERSION = 1;
export const COMMAND_SCHEMA_NAME = `${NAMESPACE}.WriteCommand`;
export const RECEIPT_SCHEMA_NAME = `${NAMESPACE}.WriteReceipt`;

type Schema = { readonly [key: string]: Json | null };

export function commandSchema(): Schema {
  const fields = avroFields(COMMAND_FIELDS, new Set()) as readonly Schema[];
  return {
    type: 'record',
    name: 'WriteCommand',
    namespace: NAMESPACE,
    doc: 'A write that an operator asks for. Key of the record: the conversation id, or call:<id> for a call without one.',
    fields: fields.map((field) => (field['name'] === 'mode' ? { ...field, default: DEFAULT_MODE } : field)),
  };
}

export function receiptSchema(): Schema {
  return {
    type: 'record',
    name: 'WriteReceipt',
    namespace: NAMESPACE,
    doc: 'What became of a write command: exactly one for each.',
    fields: avroFields(RECEIPT_FIELDS, new Set()),
  };
}

export interface RecordType<T> {
  toBuffer(value: T): Buffer;
  fromBuffer(bytes: Buffer): T;
  /** Number of the byte after the last one written, or a negative number when the buffer is too short by so much. */
  encode(value: T, into: Buffer, position: number): number;
  isValid(value: unknown, options?: { errorHook?: (path: string[], value: unknown) => void }): boolean;
}

/** Unions are `auto`, as in the envelope: the branch of args is named, everything nullable is plain. */
function createType(schema: Schema): unknown {
  const options = { wrapUnions: 'auto', typeHook: quickTypes() } as unknown as avsc.ForSchemaOptions;
  return avsc.Type.forSchema(schema as unknown as avsc.Schema, options);
}

export function createCommandType(): RecordType<WireCommand> {
  return createType(commandSchema()) as RecordType<WireCommand>;
}

export function createReceiptType(): RecordType<WireReceipt> {
  return createType(receiptSchema()) as RecordType<WireReceipt>;
}
