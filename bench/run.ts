/**
 * `make bench`: runs the benches one after another, each in a process of its own, and keeps what they say.
 *
 *   node bench/run.ts [--peers] [--quick] [name …]     all when none is named
 *
 * Output and figures go to .data/bench/<time>/: one .log and, where the bench gives one, one .json each, and
 * machine.json. One after another, since two benches at once would measure each other.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DATA } from './lib/bench.ts';
import { machine, ROOT } from './lib/machine.ts';

interface BenchEntry {
  /** One of the benches below that need no broker prints its figures only. */
  readonly args: (options: { readonly quick: boolean; readonly peers: boolean; readonly out: string }) => string[];
}

const flags = (options: { readonly quick: boolean; readonly peers: boolean; readonly out: string }) => [
  ...(options.quick ? ['--quick'] : []),
  ...(options.peers ? ['--peers'] : []),
  '--out',
  options.out,
];

/** In the order they run: first what needs no broker. */
const BENCHES: Readonly<Record<string, BenchEntry>> = {
  'state-table': { args: () => [] },
  'processor-core': { args: () => [] },
  policy: { args: ({ quick }) => (quick ? ['--decisions', '20000', '--rounds', '1'] : []) },
  'receiver-http': { args: ({ quick }) => (quick ? ['--seconds', '3', '--rounds', '1'] : []) },
  receiver: { args: flags },
  processor: { args: flags },
  restore: { args: flags },
  backfill: { args: flags },
  quota: { args: flags },
  commands: { args: flags },
  neighbours: { args: flags },
  path: { args: (options) => [...flags(options), ...(options.quick ? [] : ['--highest'])] },
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { peers: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(BENCHES);
  const unknown = names.filter((name) => BENCHES[name] === undefined);
  if (unknown.length > 0)
    throw new Error(`no bench ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
  const folder = join(DATA, new Date().toISOString().replaceAll(/[:.]/g, '-'));
  mkdirSync(folder, { recursive: true });
  const about = machine(process.env['KAFKA_BROKERS'] ?? '');
  const outcomes: Record<string, { exitCode: number | null; seconds: number }> = {};
  for (const name of names) {
    const script = join(ROOT, 'bench', `${name}.ts`);
    if (!existsSync(script)) continue;
    const args = BENCHES[name]?.args({ ...values, out: join(folder, `${name}.json`) }) ?? [];
    process.stdout.write(`\n== ${name} ${args.join(' ')}\n`);
    const startMs = performance.now();
    const exitCode = await runScript(script, args, join(folder, `${name}.log`));
    outcomes[name] = { exitCode, seconds: Math.round((performance.now() - startMs) / 100) / 10 };
    writeFileSync(join(folder, 'machine.json'), `${JSON.stringify({ ...about, outcomes }, null, 2)}\n`);
  }
  const failed = Object.entries(outcomes).filter(([, { exitCode }]) => exitCode !== 0);
  process.stdout.write(`\nfigures and output: ${folder}\n`);
  for (const [name, { exitCode }] of failed) process.stdout.write(`FAILED ${name}: exit code ${exitCode}\n`);
  return failed.length === 0 ? 0 : 1;
}

/** Output to the terminal and to the log. */
async function runScript(script: string, args: readonly string[], logFile: string): Promise<number | null> {
  const log = createWriteStream(logFile);
  const child = spawn(process.execPath, ['--no-warnings', '--expose-gc', script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    from.on('data', (chunk: Buffer) => {
      to.write(chunk);
      log.write(chunk);
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  log.end();
  return code;
}

process.exitCode = await main();
