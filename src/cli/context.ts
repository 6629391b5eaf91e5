/** What a command needs of its surroundings. Tests bring their own. */
import type { Writable } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import type { SecretInput } from '../base/prompt.ts';
import type { Redactor } from './redact.ts';

/** What `process.stdout` is, as far as it is needed here. */
export interface TerminalOutput extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: SecretInput;
  /** Results only. */
  readonly stdout: TerminalOutput;
  /** Progress, notes, questions and errors. */
  readonly stderr: TerminalOutput;
  /** Aborts at Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** From 0 up to 1. */
  random(): number;
  /** For Idempotency-Key: a new one for each logical call. */
  newKey(): string;
  /** Knows every secret of this process, and keeps them out of all that is written. */
  readonly redactor: Redactor;
}

/** The user's folder for what `fibric` keeps. */
export function homeOf(env: CliContext['env'], userHome: string): string {
  return env['FIBRIC_HOME'] || `${userHome}/.fibric`;
}
