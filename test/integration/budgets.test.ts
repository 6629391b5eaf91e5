/**
 * One budget, three processes' worth of gates, on a real broker and the simulator's limits: never more than the share, no 429
 * of our own making, and a lease in store for the next write. The minute is the vendor's and passes in real time.
 */
import { describe, expect, it } from 'vitest';
import { type Budgets, createBudgets } from '../../src/app/budget/index.ts';
import { createLogger, createMetrics } from '../../src/app/telemetry.ts';
import type { Log } from '../../src/kafka/port.ts';
import { fixedTopics, TOPIC_DEFAULTS, topicNames } from '../../src/kafka/topics.ts';
import type { Lane } from '../../src/kustomer/budget/lanes.ts';
import { Limits, limitsSchema } from '../../src/simulator/limits/limits.ts';
import { openTestLog, waitFor } from '../support/log-fixtures.ts';

const ORGANISATION = 'org/acme';
const LIMIT = 600;
const SHARE = 420;

interface Process {
  readonly budgets: Budgets;
  readonly log: Log;
}

class House {
  readonly limits = new Limits(limitsSchema.parse({ orgPerMinute: LIMIT }));
  /** Of calls the server took. */
  readonly takenAtMs: number[] = [];
  readonly refusedAtMs: number[] = [];
  readonly waits: { readonly lane: Lane; readonly ms: number }[] = [];
  readonly crashes: unknown[] = [];
  readonly #test = openTestLog();

  static async build(): Promise<House> {
    const house = new House();
    const { prefix, log } = house.#test;
    const names = topicNames(prefix);
    const topics = fixedTopics({ ...TOPIC_DEFAULTS, prefix });
    await log.admin.createTopics(topics.filter(({ name }) => [names.budgetAsks, names.budgetLeases].includes(name)));
    return house;
  }

  async start(): Promise<Process> {
    const log = this.#test.connect();
    const budgets = await createBudgets({
      log,
      settings: {
        topicPrefix: this.#test.prefix,
        sessionTimeoutMs: 15_000,
        shutdownMs: 10_000,
        apiBudgetShare: 70,
        apiSearchBudgetShare: 100,
      },
      logger: createLogger('silent'),
      metrics: createMetrics(),
      crashed: (error) => this.crashes.push(error),
    });
    return { budgets, log };
  }

  async call({ budgets }: Process, lane: Lane, organisation = ORGANISATION): Promise<void> {
    const sinceMs = performance.now();
    await budgets.gateFor(organisation).run({ lane, kind: 'call', waitMs: 30_000 }, async () => {
      this.waits.push({ lane, ms: performance.now() - sinceMs });
      await pause(20 + 60 * Math.random());
      const nowMs = Date.now();
      const status = this.limits.take(nowMs, false) === null ? 200 : 429;
      (status === 200 ? this.takenAtMs : this.refusedAtMs).push(nowMs);
      const headers = { ...this.limits.headers(nowMs, status), date: new Date(nowMs).toUTCString() };
      await pause(20);
      return { value: undefined, end: { ending: 'answered', status, headers } };
    });
  }

  async keepCalling(process: Process, lane: Lane, untilMs: number, everyMs: () => number = () => 0): Promise<void> {
    while (Date.now() < untilMs) {
      await this.call(process, lane);
      await pause(everyMs());
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const allReady = (processes: readonly Process[]) => () => processes.every(({ budgets }) => budgets.health().ready);

/** Calls that it may start without asking. */
function inHand({ budgets }: Process): number {
  const { organisations } = budgets.health().detail as { organisations: Record<string, { inHand: number }> };
  return organisations[ORGANISATION]?.inHand ?? 0;
}

function quantile(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? 0;
}

/** The most in any 60 s, wherever they begin. */
function mostInAMinute(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return Math.max(
    ...sorted.map((fromMs, index) => sorted.slice(index).filter((atMs) => atMs < fromMs + 60_000).length),
  );
}

const report = (numbers: Record<string, number>): void => {
  // biome-ignore lint/suspicious/noConsole: the numbers of the run
  console.info(
    JSON.stringify(
      Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Number(value.toFixed(3))])),
    ),
  );
};

describe('one budget, several processes, a real broker', () => {
  it('L1: never more than the share, no 429, and nearly all of it used, while a process comes and goes', {
    timeout: 180_000,
  }, async () => {
    const house = await House.build();
    const [first, second, third] = [await house.start(), await house.start(), await house.start()] as const;
    await waitFor(allReady([first, second, third]), { message: 'every lender', deadlineMs: 60_000 });
    const startMs = Date.now();
    const untilMs = startMs + 100_000;
    const writes = () => 1500 + 3000 * Math.random();
    const busy = (process: Process, endMs: number): Promise<void>[] => [
      ...Array.from({ length: 5 }, () => house.keepCalling(process, 'backfill', endMs)),
      house.keepCalling(process, 'writes', endMs, writes),
    ];
    const leaving = Promise.all(busy(third, startMs + 20_000)).then(async () => {
      await third.budgets.close();
      const next = await house.start();
      await Promise.all(busy(next, untilMs));
      await next.budgets.close();
    });
    await Promise.all([...busy(first, untilMs), ...busy(second, untilMs), leaving]);
    const used = house.takenAtMs.filter((atMs) => atMs >= untilMs - 62_000 && atMs < untilMs - 2000).length / SHARE;
    const ofWrites = house.waits.filter(({ lane }) => lane === 'writes').map(({ ms }) => ms);
    report({
      most: mostInAMinute(house.takenAtMs),
      used,
      writes: ofWrites.length,
      p50Ms: quantile(ofWrites, 0.5),
      p99Ms: quantile(ofWrites, 0.99),
    });
    expect(mostInAMinute(house.takenAtMs)).toBeLessThanOrEqual(SHARE);
    expect(house.refusedAtMs).toEqual([]);
    expect(house.crashes).toEqual([]);
    expect(used).toBeGreaterThanOrEqual(0.93);
    await Promise.all([first.budgets.close(), second.budgets.close()]);
  });

  it('L6: a 429 in one process is known in the others; what a cold write and a warm one wait', {
    timeout: 120_000,
  }, async () => {
    const house = await House.build();
    const [first, second] = [await house.start(), await house.start()] as const;
    await waitFor(allReady([first, second]), { message: 'every lender', deadlineMs: 60_000 });
    for (let index = 0; index < 30; index += 1) await house.call(first, 'writes', `org/other-${index}`);
    const cold = house.waits.splice(0).map(({ ms }) => ms);
    await house.call(second, 'writes');
    await house.call(first, 'writes');
    house.waits.splice(0);
    // Warm: what the next write will use is there before it.
    for (let index = 0; index < 30; index += 1) {
      await waitFor(() => inHand(first) > 0, { message: 'a lease in store', everyMs: 5 });
      await house.call(first, 'writes');
    }
    const warm = house.waits.splice(0).map(({ ms }) => ms);
    report({
      coldP50Ms: quantile(cold, 0.5),
      coldP99Ms: quantile(cold, 0.99),
      warmP50Ms: quantile(warm, 0.5),
      warmP99Ms: quantile(warm, 0.99),
    });
    const headers = { 'retry-after': '3' };
    const refusal = async () => ({ value: undefined, end: { ending: 'answered', status: 429, headers } }) as const;
    const refusedMs = performance.now();
    await first.budgets.gateFor(ORGANISATION).run({ lane: 'writes', kind: 'call', waitMs: 5000 }, refusal);
    const other = second.budgets.gateFor(ORGANISATION);
    await waitFor(() => other.health().pausedUntilMs !== null, { message: 'the pause', deadlineMs: 2000, everyMs: 1 });
    report({ knownAfterMs: performance.now() - refusedMs });
    await house.call(second, 'writes');
    expect(performance.now() - refusedMs).toBeGreaterThanOrEqual(2900);
    await Promise.all([first.budgets.close(), second.budgets.close()]);
  });
});
