/** A child process whose standard output is read as it comes, and which never outlives its reader. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { CodedError } from '../../../base/errors.ts';

export interface Child {
  readonly chunks: AsyncIterable<Buffer>;
  stop(): Promise<void>;
}

const KILL_AFTER_MS = 2_000;

/**
 * Standard error goes into the same pipe as the output when `mergeErrors`, so that both keep their order; a shell does
 * the joining since Node cannot give one pipe to two descriptors. Otherwise it is kept for the error message.
 */
export function startChild(options: {
  readonly command: string;
  readonly args: readonly string[];
  readonly mergeErrors: boolean;
}): Child {
  const { command, args } = options;
  const child = options.mergeErrors
    ? spawn('sh', ['-c', 'exec "$0" "$@" 2>&1', command, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
    : spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = exitOf(child);
  const complaints = tail(child);
  let stopping = false;

  async function* chunks(): AsyncGenerator<Buffer> {
    try {
      yield* child.stdout as AsyncIterable<Buffer>;
    } catch (error) {
      if (!stopping) throw error; // else it is our own closing of the pipe
    }
    const how = await exited;
    if (stopping) return;
    throw new CodedError('reader_failed', `${command} stopped by itself (${how}). ${complaints()}`.trim());
  }

  return {
    chunks: chunks(),
    async stop() {
      stopping = true;
      child.kill('SIGTERM');
      const deadline = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
      // Unread output would keep a writer with a full pipe, and so the process, alive.
      child.stdout?.destroy();
      await exited;
      clearTimeout(deadline);
    },
  };
}

/** How it ended, in words; never rejects. */
async function exitOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = await once(child, 'exit');
    return signal === null ? `exit code ${code}` : `signal ${signal}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const TAIL_CHARACTERS = 2_000;

function tail(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-TAIL_CHARACTERS);
  });
  return () => text.trim();
}

/** Full path of a program on PATH, or null. */
export async function findProgram(name: string, path = process.env['PATH'] ?? ''): Promise<string | null> {
  for (const folder of path.split(delimiter).filter((entry) => entry !== '')) {
    const candidate = join(folder, name);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

const run = promisify(execFile);

/** Output of a short command; throws when it fails or takes longer than the time given. */
export async function outputOf(command: string, args: readonly string[], timeoutMs: number): Promise<string> {
  const { stdout, stderr } = await run(command, [...args], { timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 });
  return stdout === '' ? stderr : stdout;
}
