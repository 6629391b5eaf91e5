/** What processes that do not poll know of the polls of others. Numbers P… are those of src/app/api/poll-reports.ts. */
import { describe, expect, it } from 'vitest';
import { checkContract } from '../../../src/app/api/contract.ts';
import {
  REPORT_EVERY_MS,
  REPORT_KIND,
  REPORT_STALE_MS,
  reportOf,
  startPollReporter,
  toldPolls,
} from '../../../src/app/api/poll-reports.ts';
import { createLogger } from '../../../src/app/telemetry.ts';
import { CONNECTION_SETTINGS, type ConnectionWithTokens } from '../../../src/fibric/connection.ts';
import type { ConnectionPollHealth, StreamHealth } from '../../../src/ingest/poll/health.ts';
import { VirtualClock } from '../../../src/kafka/memory/index.ts';
import { MemoryTable } from '../../support/api/memory-table.ts';

const SCOPE = { tenantId: 't_a', connectionId: 'cn_a' };

function stream(lagMs: number | null, lastSuccessAtMs: number | null, failuresInARow = 0): StreamHealth {
  return { state: 'current', lagMs, lastSuccessAtMs, reason: null, failuresInARow };
}

function polls(streams: ConnectionPollHealth['streams']): ConnectionPollHealth {
  return { ...SCOPE, streams, backfill: {} };
}

describe('a report', () => {
  it('has the worst lag, the latest sense, and the streams that fail', async () => {
    const table = new MemoryTable(REPORT_KIND);
    const streams = { conversations: stream(7_000, 900), messages: stream(40_000, 500, 2) };
    await table.update('p1', () => reportOf([polls(streams)], () => 950, 1_000));
    expect(toldPolls(table, SCOPE)).toEqual({ toldAtMs: 1_000, sensedAtMs: 950, lagMs: 40_000, failing: ['messages'] });
    expect(toldPolls(table, { ...SCOPE, connectionId: 'cn_b' })).toBeUndefined();
    expect(toldPolls(table, { tenantId: '__proto__', connectionId: 'x' })).toBeUndefined();
  });

  it('tells no lag before each stream was read once', () => {
    const report = reportOf([polls({ conversations: stream(1, 1), messages: stream(null, null) })], () => null, 1_000);
    expect(Object.values(report.connections)).toEqual([{ sensed_ms: 1, lag_ms: null, failing: [] }]);
  });

  it('P2: the newest counts', async () => {
    const table = new MemoryTable(REPORT_KIND);
    await table.update('z', () => reportOf([polls({ conversations: stream(1, 1) })], () => null, 1_000));
    await table.update('a', () => reportOf([polls({ conversations: stream(2, 2) })], () => null, 2_000));
    expect(toldPolls(table, SCOPE)?.lagMs).toBe(2);
  });

  it('is written again and again, and what dead processes left goes after a day', async () => {
    const clock = new VirtualClock();
    const table = new MemoryTable(REPORT_KIND);
    await table.update('dead', () => reportOf([], () => null, clock.nowMs() - 24 * 3_600_000));
    const reporter = startPollReporter({
      ...{ table, id: 'p1', polls: () => [polls({})], acceptedAtMs: () => null, clock },
      logger: createLogger('silent'),
    });
    await clock.advance(5_000);
    expect(table.list().map(([key]) => key)).toEqual(['p1']);
    table.failing = new Error('no broker');
    await clock.advance(REPORT_EVERY_MS);
    expect(reporter.health().failuresInARow).toBe(1);
    table.failing = null;
    await clock.advance(REPORT_EVERY_MS);
    expect(reporter.health()).toEqual({ lastAtMs: clock.nowMs(), failuresInARow: 0 });
    await reporter.close();
  });
});

describe('poll_lag in a process that does not poll', () => {
  const connection: ConnectionWithTokens = {
    ...SCOPE,
    ...{ resellerId: null, workspaceId: null, name: 'prod', subdomain: 'acme', orgId: null, apiBaseUrl: null },
    ...{ hasApiKey: true, startedAtMs: 0, webhookId: null, previousWebhookId: null, settings: CONNECTION_SETTINGS },
    ...{ apiKey: null, webhookTokens: [] },
  };
  const NOW = 10_000_000;
  const lagOf = async (lagMs: number | null, ageMs: number, failing: readonly string[] = []) => {
    const told = { toldAtMs: NOW - ageMs, sensedAtMs: null, lagMs, failing };
    const checks = await checkContract({
      ...{ connection, client: null, webhookUrl: null, polls: undefined, told: undefined, nowMs: NOW },
      toldPolls: told,
      signal: new AbortController().signal,
    });
    return checks.find(({ name }) => name === 'poll_lag');
  };

  it('is what was told, and how long ago', async () => {
    const found = await lagOf(45_000, 12_000);
    expect(found).toMatchObject({ ok: true, code: 'ok', message: '45s behind at most, as told 12s ago; every 60s' });
    expect(await lagOf(3_600_000, 0)).toMatchObject({ ok: false, code: 'late' });
    expect(await lagOf(1_000, 0, ['messages'])).toMatchObject({ ok: false, code: 'failing' });
    expect(await lagOf(null, 0)).toMatchObject({ ok: null, code: 'not_begun' });
  });

  it('P1: is bad once nobody has told anything for long, however well it was', async () => {
    expect(await lagOf(1_000, REPORT_STALE_MS + 1)).toMatchObject({ ok: false, code: 'silent' });
  });
});
