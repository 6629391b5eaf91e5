/**
 * What other teams depend on: every committed version of a schema stays readable by the newest. `schemas/<name>.avsc` is
 * the newest, `schemas/history/<name>.v<n>.avsc` keeps each version that was ever released.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findIncompatibilities } from '../../src/kafka/compatibility.ts';

const SCHEMAS = new URL('../../schemas/', import.meta.url);
const HISTORY = new URL('history/', SCHEMAS);

const schemaFiles = (folder: URL) => readdirSync(folder).filter((file) => file.endsWith('.avsc'));
const parsed = (folder: URL, file: string): unknown => JSON.parse(readFileSync(new URL(file, folder), 'utf8'));

interface Version {
  readonly name: string;
  readonly number: number;
  readonly schema: unknown;
}

/** Versions of one schema, oldest first. */
function historyOf(name: string): readonly Version[] {
  return schemaFiles(HISTORY)
    .map((file) => ({ file, match: /^(.+)\.v([0-9]+)\.avsc$/.exec(file) }))
    .filter(({ match }) => match?.[1] === name)
    .map(({ file, match }) => ({ name: file, number: Number(match?.[2]), schema: parsed(HISTORY, file) }))
    .sort((a, b) => a.number - b.number);
}

const names = schemaFiles(SCHEMAS).map((file) => file.replace(/\.avsc$/, ''));

it('there are the schemas of envelopes, commands and receipts, and every file of the history belongs to one', () => {
  expect([...names].sort()).toEqual(['envelope', 'write-command', 'write-receipt']);
  const stray = schemaFiles(HISTORY).filter((file) => !names.includes(file.replace(/\.v[0-9]+\.avsc$/, '')));
  expect(stray).toEqual([]);
});

describe.each(names)('schemas/%s.avsc', (name) => {
  it('is the newest version of its history, which has no gaps', () => {
    const history = historyOf(name);
    expect(history.map(({ number }) => number)).toEqual(history.map((_, index) => index + 1));
    expect(history.at(-1)?.schema, `schemas/history/${name}.v${history.length + 1}.avsc is missing`).toEqual(
      parsed(SCHEMAS, `${name}.avsc`),
    );
  });

  it('can read what every earlier version has written', () => {
    const history = historyOf(name);
    expect(history.length).toBeGreaterThan(0);
    expect(findIncompatibilities(parsed(SCHEMAS, `${name}.avsc`), history)).toEqual([]);
  });
});
