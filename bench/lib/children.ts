/** Programs under measurement: each a process of its own, its output in a log file, its processor time told. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from '../../scripts/stack/wait.ts';
import { DATA } from './bench.ts';

export interface Program {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Running {
  readonly pid: number;
  readonly logFile: string;
  /** Why it is gone; null while it runs. */
  gone(): string | null;
  /** User and system time so far, seconds; 0 where /proc is not there. */
  cpuSeconds(): number;
  rssMiB(): number;
  stop(): Promise<void>;
}

const STOP_MS = 20_000;

export function startProgram(program: Program): Running {
  const logs = join(DATA, 'logs');
  mkdirSync(logs, { recursive: true });
  const logFile = join(logs, `${program.name}-${Date.now()}.log`);
  const out = openSync(logFile, 'a');
  const env = { ...process.env, ...program.env };
  const child = spawn(program.command, [...program.args], { stdio: ['ignore', out, out], env });
  closeSync(out);
  let gone: string | null = null;
  const exited = endOf(child).then((how) => {
    gone = `${program.name} ended (${how}); its output: ${logFile}`;
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program.command} did not start`);
  return {
    pid,
    logFile,
    gone: () => gone,
    cpuSeconds: () => cpuSeconds(pid),
    rssMiB: () => rssMiB(pid),
    async stop() {
      child.kill('SIGTERM');
      const deadline = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await exited;
      clearTimeout(deadline);
    },
  };
}

async function endOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = await once(child, 'exit');
    return signal === null ? `exit code ${code}` : String(signal);
  } catch (error) {
    return String(error);
  }
}

/** Resolves when an HTTP request to the URL is answered with a status `wanted` accepts. */
export function waitForHttp(url: string, running: Running, wanted: (status: number) => boolean): Promise<void> {
  const check = async () => wanted((await fetch(url, { signal: AbortSignal.timeout(2_000) })).status);
  return waitUntil(check, { what: url, deadlineMs: 120_000, hopeless: running.gone });
}

const TICKS_PER_SECOND = 100;

function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}

function rssMiB(pid: number): number {
  try {
    const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Math.round(Number(kib ?? 0) / 1024);
  } catch {
    return 0;
  }
}

/** Runs a short command to its end and gives its output; throws with its errors when it fails. */
export function runToEnd(program: Program & { readonly input?: string; readonly timeoutMs: number }): string {
  return execFileSync(program.command, [...program.args], {
    encoding: 'utf8',
    env: { ...process.env, ...program.env },
    timeout: program.timeoutMs,
    maxBuffer: 64 * 1024 * 1024,
    ...(program.input === undefined ? {} : { input: program.input }),
  });
}
