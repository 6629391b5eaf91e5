/** The `cn-kustomer` command line. One file per command; this one lists them. */
import { Command, CommanderError } from 'commander';
import { addBackfill } from './backfill.ts';
import { addConnectionCommands } from './connection.ts';
import { addDead } from './dead.ts';
import { addDemo } from './demo.ts';
import { addFlood } from './flood.ts';
import { type CliContext, createContext, EXIT, explain } from './io.ts';
import { addSchemas } from './schemas.ts';
import { addServe } from './serve.ts';
import { addSettings } from './settings.ts';
import { addSimulate } from './simulate.ts';
import { addTopics } from './topics.ts';
import { addVerify } from './verify.ts';

/** All commands, without running one: the documents are checked against it. */
export function createProgram(context: CliContext, finish: (code: number) => void): Command {
  const program = new Command('cn-kustomer')
    .description('Connects Kustomer to Fibric over Apache Kafka.')
    .exitOverride()
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText('after', '\nSettings are environment variables; `cn-kustomer settings` lists them.');
  for (const add of [
    addServe,
    addDemo,
    addConnectionCommands,
    addBackfill,
    addDead,
    addTopics,
    addSchemas,
    addSimulate,
    addFlood,
    addVerify,
    addSettings,
  ])
    add(program, context, finish);
  return program;
}

/** Runs one command and returns the exit code. */
export async function runCli(argv: readonly string[], env: CliContext['env']): Promise<number> {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  let exitCode: number = EXIT.ok;
  const context = createContext(env, stop.signal);
  const finish = (code: number) => {
    exitCode = code;
  };
  const program = createProgram(context, finish);
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const { text, code } = explain(error);
    context.note(text);
    return code;
  }
  return exitCode;
}
