/** The versions in `versions.env`, the one file that pins what is not an npm package. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The project's folder. */
export const ROOT = join(import.meta.dirname, '..', '..');

export interface Versions {
  readonly kafka: string;
  readonly apicurio: string;
  readonly slf4j: string;
}

export function readVersions(text = readFileSync(join(ROOT, 'versions.env'), 'utf8')): Versions {
  const pairs = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([A-Z0-9_]+)=(.+)$/.exec(line.trim());
    if (match?.[1] !== undefined && match[2] !== undefined) pairs.set(match[1], match[2]);
  }
  const of = (name: string): string => {
    const value = pairs.get(name);
    if (value === undefined) throw new Error(`versions.env has no ${name}`);
    return value;
  };
  return { kafka: of('KAFKA_VERSION'), apicurio: of('APICURIO_VERSION'), slf4j: of('SLF4J_VERSION') };
}
