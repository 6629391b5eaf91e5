/**
 * Decodes envelopes without any of the code that encodes them: wire header by hand, writer schema by its id.
 * All unions are decoded wrapped and then unwrapped along the schema, which is right for any schema the registry holds;
 * the encoder's shortcuts (unwrapped unions, compiled mappings) are exactly what is to be checked.
 */
import avsc, { type Schema, type Type } from 'avsc'; // CommonJS: Node sees its names only on the default export

const { types } = avsc;

export interface Decoded {
  readonly envelope: unknown;
  /** Name of the record the payload was written as, without namespace; null when it is not one of several. */
  readonly payloadRecord: string | null;
}

export type EnvelopeDecoder = (bytes: Buffer) => Decoded;

const HEADER_BYTES = 5;

/** The schema id of the Confluent wire format (0x00, id as big-endian int32); null when it is not in that format. */
export function wireSchemaId(value: Buffer | null): number | null {
  if (value === null || value.length < HEADER_BYTES || value[0] !== 0) return null;
  return value.readInt32BE(1);
}

/** Decodes values written with `schema`, wire header included. Throws when bytes are left over or missing. */
export function decoderFor(schema: unknown): EnvelopeDecoder {
  const type = avsc.Type.forSchema(schema as Schema, { wrapUnions: true });
  return (bytes) => {
    const wrapped = type.fromBuffer(bytes.subarray(HEADER_BYTES));
    return { envelope: unwrap(type, wrapped), payloadRecord: payloadRecord(type, wrapped) };
  };
}

function payloadRecord(type: Type, wrapped: { payload?: unknown }): string | null {
  const field = type instanceof types.RecordType ? type.fields.find(({ name }) => name === 'payload') : undefined;
  if (!(field?.type instanceof types.WrappedUnionType) || typeof wrapped.payload !== 'object') return null;
  const [branch] = Object.keys(wrapped.payload ?? {});
  return branch?.split('.').at(-1) ?? null;
}

function unwrap(type: Type, value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (type instanceof types.WrappedUnionType) {
    const [branch, inner] = Object.entries(value)[0] ?? [];
    const branchType = type.types.find((candidate) => (candidate.branchName ?? candidate.typeName) === branch);
    if (branchType === undefined) throw new Error(`the union has no branch ${branch}`);
    return unwrap(branchType, inner);
  }
  if (type instanceof types.RecordType) {
    const record = value as Record<string, unknown>;
    return Object.fromEntries(type.fields.map((field) => [field.name, unwrap(field.type, record[field.name])]));
  }
  if (type instanceof types.ArrayType) return (value as unknown[]).map((item) => unwrap(type.itemsType, item));
  if (type instanceof types.MapType)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unwrap(type.valuesType, item)]));
  return value;
}
