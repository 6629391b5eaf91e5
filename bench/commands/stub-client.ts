/** The stub's process, and what it tells. */
import { join } from 'node:path';
import { type Running, startProgram, waitForHttp } from '../lib/children.ts';

export interface StubSummary {
  readonly calls: number;
  /** Of them for the first time. */
  readonly unique: number;
  readonly duplicates: number;
  /** Repeats of a command after a later one of its conversation. */
  readonly behindNewer: number;
  /** First calls that were not the next of their conversation. */
  readonly disorder: number;
  /** Calls that began while another of their conversation was under way. */
  readonly overlaps: number;
  readonly reads: number;
  readonly mostUnderWay: number;
  readonly firstAtUs: number;
  readonly lastAtUs: number;
  readonly longestGapMs: number;
  /** Calls, from the first one's arrival to the last answer. */
  readonly perSecond: number;
  readonly secondHalfPerSecond: number;
  /** From when the command was sent, where it says so. */
  readonly toArrivalUs: readonly number[];
  readonly toAnswerUs: readonly number[];
}

export interface Stub {
  readonly url: string;
  readonly running: Running;
  /** Resolves when a call has arrived; or so many different ones, and all are answered. */
  first(deadlineMs: number): Promise<void>;
  answered(unique: number, deadlineMs: number): Promise<void>;
  summary(): Promise<StubSummary>;
}

export async function startStub(port: number, serviceMs = 2): Promise<Stub> {
  const url = `http://127.0.0.1:${port}`;
  const running = startProgram({
    name: 'commands-stub',
    command: process.execPath,
    args: ['--no-warnings', join(import.meta.dirname, 'stub.ts')],
    env: { PORT: String(port), SERVICE_MS: String(serviceMs) },
  });
  await waitForHttp(`${url}/_stub/summary`, running, (status) => status === 200);
  const ask = (path: string, deadlineMs: number) => fetch(url + path, { signal: AbortSignal.timeout(deadlineMs) });
  return {
    url,
    running,
    first: async (deadlineMs) => void (await ask('/_stub/first', deadlineMs)),
    answered: async (unique, deadlineMs) => void (await ask(`/_stub/wait?unique=${unique}`, deadlineMs)),
    summary: async () => (await (await ask('/_stub/summary', 20_000)).json()) as StubSummary,
  };
}
