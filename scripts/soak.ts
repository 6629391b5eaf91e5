/**
 * The tests of what must hold whatever happens, with seeds nobody has tried yet: `node scripts/soak.ts [how many]`, or
 * `node scripts/soak.ts <suite> [how many]` for one of them. Stops at the first run that fails; its seeds are printed, with the
 * command that runs them again.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';

interface Suite {
  readonly test: string;
  /** Default `faults`. */
  readonly project?: string;
  readonly seeds: number;
  readonly atATime: number;
  readonly env: Readonly<Record<string, string>>;
}

const SUITES: Readonly<Record<string, Suite>> = {
  /** Webhooks and polls together come to the truth. */
  convergence: { test: 'test/faults/convergence.test.ts', seeds: 50, atATime: 10, env: {} },
  /** One note commanded 657 times is one note. */
  flood: { test: 'test/faults/flood-657.test.ts', seeds: 100, atATime: 5, env: {} },
  /** 20,000 commands over 1,000 conversations, while everything goes wrong. */
  commands: { test: 'test/faults/commands-chaos.test.ts', seeds: 1, atATime: 1, env: { CHAOS_SIZE: 'whole' } },
  /** 50,000 calls with one tenant's token about another's things. */
  wall: {
    test: 'test/unit/api/wall.test.ts',
    project: 'unit',
    seeds: 2,
    atATime: 1,
    env: { WALL_CALLS: '50000' },
  },
};
const MAX_SEEDS = 100_000;

function fail(message: string): never {
  process.stderr.write(`soak: ${message}\n`);
  process.exit(2);
}

/** What the command ended with. */
function run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const child = spawn('vitest', args, { env: { ...process.env, ...env }, stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function soak(name: string, { test, project = 'faults', atATime, env }: Suite, wanted: number): Promise<void> {
  const args = ['run', '--project', project, test];
  for (let done = 0; done < wanted; ) {
    const seeds = Array.from({ length: Math.min(atATime, wanted - done) }, () => randomInt(1, 2 ** 31));
    const given = { ...env, SOAK_SEEDS: seeds.join(',') };
    process.stdout.write(`soak ${name}: ${done} of ${wanted} done; seeds ${given.SOAK_SEEDS}\n`);
    const code = await run(args, given);
    if (code !== 0) {
      const again = Object.entries(given).map(([key, value]) => `${key}=${value}`);
      const command = `make test ARGS='${args.slice(1).join(' ')}'`;
      process.stdout.write(`soak FAILED; again with: ${[...again, command].join(' ')}\n`);
      process.exit(code);
    }
    done += seeds.length;
  }
  process.stdout.write(`soak ${name} ok: ${wanted} seeds\n`);
}

const given = process.argv.slice(2).filter((arg) => arg !== '');
const named = given.filter((arg) => Object.hasOwn(SUITES, arg));
const [number, ...others] = given.filter((arg) => !named.includes(arg));
if (others.length > 0) fail(`unknown: ${others.join(' ')}; suites are ${Object.keys(SUITES).join(', ')}`);
const wanted = number === undefined ? undefined : Number(number);
if (wanted !== undefined && !(Number.isInteger(wanted) && wanted >= 1 && wanted <= MAX_SEEDS)) {
  fail(`how many seeds? A whole number from 1 to ${MAX_SEEDS}`);
}
for (const [name, suite] of Object.entries(SUITES)) {
  if (named.length === 0 || named.includes(name)) await soak(name, suite, wanted ?? suite.seeds);
}
