/** `fibric` as a person would type it: each command a process of its own, shown with what it prints. */
import { spawn } from 'node:child_process';

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;
const COMMAND_DEADLINE_MS = 60_000;

export interface ShellOptions {
  /** Where the person is: files are named from here, and what `fibric` keeps is below it. */
  readonly folder: string;
  readonly endpoint: string;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Typed {
  readonly code: number | null;
  readonly stdout: string;
}

export interface TypeOptions {
  /** A secret, piped in. */
  readonly input?: string;
  /** Another token than that of the login, for this command. */
  readonly token?: string;
  /** False = nobody sees it. */
  readonly shown?: boolean;
  /** What stands for stdout where it holds a secret. */
  readonly instead?: string;
}

export class Shell {
  readonly #options: ShellOptions;

  constructor(options: ShellOptions) {
    this.#options = options;
  }

  async fibric(
    args: readonly string[],
    { input = '', token, shown = true, instead }: TypeOptions = {},
  ): Promise<Typed> {
    const { folder, endpoint, say, signal } = this.#options;
    signal.throwIfAborted();
    const child = spawn(process.execPath, [...process.execArgv, MAIN, ...args], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        FIBRIC_HOME: folder,
        FIBRIC_ENDPOINT: endpoint,
        ...(token !== undefined && { FIBRIC_TOKEN: token }),
      },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: COMMAND_DEADLINE_MS,
      killSignal: 'SIGKILL',
      signal,
    });
    child.on('error', () => undefined); // the signal ended it; its exit code says so
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    let stdout = '';
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
      if (instead === undefined) text += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    if (shown) {
      say(`$ fibric ${args.map(quoted).join(' ')}${instead ?? ''}`);
      for (const line of text.trimEnd().split('\n')) if (line !== '') say(`    ${line}`);
    }
    return { code, stdout };
  }
}

function quoted(word: string): string {
  return /^[\w./:=*-]+$/.test(word) ? word : `'${word}'`;
}
