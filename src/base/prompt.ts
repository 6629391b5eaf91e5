/** Reads a secret from a person or a pipe. Never from argv, where every user of the machine can see it. */
import type { Readable, Writable } from 'node:stream';
import { CodedError } from './errors.ts';
import { Secret } from './secret.ts';

/** What `process.stdin` is, as far as it is needed here. */
export interface SecretInput extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}

export interface ReadSecretOptions {
  readonly input: SecretInput;
  /** Where the question goes: stderr, so that stdout stays the command's result. */
  readonly output: Writable;
  readonly question: string;
}

/** Room for a token and a key: a JSON web token that may name every role it has. */
const MAX_BYTES = 16_384;
const ENTER = new Set(['\r', '\n', '\u0004']);
const INTERRUPT = '\u0003';
const ERASE = new Set(['\u007f', '\b']);

/**
 * On a terminal: asks, and reads a line without echo. Otherwise reads the input to its end. The line end is not part of
 * the secret. Throws `config_invalid` when there is nothing, or far too much.
 */
export async function readSecret(options: ReadSecretOptions): Promise<Secret> {
  const text = options.input.isTTY ? await readFromTerminal(options) : await readToEnd(options.input);
  if (text === '')
    throw new CodedError('config_invalid', 'no secret was given; pipe it to stdin or type it when asked');
  return new Secret(text);
}

/** Several secrets in turn: each asked for on a terminal; of a pipe, a line each. */
export interface SecretReader {
  read(question: string): Promise<Secret>;
  /** Throws `config_invalid` when the pipe held more lines than were read: something was given that nobody asked for. */
  done(): void;
}

export function createSecretReader({ input, output }: Omit<ReadSecretOptions, 'question'>): SecretReader {
  let lines: string[] | undefined;
  return {
    read: async (question) => {
      if (input.isTTY) return readSecret({ input, output, question });
      lines ??= (await readToEnd(input)).split(/\r?\n/);
      const text = lines.shift() ?? '';
      if (text === '')
        throw new CodedError('config_invalid', `nothing was given for: ${question.replace(/:? *$/, '')}`);
      return new Secret(text);
    },
    done: () => {
      if (lines === undefined || lines.length === 0) return;
      throw new CodedError('config_invalid', 'more lines came in than secrets were asked for; nothing was done');
    },
  };
}

async function readToEnd(input: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    const part = Buffer.from(chunk as Buffer | string);
    bytes += part.length;
    if (bytes > MAX_BYTES) throw tooLong();
    chunks.push(part);
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

function readFromTerminal({ input, output, question }: ReadSecretOptions): Promise<string> {
  const result = Promise.withResolvers<string>();
  let typed = '';
  const onData = (chunk: Buffer | string): void => {
    for (const char of chunk.toString()) {
      if (ENTER.has(char)) result.resolve(typed);
      else if (char === INTERRUPT) result.reject(new CodedError('config_invalid', 'interrupted'));
      else if (ERASE.has(char)) typed = [...typed].slice(0, -1).join('');
      else typed += char;
    }
    if (typed.length > MAX_BYTES) result.reject(tooLong());
  };
  const onEnd = (): void => result.resolve(typed);
  output.write(question);
  input.setRawMode?.(true);
  input.on('data', onData).once('end', onEnd);
  input.resume();
  return result.promise.finally(() => {
    input.off('data', onData).off('end', onEnd);
    input.setRawMode?.(false);
    input.pause();
    output.write('\n');
  });
}

function tooLong(): CodedError {
  return new CodedError('config_invalid', `a secret is at most ${MAX_BYTES} bytes long`);
}
