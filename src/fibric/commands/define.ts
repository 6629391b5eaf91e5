/**
 * How a kind of command is declared. A declaration is data: the branch of the Avro union, the docs and the TypeScript
 * type of its arguments are derived from it, and so is what one command has to do with another.
 */
import type { z } from 'zod';
import type { Field, ValuesOf } from '../events/define.ts';

export interface CommandTypeDefinition {
  /** What policies, grants and receipts call it: `noun.verb` without any vendor's name. */
  readonly capability: string;
  /** Name of the arguments' record in the Avro union. */
  readonly record: string;
  readonly doc: string;
  /** In Avro order. Only ever append, with a nullable type: readers of older versions go on reading. */
  readonly fields: readonly Field[];
  /** Values, not only shapes. Its messages complete the sentence "args.x …" and never quote what was sent. */
  readonly schema: z.ZodType;
  /** What it touches, `noun:id`: half of what makes one command the same as another, with the idempotency key. */
  readonly entityKey: (args: never) => string;
  /** Commands of one lane run one after another. It is the key of the record, so a lane stays in one partition. */
  readonly laneKey: (args: never) => string;
}

/** The arguments as they are once checked. */
export type ArgsOf<D extends CommandTypeDefinition> = Readonly<z.output<D['schema']>>;

/** Arguments that do not fit their own Avro record do not compile. */
export function defineCommandType<
  const C extends string,
  const F extends readonly Field[],
  S extends z.ZodType<ValuesOf<F>>,
>(definition: {
  readonly capability: C;
  readonly record: string;
  readonly doc: string;
  readonly fields: F;
  readonly schema: S;
  readonly entityKey: (args: Readonly<z.output<S>>) => string;
  readonly laneKey: (args: Readonly<z.output<S>>) => string;
}) {
  return definition;
}
