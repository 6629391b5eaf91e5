/**
 * Our own programs as child processes of a test: started with an environment, read as they write, signalled by process
 * id, and gone when the test is over.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ROOT } from '../../scripts/stack/versions.ts';
import { waitFor } from './wait-for.ts';

export interface ProcessOptions {
  /** Script relative to the project's folder. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Added to this process's environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** How it is ended where it still runs after the test. Default SIGTERM: the test then also proves that this is enough. */
  readonly endWith?: 'SIGTERM' | 'SIGKILL';
  readonly endDeadlineMs?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface TestProcess {
  readonly pid: number;
  /** All it wrote so far, stdout and stderr in order of arrival. */
  output(): string;
  stdout(): string;
  /** First match in the output so far or to come; fails at the deadline, or at once when the process ends without it. */
  waitForOutput(pattern: RegExp, deadlineMs?: number): Promise<RegExpExecArray>;
  signal(name: NodeJS.Signals): void;
  /** Writes to its standard input and closes it. */
  input(text: string): void;
  /** The exit, or a failure at the deadline. */
  waitForExit(deadlineMs?: number): Promise<Exit>;
}

/** In the environment of the process and of everything it starts: how a leak is found. */
const MARK = 'CN_TEST_PROCESS';
const DEADLINE_MS = 20_000;

/** Starts it; after the test it is ended, and the test fails when it had to be forced or left processes behind. */
export function startProcess(options: ProcessOptions): TestProcess {
  const { process: started, end } = trackProcess(options);
  onTestFinished(async () => {
    const problems = await end();
    if (problems.length > 0) {
      throw new Error(`${options.script} ${problems.join(' and ')}; output:\n${started.output()}`);
    }
  });
  return started;
}

/** Without the test around it: `end` makes sure that nothing is left and says what it had to do for that. */
export function trackProcess(options: ProcessOptions): { process: TestProcess; end: () => Promise<readonly string[]> } {
  const { script, endWith = 'SIGTERM', endDeadlineMs = DEADLINE_MS } = options;
  const mark = randomUUID();
  const child = spawn(process.execPath, ['--no-warnings', join(ROOT, script), ...(options.args ?? [])], {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env, [MARK]: mark },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${script} did not start`);

  let output = '';
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stdin.on('error', () => {}); // writing to a process that has just ended is no error of the test
  let exit: Exit | null = null;
  child.on('exit', (code, signal) => {
    exit = { code, signal };
  });

  const withOutput = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}; output of ${script}:\n${output}`);
    }
  };
  const exited = (deadlineMs: number) => waitFor(() => exit, { message: `the end of ${script}`, deadlineMs });

  const end = async (): Promise<readonly string[]> => {
    const problems: string[] = [];
    if (exit === null) {
      child.kill(endWith);
      child.kill('SIGCONT'); // one that a test has stopped would not see SIGTERM
      try {
        await exited(endDeadlineMs);
      } catch {
        problems.push(`did not end on ${endWith} within ${endDeadlineMs} ms`);
        child.kill('SIGKILL');
        await exited(DEADLINE_MS);
      }
    }
    for (const left of processesMarked(mark)) {
      problems.push(`left process ${left} running`);
      process.kill(left, 'SIGKILL');
    }
    return problems;
  };

  const started: TestProcess = {
    pid,
    output: () => output,
    stdout: () => stdout,
    waitForOutput: (pattern, deadlineMs = DEADLINE_MS) => {
      const hopeless = () => (exit === null || pattern.test(output) ? null : `it ended with ${JSON.stringify(exit)}`);
      return withOutput(waitFor(() => pattern.exec(output), { message: `output ${pattern}`, deadlineMs, hopeless }));
    },
    signal: (name) => {
      if (!child.kill(name)) throw new Error(`${script} does not run, so it cannot get ${name}`);
    },
    input: (text) => void child.stdin.end(text),
    waitForExit: (deadlineMs = DEADLINE_MS) => withOutput(exited(deadlineMs)),
  };
  return { process: started, end };
}

/** Ids of live processes carrying the mark. Linux only: elsewhere the environment of a process cannot be read. */
function processesMarked(mark: string): readonly number[] {
  if (process.platform !== 'linux') return [];
  const wanted = `${MARK}=${mark}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(wanted);
      } catch {
        return false; // gone meanwhile, or a zombie
      }
    });
}
