/**
 * Processes of ours that outlive the command which started them.
 *
 * A process id alone names nobody: the system gives it out again. So an id is kept together with the process's start
 * time, and nothing is signalled unless both still match.
 */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { waitUntil } from './wait.ts';

export interface OwnedProcess {
  readonly pid: number;
  /** As the system tells it; only compared for equality. */
  readonly startedAt: string;
}

/** Start time of a live process; null when there is none (a zombie counts as none). */
export function startTime(pid: number): string | null {
  if (existsSync('/proc/self/stat')) {
    try {
      // "pid (command) state ppid … starttime …": the command may hold spaces and brackets, so count from the last ")".
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? null : (fields[19] ?? null);
    } catch {
      return null;
    }
  }
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? null : line.replace(/^\S+\s+/, '');
  } catch {
    return null;
  }
}

export function isAlive(owned: OwnedProcess): boolean {
  return startTime(owned.pid) === owned.startedAt;
}

/** Sends the signal if the process is still the one we started; says whether it was sent. */
export function signal(owned: OwnedProcess, name: NodeJS.Signals): boolean {
  if (!isAlive(owned)) return false;
  try {
    return process.kill(owned.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

export interface DetachedOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly logFile: string;
}

/** Starts a process in its own session, output appended to `logFile`: it lives on when we exit or get Ctrl-C. */
export function startDetached(options: DetachedOptions): OwnedProcess {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a');
  try {
    const child = spawn(options.command, options.args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: options.env ?? process.env,
    });
    // A command that does not exist: pid is undefined below, and the event would otherwise crash us.
    child.on('error', () => {});
    child.unref();
    const startedAt = child.pid === undefined ? null : startTime(child.pid);
    if (child.pid === undefined || startedAt === null) throw new Error(`${options.command} did not start`);
    return { pid: child.pid, startedAt };
  } finally {
    closeSync(log);
  }
}

/** SIGTERM, then SIGKILL after the deadline. Returns how it ended; `gone` when it was not running. */
export async function stopProcess(owned: OwnedProcess, deadlineMs: number): Promise<'gone' | 'stopped' | 'killed'> {
  // A stopped (SIGSTOP) process sees SIGTERM only after SIGCONT.
  if (!signal(owned, 'SIGTERM')) return 'gone';
  signal(owned, 'SIGCONT');
  const ended = async () => !isAlive(owned);
  try {
    await waitUntil(ended, { what: `the end of process ${owned.pid}`, deadlineMs, everyMs: 50 });
    return 'stopped';
  } catch {
    signal(owned, 'SIGKILL');
    await waitUntil(ended, { what: `the end of process ${owned.pid} after SIGKILL`, deadlineMs: 10_000, everyMs: 50 });
    return 'killed';
  }
}

/** Last lines of a log file, for error messages. */
export function tail(file: string, lines = 15): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '(no log)';
  }
}
