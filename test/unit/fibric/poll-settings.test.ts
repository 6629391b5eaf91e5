import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MIN_POLL_INTERVAL_MS } from '../../../src/fibric/connection.ts';
import {
  formatDuration,
  MAX_POLL_INTERVAL_MS,
  parseBackfillSince,
  parsePollInterval,
} from '../../../src/fibric/poll-settings.ts';

const NOW = Date.UTC(2026, 5, 15, 12, 0, 0);

function holds<T>(values: fc.Arbitrary<T>, property: (value: T) => void): void {
  fc.assert(
    fc.property(values, (value) => {
      property(value);
    }),
    { numRuns: 500 },
  );
}

describe('poll_interval', () => {
  it.each([
    ['60s', 60_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['5s', 5_000],
    ['24h', 86_400_000],
    ['0090s', 90_000],
  ])('%s', (text, ms) => expect(parsePollInterval(text)).toEqual({ value: ms }));

  it.each([
    ['4s', /at least 5s/],
    ['0m', /at least 5s/],
    ['25h', /at most 24h/],
    ['60', /units s, m, h.*none/],
    ['60ms', /units s, m, h.*another/],
    ['1d', /units s, m, h/],
    ['5M', /whole number/],
    ['1.5m', /whole number/],
    ['-60s', /whole number/],
    ['1m30s', /whole number/],
    [' 60s', /whole number/],
    ['60s ', /whole number/],
    ['', /whole number/],
    ['1e3s', /whole number|units/],
    ['999999999999s', /whole number/],
    ['5constructor', /units|whole number/],
  ])('refuses %j with the reason', (text, why) => {
    expect(parsePollInterval(text)).toEqual({ problem: expect.stringMatching(why) });
  });

  it('reads back what is shown', () => {
    const seconds = fc.integer({ min: MIN_POLL_INTERVAL_MS / 1000, max: MAX_POLL_INTERVAL_MS / 1000 });
    holds(seconds, (s) => {
      expect(parsePollInterval(formatDuration(s * 1000))).toEqual({ value: s * 1000 });
      expect(parsePollInterval(`${s}s`)).toEqual({ value: s * 1000 });
    });
  });

  it('gives an interval within the bounds or a reason, whatever is written', () => {
    const written = fc.oneof(fc.string(), fc.stringMatching(/^\d{1,6}[smhd]?$/));
    holds(written, (text) => {
      const parsed = parsePollInterval(text);
      if ('problem' in parsed) return;
      expect(parsed.value).toBeGreaterThanOrEqual(MIN_POLL_INTERVAL_MS);
      expect(parsed.value).toBeLessThanOrEqual(MAX_POLL_INTERVAL_MS);
    });
  });
});

describe('backfill_since', () => {
  it.each([
    ['2026-01-31', Date.UTC(2026, 0, 31)],
    ['2026-06-15', Date.UTC(2026, 5, 15)],
    ['2024-02-29', Date.UTC(2024, 1, 29)],
    ['2026-01-31T12:30Z', Date.UTC(2026, 0, 31, 12, 30)],
    ['2026-01-31T12:30:15.5Z', Date.UTC(2026, 0, 31, 12, 30, 15, 500)],
    ['2026-01-31T00:30:00+01:00', Date.UTC(2026, 0, 30, 23, 30)],
    ['2026-01-31T23:30:00-05:30', Date.UTC(2026, 1, 1, 5, 0)],
    ['2026-06-15T12:00:00Z', NOW],
  ])('%s', (text, ms) => expect(parseBackfillSince(text, NOW)).toEqual({ value: ms }));

  it.each([
    ['2026-06-16', /future/],
    ['2026-06-15T12:00:01Z', /future/],
    ['2026-06-15T13:00:00+00:30', /future/],
    ['2026-02-30', /does not exist/],
    ['2025-02-29', /does not exist/],
    ['2026-13-01', /does not exist/],
    ['2026-00-10', /does not exist/],
    ['2026-01-00', /does not exist/],
    ['2026-01-31T24:00:00Z', /does not exist/],
    ['2026-01-31T10:60:00Z', /does not exist/],
    ['2026-01-31T10:00:00+15:00', /does not exist/],
    ['0099-01-01', /does not exist/],
    ['1970-01-01T00:00:00+01:00', /before 1970/],
    ['2026-01-31T12:00:00', /without a zone; write 2026-01-31T12:00:00Z/],
    ['31.01.2026', /ISO 8601/],
    ['2026-1-5', /ISO 8601/],
    ['2026-01-31 12:00:00Z', /ISO 8601/],
    ['1767225600000', /ISO 8601/],
    ['yesterday', /ISO 8601/],
    ['', /ISO 8601/],
  ])('refuses %j with the reason', (text, why) => {
    expect(parseBackfillSince(text, NOW)).toEqual({ problem: expect.stringMatching(why) });
  });

  const past = fc.integer({ min: 0, max: NOW });

  it('reads the instant JavaScript writes', () => {
    holds(past, (ms) => expect(parseBackfillSince(new Date(ms).toISOString(), NOW)).toEqual({ value: ms }));
  });

  it('takes a bare date for its midnight in UTC', () => {
    holds(past, (ms) => {
      const midnight = ms - (ms % 86_400_000);
      expect(parseBackfillSince(new Date(ms).toISOString().slice(0, 10), NOW)).toEqual({ value: midnight });
    });
  });

  it('means the same moment in every zone', () => {
    holds(fc.tuple(past, fc.integer({ min: -14 * 60, max: 14 * 60 })), ([ms, zone]) => {
      const local = new Date(ms + zone * 60_000);
      fc.pre(local.getTime() >= 0);
      const two = (n: number) => String(n).padStart(2, '0');
      const minutes = Math.abs(zone);
      const offset = `${zone < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
      expect(parseBackfillSince(local.toISOString().replace('Z', offset), NOW)).toEqual({ value: ms });
    });
  });

  it('never lies in the future, whatever is written', () => {
    const dates = fc.stringMatching(/^(19|20)\d\d-[01]\d-[0-3]\d(T[0-2]\d:[0-5]\d(Z|[+-][01]\d:[0-5]\d))?$/);
    holds(fc.oneof(fc.string(), dates), (text) => {
      const parsed = parseBackfillSince(text, NOW);
      if ('problem' in parsed) return;
      expect(parsed.value).toBeGreaterThanOrEqual(0);
      expect(parsed.value).toBeLessThanOrEqual(NOW);
    });
  });
});
