/**
 * Runs a command with KAFKA_BROKERS and SCHEMA_REGISTRY_URL set: to those of the environment, else to what `make up` has
 * running, else to a stack that is started for it and stopped after it. Ends with the command's exit code.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { main, report } from './cli.ts';
import { checkExternal, externalStack } from './external.ts';
import { bringUp, takeDown } from './lifecycle.ts';

/** Exit code of a command that a signal ended. */
const INTERRUPTED = 130;

/** Set by the first signal. Whatever arrives, we stay to stop what we started. */
let interrupted = false;
let child: ChildProcess | null = null;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    interrupted = true;
    // A terminal sends SIGINT to the command as well: passed on, it would arrive twice.
    if (name !== 'SIGINT') child?.kill(name);
  });
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  if (interrupted) return Promise.resolve(INTERRUPTED);
  return new Promise((resolve, reject) => {
    child = spawn(command, args, { stdio: 'inherit', env });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? INTERRUPTED));
  });
}

await main(async () => {
  const [command, ...args] = process.argv.slice(2);
  if (command === undefined) throw new Error('usage: with-stack.ts <command> [argument…]');
  if (externalStack() !== null) {
    await checkExternal();
    return run(command, args, process.env);
  }
  const stack = await bringUp(report);
  try {
    const env = { ...process.env, KAFKA_BROKERS: stack.brokers, SCHEMA_REGISTRY_URL: stack.registryUrl };
    return await run(command, args, env);
  } finally {
    if (stack.started) await takeDown(() => {});
  }
});
