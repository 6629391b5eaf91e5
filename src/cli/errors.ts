/** What goes wrong in a command, as a value: for people a sentence and what to do next, for scripts a code and an exit code. */
import { CodedError } from '../base/errors.ts';
import { EXIT, type ExitCode } from './exit.ts';

/** One of several things wrong with what was sent. */
export interface Problem {
  readonly field?: string | null;
  readonly code?: string;
  readonly message?: string;
  readonly remedy?: string;
  readonly line?: number;
  readonly column?: number;
}

export interface CliErrorOptions {
  readonly exitCode?: ExitCode;
  /** What to do next, as an instruction. */
  readonly hint?: string | null;
  readonly requestId?: string | null;
  readonly docUrl?: string | null;
  readonly problems?: readonly Problem[];
  /** HTTP status, where the API answered. */
  readonly status?: number | null;
  readonly isExplained?: boolean;
  readonly cause?: unknown;
}

/** The message never holds a secret: what the API says is passed on, what was sent to it is not. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: string;
  readonly exitCode: ExitCode;
  readonly hint: string | null;
  readonly requestId: string | null;
  readonly docUrl: string | null;
  readonly problems: readonly Problem[];
  readonly status: number | null;
  /** True where the message tells the problems itself. */
  readonly isExplained: boolean;

  constructor(code: string, message: string, options: CliErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.exitCode = options.exitCode ?? EXIT.failed;
    this.hint = options.hint ?? null;
    this.requestId = options.requestId ?? null;
    this.docUrl = options.docUrl ?? null;
    this.problems = options.problems ?? [];
    this.status = options.status ?? null;
    this.isExplained = options.isExplained ?? false;
  }
}

/** Wrong words on the command line: nothing was done. */
export function usageError(message: string, hint: string | null = null): CliError {
  return new CliError('usage', message, { exitCode: EXIT.usage, hint });
}

export function interrupted(): CliError {
  return new CliError('interrupted', 'interrupted', { exitCode: EXIT.interrupted });
}

/** Whatever was thrown, as one kind. Only a fault of ours keeps its stack. */
export function toCliError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof CodedError) {
    const exitCode = error.code === 'config_invalid' ? EXIT.usage : EXIT.failed;
    return new CliError(error.code, error.message, { exitCode });
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new CliError('internal', `a fault in fibric itself: ${text}`, { cause: error });
}

/** Several lines for stderr. */
export function explain(error: CliError): string {
  const lines = [`error (${error.code}): ${error.message}`];
  for (const problem of error.isExplained ? [] : error.problems) lines.push(`  ${problemText(problem)}`);
  if (error.hint !== null) lines.push(`next: ${error.hint}`);
  if (error.requestId !== null) lines.push(`request: ${error.requestId}`);
  return lines.join('\n');
}

/** One line for scripts, the form of the API's own errors. */
export function errorDocument(error: CliError): string {
  const { code, message, hint, requestId, docUrl, problems, status } = error;
  return JSON.stringify({
    error: {
      code,
      message,
      ...(status !== null && { status }),
      ...(hint !== null && { hint }),
      ...(requestId !== null && { request_id: requestId }),
      ...(docUrl !== null && { doc_url: docUrl }),
      ...(problems.length > 0 && { problems }),
    },
  });
}

export function problemText({ field, message, remedy, line, column, code }: Problem): string {
  const place = line === undefined ? (field ?? null) : `line ${line}${column === undefined ? '' : `:${column}`}`;
  const text = message ?? code ?? 'not valid';
  return `${place === null ? '' : `${place}: `}${text}${remedy === undefined ? '' : `; ${remedy}`}`;
}
