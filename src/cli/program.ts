/** The `fibric` command line. One file per group of commands; this one lists them. */
import { Command, CommanderError } from 'commander';
import type { Cli } from './command.ts';
import { addActions } from './commands/actions.ts';
import { addApprovals } from './commands/approvals.ts';
import { addAuth } from './commands/auth.ts';
import { addCapabilities } from './commands/capabilities.ts';
import { addCompletion } from './commands/completion.ts';
import { addConnectors } from './commands/connectors.ts';
import { addEvents } from './commands/events.ts';
import { addPolicy } from './commands/policy.ts';
import { addRead } from './commands/read.ts';
import { addReceipts } from './commands/receipts.ts';
import { addTenants, addTokens } from './commands/tenants.ts';
import { addBackfill, addWebhooks } from './commands/webhooks.ts';
import type { CliContext } from './context.ts';
import { errorDocument, explain, interrupted, toCliError } from './errors.ts';
import { EXIT, type ExitCode } from './exit.ts';

const AFTER = `
Every command has --help with examples. What a command tells goes to stdout, as JSON with --json; the rest to stderr.
The exit codes: 0 done, 1 failed, 2 wrong words, 3 not found or differs, 4 API unavailable, 5 not allowed,
6 blocked by policy, 7 waits for approval, 8 the write failed or its outcome is unknown.`;

/** All commands, without running one: the documents and completions are made of it. */
export function createProgram(cli: Cli): Command {
  const { context } = cli;
  const program = new Command('fibric')
    .description('Connect support platforms to Fibric: install connectors, grant, govern, and watch.')
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText('after', AFTER);
  // Inherited by the commands added below, so it comes first.
  program.exitOverride().configureOutput({
    writeOut: (text) => void context.stdout.write(context.redactor.apply(text)),
    writeErr: (text) => void context.stderr.write(context.redactor.apply(text)),
    getOutHelpWidth: () => (context.stdout.isTTY === true ? (context.stdout.columns ?? 80) : 100),
    getErrHelpWidth: () => (context.stderr.isTTY === true ? (context.stderr.columns ?? 80) : 100),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  for (const add of [
    addAuth,
    addConnectors,
    addCapabilities,
    addPolicy,
    addEvents,
    addReceipts,
    addApprovals,
    addActions,
    addRead,
    addWebhooks,
    addBackfill,
    addTenants,
    addTokens,
    addCompletion,
  ])
    add(program, cli);
  return program;
}

/** Runs one command and returns its exit code. Never throws. */
export async function runFibric(argv: readonly string[], context: CliContext): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const finish = (code: ExitCode): void => {
    exitCode = code;
  };
  try {
    await createProgram({ context, finish }).parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (thrown) {
    // Commander has said what is wrong.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const error = context.signal.aborted ? interrupted() : toCliError(thrown);
    const text = argv.includes('--json') ? errorDocument(error) : explain(error);
    context.stderr.write(`${context.redactor.apply(text)}\n`);
    return error.exitCode;
  }
}
