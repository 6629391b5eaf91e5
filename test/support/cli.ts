/** A command of `cn-kustomer`, run in this process on a given log: what it printed, noted and ended with. */
import { CommanderError } from 'commander';
import { type CliContext, createContext, EXIT, explain } from '../../src/app/cli/io.ts';
import { createProgram } from '../../src/app/cli/program.ts';
import type { Log } from '../../src/kafka/port.ts';

export interface CommandRun {
  readonly code: number;
  /** Lines of stdout. */
  readonly out: readonly string[];
  /** Lines of stderr. */
  readonly notes: readonly string[];
  /** Bytes written to stdout. */
  readonly bytes: Buffer;
}

export interface CommandOptions {
  /** One log for each command: it is closed by it. */
  readonly openLog: () => Log;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export async function runCommand(args: readonly string[], options: CommandOptions): Promise<CommandRun> {
  const out: string[] = [];
  const notes: string[] = [];
  const bytes: Buffer[] = [];
  let code: number = EXIT.ok;
  const real = createContext({ LOG_LEVEL: 'silent', ...options.env }, options.signal ?? new AbortController().signal);
  const context: CliContext = {
    ...real,
    openLog: options.openLog,
    print: (text) => void out.push(...text.split('\n')),
    note: (text) => void notes.push(...text.split('\n')),
    write: (chunk) => void bytes.push(chunk),
  };
  const program = createProgram(context, (given) => {
    code = given;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return { code: EXIT.usage, out, notes, bytes: Buffer.concat(bytes) };
    const explained = explain(error);
    notes.push(explained.text);
    code = explained.code;
  }
  return { code, out, notes, bytes: Buffer.concat(bytes) };
}
