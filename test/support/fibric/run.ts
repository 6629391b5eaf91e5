/** `fibric` run in this process, with streams of its own: what it printed, noted and ended with. */
import { PassThrough, Writable } from 'node:stream';
import type { Clock } from '../../../src/base/clock.ts';
import type { SecretInput } from '../../../src/base/prompt.ts';
import type { CliContext } from '../../../src/cli/context.ts';
import { runFibric } from '../../../src/cli/program.ts';
import { Redactor } from '../../../src/cli/redact.ts';
import { NOW_MS, TOKEN } from './fixtures.ts';

export interface FibricRun {
  readonly code: number;
  readonly out: string;
  readonly notes: string;
  /** Both, in the order in which they were written. */
  readonly transcript: string;
}

export interface RunOptions {
  readonly endpoint?: string;
  /** Undefined = the token of the fixtures; null = none. */
  readonly token?: string | null;
  readonly env?: Readonly<Record<string, string>>;
  /** What comes in by a pipe. */
  readonly stdin?: string;
  /** On a terminal: so many columns wide, and these keys are pressed. */
  readonly terminal?: { readonly columns: number; readonly typed?: string };
  readonly signal?: AbortSignal;
  readonly nowMs?: () => number;
  readonly onOutput?: (text: string) => void;
}

export async function runInProcess(args: readonly string[], options: RunOptions = {}): Promise<FibricRun> {
  const { endpoint, token = TOKEN, env = {}, stdin = '', terminal } = options;
  let transcript = '';
  const onOutput = (text: string): void => {
    transcript += text;
    options.onOutput?.(transcript);
  };
  const stdout = new Sink(terminal?.columns, onOutput);
  const stderr = new Sink(terminal?.columns, onOutput);
  const input: SecretInput & PassThrough = Object.assign(new PassThrough(), {
    ...(terminal !== undefined && { isTTY: true, setRawMode: () => undefined }),
  });
  if (terminal === undefined) input.end(stdin);
  else if (terminal.typed !== undefined) input.write(terminal.typed);
  let keys = 0;
  const context: CliContext = {
    env: {
      FIBRIC_HOME: '/nonexistent/fibric-home',
      ...(endpoint !== undefined && { FIBRIC_ENDPOINT: endpoint }),
      ...(token !== null && { FIBRIC_TOKEN: token }),
      ...env,
    },
    stdin: input,
    stdout,
    stderr,
    signal: options.signal ?? new AbortController().signal,
    clock: instantClock(options.nowMs ?? (() => NOW_MS)),
    random: () => 0.5,
    newKey: () => `key-of-request-${++keys}`,
    redactor: new Redactor(),
  };
  const code = await runFibric(args, context);
  return { code, out: stdout.text, notes: stderr.text, transcript };
}

/** Sleeps take no time, but let everything else have its turn. */
function instantClock(nowMs: () => number): Clock {
  return { nowMs, sleep: () => new Promise((resolve) => setImmediate(resolve)) };
}

class Sink extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly columns: number;
  readonly #onOutput: (text: string) => void;

  constructor(columns: number | undefined, onOutput: (text: string) => void) {
    super();
    this.isTTY = columns !== undefined;
    this.columns = columns ?? 80;
    this.#onOutput = onOutput;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    this.#onOutput(chunk.toString());
    done();
  }
}
