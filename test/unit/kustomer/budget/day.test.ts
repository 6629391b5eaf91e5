/** A day under a virtual clock: how much of our share is used, who is refused, and how long writes wait. */
import { describe, expect, it } from 'vitest';
import { type DayOptions, type DayReport, quantile, simulateDay } from './day.ts';
import type { ModelOptions } from './server-model.ts';

const SERVER: ModelOptions = {
  limit: 500,
  searchLimit: 100,
  offsetMs: 17_345,
  skewMs: 137_000,
  reset: 'always',
  retryAfter: false,
  date: true,
};

/** Mostly 25 ms, one in a hundred 150 ms. */
const latencyMs = (random: () => number): number => 20 + 130 * random() ** 3;

/** Keeps to its share in two minutes of three, in a burst or spread; in the third it takes all it can get. */
const greedy: DayOptions['others'] = (random) =>
  random() < 2 / 3
    ? { part: 0.3 * random(), spreadMs: random() < 0.5 ? 2000 : 59_000 }
    : { part: 0.3 + 0.7 * random(), spreadMs: 1000 + 58_000 * random() };
const fair: DayOptions['others'] = (random) => ({ part: 0.3 * random(), spreadMs: random() < 0.5 ? 2000 : 59_000 });

function day(options: Partial<DayOptions>): DayReport {
  const report = simulateDay({
    seed: 20_261_121,
    hours: 24,
    server: SERVER,
    others: greedy,
    backfill: 'call',
    writesPerMinute: 12,
    latencyMs,
    ...options,
  });
  // biome-ignore lint/suspicious/noConsole: the numbers of the run
  console.info(JSON.stringify(summary(report)));
  return report;
}

function summary({ writeWaitsMs, ownWriteWaitsMs, pollWaitsMs, ...rest }: DayReport): object {
  const waits = (sorted: readonly number[]) => ({
    count: sorted.length,
    p50Ms: Math.round(quantile(sorted, 0.5)),
    p90Ms: Math.round(quantile(sorted, 0.9)),
    p99Ms: Math.round(quantile(sorted, 0.99)),
    maxMs: Math.round(sorted.at(-1) ?? 0),
  });
  return {
    ...rest,
    writes: waits(writeWaitsMs),
    writesOwn: waits(ownWriteWaitsMs),
    polls: waits(pollWaitsMs),
  };
}

describe('a day with a backfill that never ends', () => {
  it('beside a consumer that is greedy every third minute', { timeout: 120_000 }, () => {
    const report = day({});
    expect(report.windows).toBeGreaterThan(1430);
    expect(report.overdrawnWindows).toBeGreaterThan(300);
    expect(report.used).toBeGreaterThanOrEqual(0.98);
    expect(report.refusedByUsAlone).toBe(0);
    expect(report.mostInAWindow).toBeLessThanOrEqual(report.share);
    // While the greedy one has had its fill the server refuses everybody: that is most of all waiting, and not ours.
    expect(quantile(report.ownWriteWaitsMs, 0.99)).toBeLessThanOrEqual(2000);
    expect(report.unavoidable).toBeGreaterThan(0.8);
    // What is kept for writes in a window that others overdraw: without it one write in ten waits for 2.5 s.
    expect(quantile(report.writeWaitsMs, 0.9)).toBeLessThanOrEqual(1000);
  });

  it('beside one that keeps to its share: nobody is refused', { timeout: 120_000 }, () => {
    const report = day({ others: fair, hours: 4 });
    expect(report.used).toBeGreaterThanOrEqual(0.98);
    expect(report.refusedByUsAlone + report.refusedInOverdrawnWindows).toBe(0);
    expect(quantile(report.writeWaitsMs, 0.99)).toBeLessThanOrEqual(2000);
    expect(quantile(report.pollWaitsMs, 0.99)).toBeLessThanOrEqual(2000);
  });

  it('of searches: uses the search limit and no more, and a poll finds room in it', { timeout: 120_000 }, () => {
    const report = day({ others: fair, backfill: 'search' });
    expect(report.searches / (report.windows * SERVER.searchLimit)).toBeGreaterThanOrEqual(0.97);
    expect(report.mostSearchesInAWindow).toBeLessThanOrEqual(SERVER.searchLimit);
    expect(report.refusedByUsAlone).toBe(0);
    expect(quantile(report.pollWaitsMs, 0.99)).toBeLessThanOrEqual(5000);
    expect(quantile(report.writeWaitsMs, 0.99)).toBeLessThanOrEqual(2000);
  });
});

describe('an hour of the other plans and header habits', () => {
  it.each([
    ['the smallest plan', { limit: 300 }, 0.98, 2000],
    ['a larger plan', { limit: 1000 }, 0.98, 2000],
    ['the largest plan', { limit: 2000 }, 0.98, 2000],
    ['a reset only once exceeded', { reset: 'when_exceeded' as const }, 0.98, 2000],
    // When the window ends can only be found out by trying.
    ['no reset, no Date: the window is known by its beginning', { reset: 'never' as const, date: false }, 0.96, 5000],
    ['Retry-After instead of a reset', { reset: 'never' as const, retryAfter: true }, 0.98, 2000],
  ])('%s', { timeout: 120_000 }, (_name, server, least, longestOwnMs) => {
    const full = { ...SERVER, ...server };
    const report = day({ hours: 1, server: full, writesPerMinute: full.limit / 40 });
    expect(report.used).toBeGreaterThanOrEqual(least);
    expect(report.refusedByUsAlone).toBe(0);
    expect(report.mostInAWindow).toBeLessThanOrEqual(report.share);
    expect(quantile(report.ownWriteWaitsMs, 0.99)).toBeLessThanOrEqual(longestOwnMs);
  });

  it('no Date and clocks half a minute apart: slower beside the greedy one, never over our share', {
    timeout: 120_000,
  }, () => {
    const server = { ...SERVER, date: false, skewMs: -30_000 };
    const beside = day({ hours: 1, server });
    expect(beside.used).toBeGreaterThanOrEqual(0.85);
    expect(beside.refusedByUsAlone).toBe(0);
    const alone = day({ hours: 1, server, others: fair });
    expect(alone.used).toBeGreaterThanOrEqual(0.98);
    expect(alone.refusedByUsAlone).toBe(0);
  });
});
