/** Questions to a person. Answers to secret ones are not echoed; everything is asked on stderr. */
import { createInterface } from 'node:readline/promises';
import { readSecret } from '../base/prompt.ts';
import { Secret } from '../base/secret.ts';
import type { CliContext } from './context.ts';
import { CliError, interrupted, usageError } from './errors.ts';

export function isInteractive({ stdin, stderr }: CliContext): boolean {
  return stdin.isTTY === true && stderr.isTTY === true;
}

/**
 * A secret: of the variable where it is set, else asked for without echo, else the whole of a pipe. It is known to the
 * redactor from here on. Throws `usage` where there is none, naming the ways to give one.
 */
export async function secretFrom(context: CliContext, variable: string, question: string): Promise<Secret> {
  const secret = await readFromSomewhere(context, variable, question);
  context.redactor.add(secret.reveal());
  return secret;
}

async function readFromSomewhere(context: CliContext, variable: string, question: string): Promise<Secret> {
  const given = (context.env[variable] ?? '').trim();
  if (given !== '') return new Secret(given);
  const read = readSecret({ input: context.stdin, output: context.stderr, question: `${question}: ` });
  try {
    const text = (await withAbort(read, context.signal)).reveal().trim();
    if (text === '' || /\s/.test(text)) throw usageError(`this is no ${question.toLowerCase()}: it is one word`);
    return new Secret(text);
  } catch (error) {
    if (error instanceof CliError) throw error;
    if (error instanceof Error && error.message === 'interrupted') throw interrupted();
    throw usageError(
      `no ${question.toLowerCase()} was given`,
      `type it when asked, pipe it to stdin, or set ${variable}; never as an argument, where others can read it`,
    );
  }
}

/** A line with echo. On what is no terminal the default is the answer. */
export async function ask(context: CliContext, question: string, otherwise: string): Promise<string> {
  if (!isInteractive(context)) return otherwise;
  const lines = createInterface({ input: context.stdin, output: context.stderr, terminal: true });
  try {
    const closed = new Promise<never>((_, reject) => lines.once('SIGINT', () => reject(interrupted())));
    const answer = await Promise.race([
      lines.question(`${question} [${otherwise}]: `, { signal: context.signal }).catch(() => {
        throw interrupted();
      }),
      closed,
    ]);
    return answer.trim() || otherwise;
  } finally {
    lines.close();
  }
}

/** Asks before something that cannot be undone. Throws where the answer is no, or nobody can be asked. */
export async function confirm(context: CliContext, question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!isInteractive(context)) {
    throw usageError(
      `this asks first, and nobody can be asked here: ${question}`,
      'add --yes to do it without being asked',
    );
  }
  const answer = await ask(context, `${question} Type yes to go on`, 'no');
  if (!/^y(?:es)?$/i.test(answer)) throw new CliError('not_confirmed', 'nothing was done');
}

function withAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(interrupted());
  const stopped = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(interrupted()), { once: true }),
  );
  return Promise.race([work, stopped]);
}
