/** How a command is declared, and what its action is given. */
import { type Command, Option } from 'commander';
import type { CliContext } from './context.ts';
import type { ExitCode } from './exit.ts';
import type { ApiClient } from './http/client.ts';
import { createSession, DEFAULT_TIMEOUT, type Session } from './session.ts';
import { createOutput, type Output } from './terminal/output.ts';

/** Told the exit code by a command that was carried out. */
export type Finish = (code: ExitCode) => void;

export interface Cli {
  readonly context: CliContext;
  readonly finish: Finish;
}

export interface Call {
  readonly context: CliContext;
  readonly session: Session;
  readonly out: Output;
  api(): Promise<ApiClient>;
}

/** Options that every command has; the documents tell of them once. */
export const COMMON_OPTIONS = ['--json', '--endpoint <url>', '--timeout <duration>'] as const;

export interface LeafSpec<O> {
  /** `show <name>` */
  readonly usage: string;
  readonly about: string;
  readonly examples: readonly string[];
  readonly options?: readonly Option[];
  /** Returns an exit code where it is not 0. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most commands end without a word
  readonly run: (call: Call, options: O, ...args: string[]) => Promise<ExitCode | void>;
}

/** A group, such as `policy`. */
export function group(parent: Command, name: string, about: string): Command {
  return parent.command(name).description(about);
}

export function leaf<O>(cli: Cli, parent: Command, spec: LeafSpec<O>): Command {
  const command = parent.command(spec.usage).description(spec.about);
  for (const option of spec.options ?? []) command.addOption(option);
  command
    .option(COMMON_OPTIONS[0], 'the result as JSON')
    .option(COMMON_OPTIONS[1], 'the API (default: of FIBRIC_ENDPOINT, or of the login)')
    .option(COMMON_OPTIONS[2], `give up on an answer after this long (default: ${DEFAULT_TIMEOUT})`)
    .addHelpText('after', examplesText(spec.examples))
    .action(async (...given: unknown[]) => {
      const self = given.pop() as Command;
      given.pop();
      const options = self.opts() as O & { json?: boolean; endpoint?: string; timeout?: string };
      const out = createOutput(cli.context, options.json === true);
      const session = createSession(cli.context, options, out.note);
      try {
        const call: Call = { context: cli.context, session, out, api: () => session.api() };
        const code = await spec.run(call, options, ...(given as string[]));
        if (code !== undefined) cli.finish(code);
      } finally {
        await session.close();
      }
    });
  return command;
}

export function option(flags: string, about: string): Option {
  return new Option(flags, about);
}

export function required(flags: string, about: string): Option {
  return new Option(flags, about).makeOptionMandatory();
}

function examplesText(examples: readonly string[]): string {
  return `\nExamples:\n${examples.map((line) => `  $ ${line}`).join('\n')}`;
}
