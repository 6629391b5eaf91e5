/** A simulator on loopback with a clock that stands still until it is moved, and a client for it. */
import { afterEach } from 'vitest';
import type { OrgOptions } from '../../../src/simulator/org.ts';
import { createSimulator, type Simulator, type SimulatorOptions } from '../../../src/simulator/server.ts';
import type { Json } from './receiver.ts';

export const START_MS = Date.UTC(2026, 2, 25, 10, 0, 0);
export const MINUTE_MS = 60_000;

export interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly headers: Headers;
}

export type Api = (method: string, path: string, body?: unknown) => Promise<Answer>;

export interface Simulated {
  readonly simulator: Simulator;
  readonly org: Simulator['orgs'][number];
  readonly url: string;
  readonly api: Api;
  /** As `api`, but the request is aborted and rejects after so many milliseconds. */
  readonly apiWithin: (ms: number, ...asked: Parameters<Api>) => Promise<Answer>;
  readonly clock: { nowMs: number };
}

export const KEY = 'key-acme';

const running: Simulator[] = [];

export async function simulated(org: Partial<OrgOptions> = {}, options: Partial<SimulatorOptions> = {}) {
  const clock = { nowMs: START_MS };
  const simulator = createSimulator({
    orgs: [{ name: 'acme', apiKey: KEY, conversations: 3, historyMs: 0, ...org }],
    seed: 7,
    nowMs: () => clock.nowMs,
    ...options,
  });
  running.push(simulator);
  const { url } = await simulator.listen();
  const call = async (signal: AbortSignal | null, method: string, path: string, body?: unknown): Promise<Answer> => {
    const answer = await fetch(url + path, {
      method,
      signal,
      headers: {
        authorization: `Bearer ${KEY}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? null : JSON.parse(text), headers: answer.headers };
  };
  const made: Simulated = {
    simulator,
    org: simulator.orgs[0] as Simulated['org'],
    url,
    clock,
    api: (...asked) => call(null, ...asked),
    apiWithin: (ms, ...asked) => call(AbortSignal.timeout(ms), ...asked),
  };
  return made;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.close()));
});
