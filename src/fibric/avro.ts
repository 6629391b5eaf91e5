/** The Avro schema of the envelope, built from the catalogue, and the avsc type that encodes it. */
import avsc from 'avsc';
import { avroSchema, type Json } from './avro-schema.ts';
import { quickTypes } from './avro-writers.ts';
import { type Envelope, NAMESPACE } from './envelope.ts';
import { EVENT_TYPES } from './events/index.ts';

/** Raised by one whenever the schema changes; `schemas/history` keeps every version. */
export const ENVELOPE_SCHEMA_VERSION = 2;
export const ENVELOPE_SCHEMA_NAME = `${NAMESPACE}.Envelope`;

/** The schema as it is committed and registered. A record is spelled out where it first stands, named afterwards. */
export function envelopeSchema(): { readonly [key: string]: Json | null } {
  const spelled = new Set<string>();
  const payloads = EVENT_TYPES.map((event) =>
    avroSchema(
      { type: 'record', name: event.record, doc: `${event.type}: ${event.doc}`, fields: event.fields },
      spelled,
    ),
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
