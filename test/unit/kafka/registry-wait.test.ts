import { describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import type { Clock } from '../../../src/kafka/port.ts';
import { type RegistryWaitFacts, waitForRegistry } from '../../../src/kafka/registry-wait.ts';

/** Time that passes only in `sleep`. */
function virtualClock(onSleep: () => void = () => undefined): Clock & { sleeps: number[] } {
  let nowMs = 1_000;
  const sleeps: number[] = [];
  return {
    sleeps,
    nowMs: () => nowMs,
    sleep: async (ms) => {
      sleeps.push(ms);
      nowMs += ms;
      onSleep();
    },
  };
}

function registryThatAnswersAfter(
  failures: number,
  code: 'registry_unavailable' | 'config_invalid' = 'registry_unavailable',
) {
  const registry = {
    url: 'http://registry',
    pings: 0,
    ping: async () => {
      registry.pings++;
      if (registry.pings <= failures) throw new CodedError(code, `failure ${registry.pings}`);
    },
  };
  return registry;
}

describe('waitForRegistry', () => {
  it('returns at once, silently, when the registry answers', async () => {
    const registry = registryThatAnswersAfter(0);
    const clock = virtualClock();
    const report = () => expect.fail('nothing to report');
    await waitForRegistry({ registry, clock, deadlineMs: 1_000, report });
    expect(clock.sleeps).toEqual([]);
  });

  it('tries again with growing, bounded pauses and says so each time', async () => {
    const registry = registryThatAnswersAfter(7);
    const clock = virtualClock();
    const reports: [string, RegistryWaitFacts][] = [];
    await waitForRegistry({ registry, clock, deadlineMs: 60_000, report: (...report) => reports.push(report) });
    expect(clock.sleeps).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    expect(reports).toHaveLength(7);
    expect(reports[1]).toEqual([
      'The schema registry does not answer yet, trying again…',
      { registry: 'http://registry', attempt: 2, waitedMs: 250, nextAttemptInMs: 500, reason: 'failure 2' },
    ]);
  });

  it('gives up at the deadline with the last error, and never sleeps past it', async () => {
    const registry = registryThatAnswersAfter(Number.POSITIVE_INFINITY);
    const clock = virtualClock();
    const waiting = waitForRegistry({ registry, clock, deadlineMs: 2_000, report: () => undefined });
    await expect(waiting).rejects.toMatchObject({ code: 'registry_unavailable', message: `failure 5` });
    expect(clock.sleeps).toEqual([250, 500, 1_000, 250]);
    expect(registry.pings).toBe(5);
  });

  it('does not wait for what waiting will not mend', async () => {
    const registry = registryThatAnswersAfter(9, 'config_invalid');
    const waiting = waitForRegistry({ registry, clock: virtualClock(), deadlineMs: 9_000, report: () => undefined });
    await expect(waiting).rejects.toMatchObject({ code: 'config_invalid' });
    expect(registry.pings).toBe(1);
  });

  it('stops when the signal aborts during a pause', async () => {
    const registry = registryThatAnswersAfter(9);
    const stop = new AbortController();
    const clock = virtualClock(() => stop.abort());
    const waiting = waitForRegistry({
      registry,
      clock,
      deadlineMs: 9_000,
      report: () => undefined,
      signal: stop.signal,
    });
    await expect(waiting).rejects.toMatchObject({ code: 'registry_unavailable' });
    expect(registry.pings).toBe(1);
  });
});
