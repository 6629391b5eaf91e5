/** A service process of the demo: started from this checkout, its output kept for when it matters, never left behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { CodedError } from '../../base/errors.ts';

const MAIN = new URL('../../main.ts', import.meta.url).pathname;
const KEPT_LINES = 200;
const LISTENING = /listening on (http:\S+)/;

export interface ChildOptions {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly startTimeoutMs: number;
}

export class DemoChild {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;

  private constructor(child: ChildProcess, exited: Promise<void>, url: string) {
    this.#process = child;
    this.#exited = exited;
    this.url = url;
  }

  /** Resolves when the service listens; rejects with its last output when it ends before. */
  static async start({ args, env, startTimeoutMs }: ChildOptions): Promise<DemoChild> {
    const child = spawn(process.execPath, [...process.execArgv, MAIN, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const lines: string[] = [];
    const listening = Promise.withResolvers<string>();
    const keep = (chunk: Buffer) => {
      const text = chunk.toString();
      lines.push(text);
      if (lines.length > KEPT_LINES) lines.shift();
      const found = LISTENING.exec(text);
      if (found?.[1] !== undefined) listening.resolve(found[1]);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const fail = (why: string) =>
      listening.reject(new CodedError('demo_failed', `${args.join(' ')}: ${why}\n${lines.join('')}`));
    void exited.then(() => fail('ended before it was listening'));
    const timer = setTimeout(() => fail(`was not listening after ${startTimeoutMs} ms`), startTimeoutMs);
    try {
      return new DemoChild(child, exited, await listening.promise);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** SIGKILL: nothing is flushed, nothing said goodbye to. */
  async crash(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }

  /** SIGTERM, then SIGKILL after the deadline. */
  async stop(deadlineMs: number): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), deadlineMs);
    await this.#exited;
    clearTimeout(timer);
  }
}
