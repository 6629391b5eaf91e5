import { expect, test } from 'vitest';
import { polledRecord, sinceOf } from '../../../../src/ingest/poll/polled-record.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.parse('2026-11-22T00:00:00Z');
const bounds = {
  backfillSinceMs: NOW_MS - 400 * DAY_MS,
  startedAtMs: NOW_MS - 300 * DAY_MS,
  stateRetentionMs: 90 * DAY_MS,
};

test('a live poll publishes nothing of a time the processor may have forgotten; a backfill is the first to look', () => {
  expect(sinceOf('poll', bounds, NOW_MS)).toBe(NOW_MS - 89 * DAY_MS);
  expect(sinceOf('backfill', bounds, NOW_MS)).toBe(bounds.backfillSinceMs);
});

test('within what the processor remembers, the connection says since when', () => {
  const young = { ...bounds, backfillSinceMs: null, startedAtMs: NOW_MS - DAY_MS };
  expect(sinceOf('poll', young, NOW_MS)).toBe(young.startedAtMs);
  expect(sinceOf('poll', { ...young, backfillSinceMs: NOW_MS - 2 * DAY_MS }, NOW_MS)).toBe(NOW_MS - 2 * DAY_MS);
});

test('deadlines are judged by the clock of the server that answered, arrival is told by ours', () => {
  const resource = { type: 'conversation', id: '65aa000000000000000000c1', attributes: {} };
  const row = { id: resource.id, rev: 3, timeMs: NOW_MS, createdMs: NOW_MS, resource } as never;
  const times = { observedAtMs: NOW_MS, receivedAtMs: NOW_MS + 240_000, sinceMs: NOW_MS - DAY_MS };
  const { value, headers, timestampMs } = polledRecord({ topic: 'raw', origin: {}, stream: 'sla', row, ...times });
  expect(JSON.parse(String(value)).poll.observed_at).toBe('2026-11-22T00:00:00.000Z');
  expect(headers?.['received_at']).toBe(String(NOW_MS + 240_000));
  expect(timestampMs).toBe(NOW_MS + 240_000);
});
