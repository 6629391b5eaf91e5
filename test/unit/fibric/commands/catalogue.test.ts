import { readdirSync, readFileSync } from 'node:fs';
import avsc from 'avsc';
import { describe, expect, it } from 'vitest';
import {
  COMMAND_SCHEMA_VERSION,
  commandSchema,
  createCommandType,
  RECEIPT_SCHEMA_VERSION,
  receiptSchema,
} from '../../../../src/fibric/commands/avro.ts';
import { COMMAND_FIELDS } from '../../../../src/fibric/commands/command.ts';
import { COMMAND_TYPES } from '../../../../src/fibric/commands/index.ts';
import { RECEIPT_FIELDS } from '../../../../src/fibric/commands/receipt-fields.ts';
import { WRITE_CAPABILITIES } from '../../../../src/fibric/policy/capabilities.ts';
import { ASSIGNMENT, CALL, STATUS, WIRE } from './samples.ts';

const schemas = new URL('../../../../schemas/', import.meta.url);
const read = (file: string): unknown => JSON.parse(readFileSync(new URL(file, schemas), 'utf8'));

describe('the catalogue of commands', () => {
  it('has the four writes, and policies may speak of each of them and no other', () => {
    expect(COMMAND_TYPES.map(({ capability }) => capability)).toEqual([
      'conversation.note.write',
      'conversation.status.write',
      'conversation.assignment.write',
      'call.status.write',
    ]);
    expect(WRITE_CAPABILITIES.map(({ name }) => name).sort()).toEqual(
      COMMAND_TYPES.map(({ capability }) => capability).sort(),
    );
  });

  it('checks exactly the fields it sends', () => {
    for (const { fields, schema } of COMMAND_TYPES) {
      expect(Object.keys(schema.shape).sort()).toEqual(fields.map(({ name }) => name).sort());
    }
  });

  it('names fields once, in their forms, each with its meaning', () => {
    for (const list of [COMMAND_FIELDS, RECEIPT_FIELDS, ...COMMAND_TYPES.map(({ fields }) => fields)]) {
      expect(new Set(list.map(({ name }) => name)).size).toBe(list.length);
      for (const { name, doc } of list) {
        expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
        expect(doc, `${name} wants a doc`).not.toBe('');
      }
    }
  });
});

describe.each([
  ['write-command', commandSchema(), COMMAND_SCHEMA_VERSION],
  ['write-receipt', receiptSchema(), RECEIPT_SCHEMA_VERSION],
])('schemas/%s.avsc', (name, schema, version) => {
  it('is what the catalogue says: run scripts/generate-schemas.ts when this fails', () => {
    expect(read(`${name}.avsc`)).toEqual(schema);
    expect(read(`history/${name}.v${version}.avsc`)).toEqual(schema);
  });

  it('keeps every version since the first', () => {
    const kept = readdirSync(new URL('history/', schemas)).filter((file) => file.startsWith(`${name}.`));
    expect(kept.sort()).toEqual(Array.from({ length: version }, (_, i) => `${name}.v${i + 1}.avsc`).sort());
  });

  it('has a default for every nullable field, and for the mode: dry_run', () => {
    const check = (part: unknown): void => {
      if (Array.isArray(part)) for (const branch of part) check(branch);
      if (typeof part !== 'object' || part === null || !('fields' in part)) return;
      for (const field of part.fields as { name: string; type: unknown; default?: unknown }[]) {
        const isNullable = Array.isArray(field.type) && field.type[0] === 'null';
        const isMode = name === 'write-command' && field.name === 'mode' && part === schema;
        expect(Object.hasOwn(field, 'default'), field.name).toBe(isNullable || isMode);
        if (isMode) expect(field.default).toBe('dry_run');
        check(field.type);
      }
    };
    check(schema);
  });
});

describe('the encoder of commands', () => {
  it('writes what stock avsc writes', () => {
    const stock = avsc.Type.forSchema(commandSchema() as unknown as avsc.Schema);
    const quick = createCommandType();
    for (const wire of [WIRE, STATUS, ASSIGNMENT, CALL]) expect(quick.toBuffer(wire)).toEqual(stock.toBuffer(wire));
  });
});
