/**
 * The convergence test with seeds nobody has tried yet, ten at a time. `node scripts/soak.ts [how many]`. Stops at the first
 * run that fails; its seeds are printed, and `SOAK_SEEDS=…` runs them again.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';

const AT_A_TIME = 10;
const DEFAULT_SEEDS = 50;
const MAX_SEEDS = 100_000;
const TEST = ['run', '--project', 'faults', 'test/faults/convergence.test.ts'];

const wanted = Number(process.argv[2] || DEFAULT_SEEDS);
if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_SEEDS) {
  process.stderr.write(`soak: how many seeds? A whole number from 1 to ${MAX_SEEDS}\n`);
  process.exit(2);
}

/** What the command ended with. */
function run(seeds: readonly number[]): Promise<number> {
  const env = { ...process.env, SOAK_SEEDS: seeds.join(',') };
  const child = spawn('vitest', TEST, { env, stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

for (let done = 0; done < wanted; ) {
  const seeds = Array.from({ length: Math.min(AT_A_TIME, wanted - done) }, () => randomInt(1, 2 ** 31));
  process.stdout.write(`soak: ${done} of ${wanted} done; seeds ${seeds.join(',')}\n`);
  const code = await run(seeds);
  if (code !== 0) {
    process.stdout.write(`soak FAILED; again with: SOAK_SEEDS=${seeds.join(',')} vitest ${TEST.join(' ')}\n`);
    process.exit(code);
  }
  done += seeds.length;
}
process.stdout.write(`soak ok: ${wanted} seeds\n`);
