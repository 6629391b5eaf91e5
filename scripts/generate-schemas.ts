/**
 * Writes schemas/envelope.avsc from the catalogue, and its copy in schemas/history under the current version.
 * A version that is already in the history is never overwritten: raise ENVELOPE_SCHEMA_VERSION instead.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { ENVELOPE_SCHEMA_VERSION, envelopeSchema } from '../src/fibric/avro.ts';

const folder = new URL('../schemas/', import.meta.url);
const current = new URL('envelope.avsc', folder);
const kept = new URL(`history/envelope.v${ENVELOPE_SCHEMA_VERSION}.avsc`, folder);
const text = `${JSON.stringify(envelopeSchema(), null, 2)}\n`;

mkdirSync(new URL('history/', folder), { recursive: true });
if (existsSync(kept) && readFileSync(kept, 'utf8') !== text) {
  process.stderr.write(
    `schemas/history/envelope.v${ENVELOPE_SCHEMA_VERSION}.avsc is published and differs from the catalogue: ` +
      'raise ENVELOPE_SCHEMA_VERSION in src/fibric/avro.ts, then run this again.\n',
  );
  process.exitCode = 1;
} else {
  writeFileSync(current, text);
  writeFileSync(kept, text);
}
