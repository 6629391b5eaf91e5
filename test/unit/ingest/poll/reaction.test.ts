/** What a stream does about a failure: never hopelessly often, never later than it has to. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reactTo } from '../../../../src/ingest/poll/reaction.ts';
import { failure } from '../../../../src/kustomer/client/outcome.ts';

const NOW_MS = 1_000_000;
const of = (kind: Parameters<typeof failure>[0], retryAtMs: number | null = null) =>
  failure(kind, { operation: 'search', message: kind, retryAtMs });
const more = { intervalMs: 60_000, random: 0.5, nowMs: NOW_MS };

test('backoffs double, up to half a minute, and never beyond the interval', () => {
  const waits = [1, 2, 3, 4, 10].map(
    (failuresInARow) => reactTo({ failure: of('retry'), failuresInARow, ...more }).waitMs,
  );
  expect(waits).toEqual([375, 750, 1500, 3000, 22_500]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 5000, max: 1e7 }), (failuresInARow, intervalMs) => {
      const { waitMs } = reactTo({ failure: of('not_sent'), failuresInARow, ...more, intervalMs });
      expect(waitMs).toBeLessThanOrEqual(Math.min(30_000, intervalMs));
      expect(waitMs).toBeGreaterThan(0);
    }),
  );
});

test('a 429 is waited out as told, for a minute at most at a time', () => {
  expect(reactTo({ failure: of('wait', NOW_MS + 20_000), failuresInARow: 1, ...more })).toEqual({
    state: 'waiting',
    waitMs: 20_125,
  });
  expect(reactTo({ failure: of('wait', NOW_MS + 1e9), failuresInARow: 1, ...more }).waitMs).toBe(60_000);
  expect(reactTo({ failure: of('wait', NOW_MS - 1e9), failuresInARow: 1, ...more }).waitMs).toBe(250);
});

test.each([
  ['permission', 'forbidden'],
  ['config', 'misconfigured'],
  ['refuse', 'refused'],
  ['conflict', 'refused'],
] as const)('%s is for a person to mend: %s, asked again after minutes', (kind, state) => {
  const reaction = reactTo({ failure: of(kind), failuresInARow: 1, ...more });
  expect(reaction.state).toBe(state);
  expect(reaction.waitMs).toBeGreaterThanOrEqual(270_000);
});
