/**
 * Writes each schema of schemas/ from the catalogues, and its copy in schemas/history under the current version.
 * A version that is already in the history is never overwritten: raise its number instead.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { ENVELOPE_SCHEMA_VERSION, envelopeSchema } from '../src/fibric/avro.ts';
import {
  COMMAND_SCHEMA_VERSION,
  commandSchema,
  RECEIPT_SCHEMA_VERSION,
  receiptSchema,
} from '../src/fibric/commands/avro.ts';

const SCHEMAS = [
  {
    name: 'envelope',
    schema: envelopeSchema(),
    version: ENVELOPE_SCHEMA_VERSION,
    raise: 'ENVELOPE_SCHEMA_VERSION in src/fibric/avro.ts',
  },
  {
    name: 'write-command',
    schema: commandSchema(),
    version: COMMAND_SCHEMA_VERSION,
    raise: 'COMMAND_SCHEMA_VERSION in src/fibric/commands/avro.ts',
  },
  {
    name: 'write-receipt',
    schema: receiptSchema(),
    version: RECEIPT_SCHEMA_VERSION,
    raise: 'RECEIPT_SCHEMA_VERSION in src/fibric/commands/avro.ts',
  },
];

const folder = new URL('../schemas/', import.meta.url);
mkdirSync(new URL('history/', folder), { recursive: true });
for (const { name, schema, version, raise } of SCHEMAS) {
  const kept = new URL(`history/${name}.v${version}.avsc`, folder);
  const text = `${JSON.stringify(schema, null, 2)}\n`;
  if (existsSync(kept) && readFileSync(kept, 'utf8') !== text) {
    process.stderr.write(
      `schemas/history/${name}.v${version}.avsc is published and differs from the catalogue: ` +
        `raise ${raise}, then run this again.\n`,
    );
    process.exitCode = 1;
  } else {
    writeFileSync(new URL(`${name}.avsc`, folder), text);
    writeFileSync(kept, text);
  }
}
