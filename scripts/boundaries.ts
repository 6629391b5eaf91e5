/**
 * The walls between the rooms of src/, as a check: `make check` runs it, a test proves that it finds what it should.
 * The rules and their reasons are in ARCHITECTURE.md; the tables below are the rules.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { ROOT } from './stack/versions.ts';

/** For each room the others it may import from. `app`, and `main.ts` beside the rooms, know everyone. */
const ROOMS: Readonly<Record<string, readonly string[] | 'all'>> = {
  base: [],
  fibric: ['base'],
  kustomer: ['base'],
  kafka: ['base'],
  ingest: ['base', 'fibric', 'kustomer', 'kafka'],
  processors: ['base', 'fibric', 'kustomer', 'kafka'],
  sinks: ['base', 'fibric', 'kustomer', 'kafka'],
  api: ['base', 'fibric', 'kustomer', 'kafka'],
  simulator: ['base', 'fibric', 'kustomer'],
  cli: ['base', 'fibric'],
  app: 'all',
};

/** Packages that only these rooms may use. */
const PACKAGE_OWNERS: Readonly<Record<string, readonly string[]>> = {
  kafkajs: ['kafka'],
  '@kafkajs/confluent-schema-registry': ['kafka'],
  fastify: ['ingest', 'api', 'simulator', 'app'],
  'prom-client': ['app'],
  commander: ['app', 'cli'],
};

/** Rooms that decide and do nothing: the only packages they may use. */
const PACKAGES_OF: Readonly<Record<string, readonly string[]>> = {
  fibric: ['node:crypto', 'avsc', 'yaml', 'zod'],
  processors: ['node:crypto'],
};

const IMPORTS =
  /^\s*(?:import|export)\b[^;'"]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

/** `src/kafka/port.ts` → `kafka`; `src/main.ts` → null. */
function roomOf(file: string): string | null {
  return /^src\/([^/]+)\//.exec(file)?.[1] ?? null;
}

/** What is wrong with one file of src/; `file` is relative to the project's folder, with forward slashes. */
export function violations(file: string, source: string): readonly string[] {
  const room = roomOf(file);
  if (room === null) return [];
  const may = ROOMS[room];
  if (may === undefined) return [`${file}: the room ${room} has no rule; add it to scripts/boundaries.ts`];
  const code = withoutComments(source);
  const problems: string[] = [];
  for (const match of code.matchAll(IMPORTS)) {
    const target = match[1] ?? match[2] ?? match[3] ?? '';
    if (target.startsWith('.')) {
      const path = normalize(join(dirname(file), target)).replaceAll('\\', '/');
      const other = roomOf(path);
      if (other === room || may === 'all') continue;
      if (other === null) problems.push(`${file}: imports ${path}, which is no room`);
      else if (!may.includes(other)) problems.push(`${file}: ${room} may not import from ${other} (${target})`);
      continue;
    }
    const owners = PACKAGE_OWNERS[target];
    if (owners !== undefined && !owners.includes(room)) {
      problems.push(`${file}: ${target} is for ${owners.join(', ')} only`);
    }
    const packages = PACKAGES_OF[room];
    if (packages !== undefined && !packages.includes(target)) {
      problems.push(`${file}: ${room} may use no package but ${packages.join(', ')} (${target})`);
    }
  }
  return problems;
}

/** All of src/. */
export function allViolations(): readonly string[] {
  return globSync('src/**/*.ts', { cwd: ROOT })
    .map((file) => file.replaceAll('\\', '/'))
    .sort()
    .flatMap((file) => violations(file, readFileSync(join(ROOT, file), 'utf8')));
}
