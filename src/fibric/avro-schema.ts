/** From the types the catalogues declare to the JSON of an Avro schema. Pure. */
import type { AvroType, Field } from './events/define.ts';

/** Of every record of ours. */
export const NAMESPACE = 'fibric.kustomer';

export type Json = string | readonly Json[] | { readonly [key: string]: Json | null };

/** A record is spelled out where it first stands, and named afterwards: `spelled` remembers which were. */
export function avroSchema(type: AvroType, spelled: Set<string>): Json {
  if (typeof type === 'string') return type;
  if (Array.isArray(type)) return type.map((branch: AvroType) => avroSchema(branch, spelled));
  const shape = type as Exclude<AvroType, string | readonly AvroType[]>;
  if (shape.type === 'array') return { type: 'array', items: avroSchema(shape.items, spelled) };
  if (shape.type === 'map') return { type: 'map', values: avroSchema(shape.values, spelled) };
  if (spelled.has(shape.name)) return `${NAMESPACE}.${shape.name}`;
  spelled.add(shape.name);
  return { type: 'record', name: shape.name, doc: shape.doc, fields: avroFields(shape.fields, spelled) };
}

/** Nullable fields default to null, so that a reader of this schema also reads what was written before the field. */
export function avroFields(fields: readonly Field[], spelled: Set<string>): readonly Json[] {
  return fields.map((field) => {
    const type = avroSchema(field.type.avro, spelled);
    const isNullable = Array.isArray(type) && type[0] === 'null';
    return { name: field.name, type, ...(isNullable ? { default: null } : {}), doc: field.doc };
  });
}
