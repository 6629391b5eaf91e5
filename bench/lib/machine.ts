/** Where and with what something was measured: figures without it mean nothing. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly os: string;
  readonly node: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly commit: string;
  readonly brokers: string;
  readonly atIso: string;
}

export function machine(brokers: string): Machine {
  const pins = readFileSync(join(ROOT, 'versions.env'), 'utf8').matchAll(/^([A-Z0-9_]+_VERSION)=(.+)$/gm);
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()}`,
    node: process.version,
    versions: {
      ...Object.fromEntries(Array.from(pins, ([, name, value]) => [name as string, value as string])),
      kafkajs: dependencies['kafkajs'] ?? '',
      java: firstLine('java', ['-version']),
      wrk: firstLine('wrk', ['-v']),
      kcat: firstLine('kcat', ['-V'], /Version.*/),
    },
    commit: firstLine('git', ['-C', ROOT, 'rev-parse', '--short', 'HEAD']),
    brokers,
    atIso: new Date().toISOString(),
  };
}

/** What a program says of itself; empty when it is not here. */
function firstLine(command: string, args: readonly string[], pattern = /.+/): string {
  const run = spawnSync(command, [...args], { encoding: 'utf8', timeout: 20_000 });
  return run.error === undefined ? (pattern.exec(`${run.stdout}${run.stderr}`)?.[0]?.trim() ?? '') : '';
}
