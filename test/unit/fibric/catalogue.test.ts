import { readdirSync, readFileSync } from 'node:fs';
import avsc from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEnvelopeType, ENVELOPE_SCHEMA_VERSION, envelopeSchema } from '../../../src/fibric/avro.ts';
import { branchName, type Envelope } from '../../../src/fibric/envelope.ts';
import type { AvroType, EventTypeDefinition, Field } from '../../../src/fibric/events/define.ts';
import { EVENT_TYPES, eventTypeDefinition } from '../../../src/fibric/events/index.ts';

const definitions: readonly EventTypeDefinition[] = EVENT_TYPES;
const schemas = new URL('../../../schemas/', import.meta.url);
const envelopeHistory = () => readdirSync(new URL('history/', schemas)).filter((file) => file.startsWith('envelope.'));
const read = (file: string): unknown => JSON.parse(readFileSync(new URL(file, schemas), 'utf8'));

describe('the catalogue of event types', () => {
  it('has the six types of the platform with their kinds, and marks every other as extended', () => {
    const told = definitions.filter(({ extended }) => !extended).map(({ type, kind }) => [type, kind]);
    expect(Object.fromEntries(told)).toEqual({
      'conversation.created': 'webhook',
      'conversation.message.created': 'webhook',
      'conversation.status.changed': 'webhook',
      'conversation.satisfaction.updated': 'webhook',
      'conversation.sla.breached': 'poll',
      'customer.updated': 'poll',
    });
    expect(definitions.length).toBe(15);
  });

  it('has one file per type', () => {
    const files = readdirSync(new URL('../../../src/fibric/events/', import.meta.url));
    const expected = definitions.map(({ type }) => `${type.replaceAll('.', '-')}.ts`);
    expect(files.filter((file) => !['index.ts', 'define.ts', 'fields.ts'].includes(file)).sort()).toEqual(
      expected.sort(),
    );
  });

  it('names types, records and fields once, in their forms', () => {
    expect(new Set(definitions.map(({ type }) => type)).size).toBe(definitions.length);
    expect(new Set(definitions.map(({ record }) => record)).size).toBe(definitions.length);
    for (const { type, record, fields } of definitions) {
      expect(type).toMatch(/^[a-z]+(\.[a-z]+){1,2}$/);
      expect(record).toMatch(/^[A-Z][A-Za-z]+$/);
      expect(new Set(fields.map(({ name }) => name)).size).toBe(fields.length);
      for (const { name, doc } of fields) {
        expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
        expect(doc, `${type}.${name} wants a doc`).not.toBe('');
      }
    }
  });

  it('begins every payload with what it is about and how it was observed', () => {
    const common = ['revision', 'occurred_at', 'observed_via', 'late', 'actor', 'echo'];
    for (const { type, fields } of definitions) {
      const names = fields.map(({ name }) => name);
      expect(names.slice(0, 3), type).toEqual(['resource_type', 'resource_id', 'entity']);
      const from = names.indexOf('revision');
      expect(names.slice(from, from + common.length), type).toEqual(common);
      expect(names.slice(3, from).every((name) => name.endsWith('_id'))).toBe(true);
    }
  });

  it('finds a definition by its type and nothing by another name', () => {
    expect(eventTypeDefinition('customer.updated').record).toBe('CustomerUpdated');
    expect(eventTypeDefinition('customer.deleted')).toBeUndefined();
    expect(eventTypeDefinition('constructor')).toBeUndefined();
  });
});

describe('schemas/', () => {
  it('hold what the catalogue says: run scripts/generate-schemas.ts when this fails', () => {
    expect(read('envelope.avsc')).toEqual(envelopeSchema());
    expect(read(`history/envelope.v${ENVELOPE_SCHEMA_VERSION}.avsc`)).toEqual(envelopeSchema());
  });

  it('keep every version since the first', () => {
    const expected = Array.from({ length: ENVELOPE_SCHEMA_VERSION }, (_, i) => `envelope.v${i + 1}.avsc`);
    expect(envelopeHistory().sort()).toEqual(expected.sort());
  });

  it('let a reader of this version read every earlier one', () => {
    const reader = avsc.Type.forSchema(envelopeSchema() as avsc.Schema);
    for (const file of envelopeHistory()) {
      const writer = avsc.Type.forSchema(read(`history/${file}`) as avsc.Schema);
      expect(() => reader.createResolver(writer)).not.toThrow();
    }
  });

  it('have the ten fields of an envelope in order, and a default for every nullable field', () => {
    const { fields } = envelopeSchema() as { fields: { name: string; type: unknown; default?: unknown }[] };
    expect(fields.map(({ name }) => name).join(' ')).toBe(
      'event_id reseller_id tenant_id workspace_id source event_type correlation_id payload agent_id session_id',
    );
    const check = (schema: unknown): void => {
      if (Array.isArray(schema)) schema.forEach(check);
      if (typeof schema !== 'object' || schema === null || !('fields' in schema)) return;
      for (const field of schema.fields as { name: string; type: unknown; default?: unknown }[]) {
        const isNullable = Array.isArray(field.type) && field.type[0] === 'null';
        expect(Object.hasOwn(field, 'default'), field.name).toBe(isNullable);
        check(field.type);
      }
    };
    check(envelopeSchema());
  });
});

/** Any value of an Avro type of the contract. */
function anyOf(type: AvroType): fc.Arbitrary<unknown> {
  if (type === 'null') return fc.constant(null);
  if (type === 'string') return fc.oneof(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.string({ maxLength: 70 }));
  if (type === 'long') return LONGS;
  if (type === 'double') return fc.double({ noNaN: true });
  if (type === 'boolean') return fc.boolean();
  if (Array.isArray(type)) return fc.oneof(...type.map((branch: AvroType) => anyOf(branch)));
  const shape = type as Exclude<AvroType, string | readonly AvroType[]>;
  if (shape.type === 'array') return fc.array(anyOf(shape.items), { maxLength: 5 });
  if (shape.type === 'map') return fc.dictionary(fc.string({ maxLength: 20 }), anyOf(shape.values), { maxKeys: 5 });
  return recordOf(shape.fields);
}

function recordOf(fields: readonly Field[]): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(Object.fromEntries(fields.map(({ name, type }) => [name, anyOf(type.avro)])));
}

/** avsc refuses the outermost two. */
const LONGS = fc.integer({ min: Number.MIN_SAFE_INTEGER + 1, max: Number.MAX_SAFE_INTEGER - 1 });

const text = fc.string({ unit: 'grapheme', maxLength: 100 });
const envelopes = fc.constantFrom(...EVENT_TYPES).chain((definition) =>
  fc
    .record({
      event_id: text,
      reseller_id: fc.option(text),
      tenant_id: text,
      workspace_id: fc.option(text),
      source: text,
      correlation_id: text,
      payload: recordOf(definition.fields as readonly Field[]).map((p) => ({ [branchName(definition.type)]: p })),
      agent_id: fc.option(text),
      session_id: fc.option(text),
    })
    .map((envelope) => ({ ...envelope, event_type: definition.type }) as unknown as Envelope),
);

describe('the quick encoder', () => {
  const quick = createEnvelopeType();
  const stock = avsc.Type.forSchema(envelopeSchema() as avsc.Schema);

  it('writes the bytes that stock avsc writes, for every event type', () => {
    fc.assert(
      fc.property(envelopes, (envelope) => {
        const bytes = stock.toBuffer(envelope);
        expect(quick.toBuffer(envelope).equals(bytes)).toBe(true);
        expect(quick.isValid(envelope)).toBe(true);

        const into = Buffer.alloc(bytes.length + 5);
        expect(quick.encode(envelope, into, 5)).toBe(bytes.length + 5);
        expect(into.subarray(5).equals(bytes)).toBe(true);
        expect(quick.encode(envelope, Buffer.alloc(bytes.length + 4), 5)).toBe(-1);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses what does not fit the schema', () => {
    fc.assert(
      fc.property(
        envelopes,
        fc.constantFrom('late', 'observed_via', 'entity', 'actor', 'occurred_at', 'created_at', 'echo'),
        (envelope, name) => {
          const [branch, payload] = Object.entries(envelope.payload)[0] as [string, object];
          fc.pre(name in payload);
          const wrong = { ...envelope, payload: { [branch]: { ...payload, [name]: [12] } } } as unknown as Envelope;
          expect(() => quick.toBuffer(wrong)).toThrow();
          expect(() => stock.toBuffer(wrong)).toThrow();
        },
      ),
      { numRuns: 50 },
    );
    const [sample] = fc.sample(envelopes, 1);
    expect(() => quick.toBuffer({ ...sample, payload: { 'fibric.kustomer.Nothing': {} } } as never)).toThrow();
    expect(() => quick.toBuffer({ ...sample, tenant_id: null } as never)).toThrow();
  });
});
