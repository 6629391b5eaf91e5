import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openControl } from '../../../../src/app/control/open.ts';
import type { ConnectionStore } from '../../../../src/app/control/store.ts';
import { type BackfillOrders, openBackfillOrders } from '../../../../src/app/poll/backfill-orders.ts';
import { loadSettings } from '../../../../src/app/settings.ts';
import { createLogger } from '../../../../src/app/telemetry.ts';
import { reconcileTopics, topicSettings } from '../../../../src/app/topic-settings.ts';
import { Secret } from '../../../../src/base/secret.ts';
import { CONNECTION_SETTINGS } from '../../../../src/fibric/connection.ts';
import { type BackfillState, firstBackfillState } from '../../../../src/ingest/poll/backfill-plan.ts';
import { backfillName, cursorKey, encodeBackfill } from '../../../../src/ingest/poll/cursor-record.ts';
import { startWalk } from '../../../../src/ingest/poll/walk.ts';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { type CommandRun, runCommand } from '../../../support/cli.ts';

const NOW_MS = Date.UTC(2026, 0, 31);
const SINCE_MS = Date.UTC(2026, 0, 1);
const SCOPE = { tenantId: 't_a', connectionId: 'cn_a' };
const ENV = { CN_MASTER_KEY: randomBytes(32).toString('hex') };

let log: MemoryLog;
let store: ConnectionStore;
let orders: BackfillOrders;

beforeEach(async () => {
  log = createMemoryLog();
  const settings = loadSettings(ENV);
  const logger = createLogger('silent');
  await reconcileTopics(log, topicSettings(settings), []);
  store = await openControl({ log: log.connect(), settings, logger });
  orders = await openBackfillOrders({ log: log.connect(), topic: 'fibric.control', logger });
  await connect(SINCE_MS);
});

afterEach(async () => {
  await orders.close();
  await store.close();
  await log.close();
});

const run = (words: string): Promise<CommandRun> =>
  runCommand(['backfill', ...words.split(' ')], { openLog: () => log.connect(), env: ENV });

async function connect(backfillSinceMs: number | null): Promise<void> {
  const connection = {
    ...{ ...SCOPE, resellerId: null, workspaceId: null, name: 'a', subdomain: 'a', orgId: null, apiBaseUrl: null },
    ...{ hasApiKey: true, startedAtMs: NOW_MS, webhookId: null, previousWebhookId: null },
    settings: { ...CONNECTION_SETTINGS, backfillSinceMs },
  };
  const isNew = store.get(SCOPE.connectionId) === undefined;
  await store.add({ connection, ...(isNew && { token: new Secret('t') }), apiKey: new Secret('key'), dropOld: false });
}

/** What was written before has reached `orders`. */
const followed = () => orders.give({ tenantId: 't_a', connectionId: 'cn_other' }, { paused: false, restartId: null });

/** As its owner commits it. */
async function commit(stream: string, state: Partial<BackfillState>): Promise<void> {
  const producer = await log.transactional({ transactionalId: 'owner', transactionTimeoutMs: 10_000 });
  const value = encodeBackfill({
    state: { ...firstBackfillState(NOW_MS, NOW_MS), ...state },
    seen: { first: 0, next: 0 },
  });
  const key = Buffer.from(cursorKey(SCOPE, backfillName(stream)));
  await producer.commit({ appends: [{ topic: 'kustomer.cursors', partition: 3, key, value }] });
  await producer.close();
}

const part = (readUpToMs: number) => ({
  ...{ fromMs: SINCE_MS, toMs: NOW_MS, phase: 'standard' as const, archiveToMs: null },
  walk: { ...startWalk(SINCE_MS, NOW_MS), place: { kind: 'range' as const, fromMs: readUpToMs, page: 1 } },
});

async function status(): Promise<readonly Record<string, unknown>[]> {
  const { code, out } = await run('status --json');
  expect(code).toBe(0);
  return out.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('backfill status', () => {
  test('shows how far each stream is, what is left and how long it takes', async () => {
    const readUpToMs = Date.UTC(2026, 0, 10);
    await commit('conversations', {
      ...{ status: 'running', part: part(readUpToMs), rowsDone: 1000, rowsLeft: 3000, rowsPerSecond: 10 },
    });
    await commit('messages', { status: 'done', coveredFromMs: SINCE_MS, rowsDone: 7, rowsLeft: 0 });
    expect(await status()).toMatchObject([
      {
        ...{ connection: 'cn_a', stream: 'conversations', status: 'running', ordered: null },
        ...{ since: '2026-01-01T00:00:00.000Z', read_up_to: '2026-01-10T00:00:00.000Z', rows_done: 1000 },
        ...{ rows_left: 3000, rows_total: 4000, rows_per_second: 10, eta_seconds: 300 },
      },
      { stream: 'messages', status: 'done', rows_total: 7, covered_from: '2026-01-01T00:00:00.000Z' },
      { stream: 'customers', status: 'waiting', rows_done: 0, rows_total: null },
    ]);
    const { out } = await run('status');
    expect(out[0]).toMatch(/^CONNECTION +STREAM +STATUS/);
    expect(out[1]).toMatch(/^cn_a +conversations +running +- .* 1000 +4000 +10 +5m$/);
  });

  test('says so when nobody asks for history', async () => {
    await connect(null);
    const { code, out, notes } = await run('status');
    expect({ code, out }).toEqual({ code: 0, out: [] });
    expect(notes).toEqual(['no connection asks for its history']);
  });

  test('shows a cursor of another version as what it is', async () => {
    const producer = await log.producer({ clientId: 'newer' });
    const key = Buffer.from(cursorKey(SCOPE, backfillName('customers')));
    await producer.append([{ topic: 'kustomer.cursors', partition: 0, key, value: Buffer.from('{"version":9}') }]);
    await producer.close();
    expect((await status()).find(({ stream }) => stream === 'customers')).toMatchObject({ status: 'unreadable' });
  });
});

describe('backfill pause, resume, restart', () => {
  test('leave an order for whoever owns the connection, and status shows what is not taken up yet', async () => {
    await commit('conversations', { status: 'running', part: part(SINCE_MS) });
    const heard: unknown[] = [];
    orders.onChange((scope) => heard.push(scope));
    expect(await run('pause cn_a')).toMatchObject({ code: 0, out: ['paused the backfill of cn_a'] });
    await followed();
    expect(orders.get(SCOPE)).toEqual({ paused: true, restartId: null });
    expect(heard[0]).toEqual(SCOPE);
    expect((await status())[0]).toMatchObject({ status: 'running', ordered: 'pause' });

    await commit('conversations', { status: 'paused', part: part(SINCE_MS) });
    expect((await status())[0]).toMatchObject({ status: 'paused', ordered: null });
    expect(await run('resume cn_a')).toMatchObject({ code: 0 });
    await followed();
    expect(orders.get(SCOPE)).toEqual({ paused: false, restartId: null });
    expect((await status())[0]).toMatchObject({ status: 'paused', ordered: 'resume' });

    expect(await run('restart cn_a')).toMatchObject({ code: 0, out: ['restarted the backfill of cn_a'] });
    await followed();
    const { restartId } = orders.get(SCOPE);
    expect(restartId).toMatch(/^[0-9a-f-]{36}$/);
    await run('pause cn_a');
    await followed();
    expect(orders.get(SCOPE)).toEqual({ paused: true, restartId });
    await run('restart cn_a');
    await followed();
    expect(orders.get(SCOPE).restartId).not.toBe(restartId);
    expect(orders.get(SCOPE).paused).toBe(false);
  });

  test('are refused for a connection that is unknown or asks for no history; nothing is ordered then', async () => {
    const unknown = await run('pause cn_b');
    expect(unknown).toMatchObject({ code: 1, out: [] });
    expect(unknown.notes.join()).toContain('connection_unknown');
    await connect(null);
    const idle = await run('pause cn_a');
    expect(idle).toMatchObject({ code: 2, out: [] });
    expect(idle.notes.join()).toContain('backfill_since');
    await followed();
    expect(orders.get(SCOPE)).toEqual({ paused: false, restartId: null });
  });

  test('an order that cannot be read changes nothing', async () => {
    await run('pause cn_a');
    const producer = await log.producer({ clientId: 'newer' });
    const key = Buffer.from('backfill/t_a/cn_a');
    await producer.append([{ topic: 'fibric.control', partition: 0, key, value: Buffer.from('{"version":9}') }]);
    await producer.close();
    await followed();
    expect(orders.get(SCOPE)).toEqual({ paused: true, restartId: null });
    expect(store.list()).toHaveLength(1);
  });
});
