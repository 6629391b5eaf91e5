/**
 * How an event type is declared. A declaration is data: the Avro branch, the docs and the metric labels are derived
 * from it, and `PayloadOf` gives the TypeScript type of its payload, so a payload that does not fit its own schema
 * does not compile.
 */

/** Avro types as far as the contract uses them. A record stands for itself wherever it is used; see avro.ts. */
export type AvroType =
  | 'null'
  | 'string'
  | 'long'
  | 'double'
  | 'boolean'
  | readonly AvroType[]
  | { readonly type: 'array'; readonly items: AvroType }
  | { readonly type: 'map'; readonly values: AvroType }
  | AvroRecord;

export interface AvroRecord {
  readonly type: 'record';
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly Field[];
}

declare const value: unique symbol;

/** An Avro type that knows which TypeScript values it takes. */
export interface FieldType<T> {
  readonly avro: AvroType;
  /** Never present at run time. */
  readonly [value]?: T;
}

export interface Field<N extends string = string, T = unknown> {
  readonly name: N;
  readonly type: FieldType<T>;
  readonly doc: string;
}

export interface EventTypeDefinition {
  /** What the envelope calls it: `noun.verb`, three segments where the noun has a part. */
  readonly type: string;
  /** The path the platform's connector definition declares; either path may observe it. */
  readonly kind: 'webhook' | 'poll';
  /** Only for connections with `extendedEvents`. */
  readonly extended: boolean;
  /** Name of the payload record in the Avro union. */
  readonly record: string;
  readonly doc: string;
  /** In Avro order. Only ever append, with a nullable type: readers of older versions go on reading. */
  readonly fields: readonly Field[];
}

export type ValuesOf<F extends readonly Field[]> = {
  readonly [E in F[number] as E['name']]: E extends Field<string, infer T> ? T : never;
};

/** The payload of an event type, exactly its fields. */
export type PayloadOf<D extends EventTypeDefinition> = ValuesOf<D['fields']>;

export const text: FieldType<string> = { avro: 'string' };
export const long: FieldType<number> = { avro: 'long' };
export const double: FieldType<number> = { avro: 'double' };
export const flag: FieldType<boolean> = { avro: 'boolean' };
export const texts: FieldType<readonly string[]> = { avro: { type: 'array', items: 'string' } };
export const scalars: FieldType<Readonly<Record<string, string | number | boolean>>> = {
  avro: { type: 'map', values: ['string', 'double', 'boolean'] },
};

export function list<T>(items: FieldType<T>): FieldType<readonly T[]> {
  return { avro: { type: 'array', items: items.avro } };
}

/** The value, or null where Kustomer gave none. */
export function nullable<T>(type: FieldType<T>): FieldType<T | null> {
  return { avro: ['null', type.avro] };
}

/** A record within a payload. The same record may be used by several event types. */
export function record<const F extends readonly Field[]>(name: string, doc: string, fields: F): FieldType<ValuesOf<F>> {
  return { avro: { type: 'record', name, doc, fields } };
}

export function field<const N extends string, T>(name: N, type: FieldType<T>, doc: string): Field<N, T> {
  return { name, type, doc };
}

export function defineEventType<const D extends EventTypeDefinition>(definition: D): D {
  return definition;
}
