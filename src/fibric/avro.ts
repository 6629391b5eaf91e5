/** The Avro schema of the envelope, built from the catalogue, and the avsc type that encodes it. */
import avsc from 'avsc';
import { quickTypes } from './avro-writers.ts';
import { type Envelope, NAMESPACE } from './envelope.ts';
import type { AvroType, Field } from './events/define.ts';
import { EVENT_TYPES } from './events/index.ts';

/** Raised by one whenever the schema changes; `schemas/history` keeps every version. */
export const ENVELOPE_SCHEMA_VERSION = 2;
export const ENVELOPE_SCHEMA_NAME = `${NAMESPACE}.Envelope`;

type Json = string | readonly Json[] | { readonly [key: string]: Json | null };

/** The schema as it is committed and registered. A record is spelled out where it first stands, named afterwards. */
export function envelopeSchema(): { readonly [key: string]: Json | null } {
  const spelled = new Set<string>();
  const payloads = EVENT_TYPES.map((event) =>
    avro({ type: 'record', name: event.record, doc: `${event.type}: ${event.doc}`, fields: event.fields }, spelled),
  );
  return {
    type: 'record',
    name: 'Envelope',
    namespace: NAMESPACE,
    doc: 'A Fibric event envelope as cn-kustomer publishes it.',
    fields: [
      { name: 'event_id', type: 'string', doc: 'UUID, version 5, of the change: the same change always has the same.' },
      {
        name: 'reseller_id',
        type: ['null', 'string'],
        default: null,
        doc: 'Null for a tenant without reseller.',
      },
      { name: 'tenant_id', type: 'string', doc: 'Never null.' },
      { name: 'workspace_id', type: ['null', 'string'], default: null, doc: 'Organisational partition only.' },
      { name: 'source', type: 'string', doc: 'kustomer' },
      { name: 'event_type', type: 'string', doc: 'Dotted name; decides the branch of payload.' },
      { name: 'correlation_id', type: 'string', doc: 'Threads envelope, plan, action and receipt.' },
      { name: 'payload', type: payloads, doc: 'One record per event type.' },
      { name: 'agent_id', type: ['null', 'string'], default: null, doc: 'Always null: no operator made it.' },
      { name: 'session_id', type: ['null', 'string'], default: null, doc: 'Always null: no session made it.' },
    ],
  };
}

function avro(type: AvroType, spelled: Set<string>): Json {
  if (typeof type === 'string') return type;
  if (Array.isArray(type)) return type.map((branch: AvroType) => avro(branch, spelled));
  const shape = type as Exclude<AvroType, string | readonly AvroType[]>;
  if (shape.type === 'array') return { type: 'array', items: avro(shape.items, spelled) };
  if (shape.type === 'map') return { type: 'map', values: avro(shape.values, spelled) };
  if (spelled.has(shape.name)) return `${NAMESPACE}.${shape.name}`;
  spelled.add(shape.name);
  return {
    type: 'record',
    name: shape.name,
    doc: shape.doc,
    fields: shape.fields.map((field) => avroField(field, spelled)),
  };
}

/** Nullable fields default to null, so that a reader of this schema also reads what was written before the field. */
function avroField(field: Field, spelled: Set<string>): Json {
  const type = avro(field.type.avro, spelled);
  const isNullable = Array.isArray(type) && type[0] === 'null';
  return { name: field.name, type, ...(isNullable ? { default: null } : {}), doc: field.doc };
}

/**
 * The encoder and decoder of envelopes. Unions are `auto`: `['null', 'string']` takes plain values, the payload union
 * (several records, which avsc cannot tell apart) takes `{ 'fibric.kustomer.<Record>': payload }`. Finding the branch
 * by its name is one lookup; unwrapped it would mean checking the payload against each branch.
 */
export function createEnvelopeType(schema: unknown = envelopeSchema()): EnvelopeType {
  const options = { wrapUnions: 'auto', typeHook: quickTypes() } as unknown as avsc.ForSchemaOptions;
  return avsc.Type.forSchema(schema as avsc.Schema, options);
}

export interface EnvelopeType {
  toBuffer(envelope: Envelope): Buffer;
  fromBuffer(bytes: Buffer): Envelope;
  /** Number of the byte after the last one written, or a negative number when the buffer is too short by so much. */
  encode(envelope: Envelope, into: Buffer, position: number): number;
  isValid(envelope: unknown, options?: { errorHook?: (path: string[], value: unknown) => void }): boolean;
}
