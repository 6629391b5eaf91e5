/**
 * Can a new Avro schema read what earlier versions wrote? The rule the registry enforces (BACKWARD_TRANSITIVE), checked
 * without one, so that a breaking change fails in CI and not in a deploy.
 */
import avsc from 'avsc';

export interface SchemaVersion {
  /** How the version is called in a problem, such as its file name. */
  readonly name: string;
  /** Parsed JSON of the schema. */
  readonly schema: unknown;
}

export interface SchemaProblem {
  readonly version: string;
  readonly problem: string;
}

/** One entry for each version the new schema cannot read; empty means compatible. Never throws. */
export function findIncompatibilities(schema: unknown, earlier: readonly SchemaVersion[]): readonly SchemaProblem[] {
  const reader = parse(schema);
  if (typeof reader === 'string') return [{ version: '(new)', problem: reader }];
  const problems: SchemaProblem[] = [];
  for (const version of earlier) {
    const writer = parse(version.schema);
    const problem = typeof writer === 'string' ? writer : unreadable(reader, writer);
    if (problem !== null) problems.push({ version: version.name, problem });
  }
  return problems;
}

function parse(schema: unknown): avsc.Type | string {
  try {
    return avsc.Type.forSchema(schema as avsc.Schema);
  } catch (error) {
    return `not a valid schema: ${(error as Error).message}`;
  }
}

function unreadable(reader: avsc.Type, writer: avsc.Type): string | null {
  try {
    reader.createResolver(writer);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
