import { describe, expect, it } from 'vitest';
import { CodedError } from '../../../../src/base/errors.ts';
import type { ConnectionWithTokens } from '../../../../src/fibric/connection.ts';
import type { OrdersAnswer } from '../../../../src/ingest/enrich/body.ts';
import { fetchOrders } from '../../../../src/ingest/enrich/fetcher.ts';
import { EnrichMemory } from '../../../../src/ingest/enrich/memory.ts';
import { ENRICH_SETTINGS, type Wish } from '../../../../src/ingest/enrich/plan.ts';
import { VirtualClock } from '../../../../src/kafka/memory/index.ts';
import {
  type Answer,
  connection,
  type FakeKustomer as Fake,
  FakeKustomer,
  fail,
  order,
  page,
} from './fake-kustomer.ts';

function setup(answer?: Fake['answer'], connections: readonly ConnectionWithTokens[] = [connection()]) {
  const clock = new VirtualClock();
  const kustomer = new FakeKustomer(clock, answer);
  const told: string[] = [];
  const stop = new AbortController();
  const memory = new EnrichMemory();
  const deps = {
    connections: { get: (id: string) => connections.find(({ connectionId }) => connectionId === id) },
    clients: { of: () => kustomer },
    memory,
    settings: ENRICH_SETTINGS,
    clock,
    random: () => 0.5,
    signal: stop.signal,
    observer: {
      read: () => undefined,
      refused: ({ connectionId, state }: { connectionId: string; state: string }) =>
        void told.push(`${connectionId} ${state}`),
      allowed: (connectionId: string) => void told.push(`${connectionId} allowed`),
    },
  };
  const wish = (customerId: string, more: Partial<Wish> = {}): Wish => ({
    tenantId: 't_acme',
    connectionId: 'cn_acme',
    customerId,
    lane: 'poll',
    askedAtMs: clock.nowMs(),
    ...more,
  });
  const fetch = async (wishes: readonly Wish[]): Promise<{ answers: readonly OrdersAnswer[]; tookMs: number }> => {
    const startedAtMs = clock.nowMs();
    const answers = await clock.run(fetchOrders(deps, wishes));
    return { answers, tookMs: clock.nowMs() - startedAtMs };
  };
  return { clock, kustomer, told, stop, deps, wish, fetch };
}

const states = (answers: readonly OrdersAnswer[]) => answers.map(({ state }) => state);

describe('fetching orders', () => {
  it('reads each customer once, side by side within bounds, and answers each wish', async () => {
    const { fetch, wish, kustomer } = setup((id) => page([order(`order of ${id}`, '2026-01-01T00:00:00.000Z')]));
    const customers = Array.from({ length: 40 }, (_, n) => `u${n % 20}`);
    const { answers, tookMs } = await fetch(customers.map((id) => wish(id)));
    expect(answers.map(({ orders }) => (orders as readonly { id: string }[])[0]?.id)).toEqual(
      customers.map((id) => `order of ${id}`),
    );
    expect(kustomer.calls.length).toBe(20);
    expect(kustomer.mostOpen).toBe(ENRICH_SETTINGS.concurrency);
    expect(tookMs).toBe(300);
    expect(kustomer.calls[0]).toMatchObject({
      path: ['customers', 'u0', 'klasses', 'order'],
      lane: 'poll',
      waitMs: ENRICH_SETTINGS.maxWaitMs,
    });
  });

  it('reads the first and the last pages of many', async () => {
    const { fetch, wish, kustomer } = setup((_id, { query }) =>
      page([order(`p${query?.['page']}`, `2026-01-0${query?.['page']}T00:00:00.000Z`)], 9, null),
    );
    const { answers } = await fetch([wish('u1')]);
    expect(kustomer.calls.map(({ query }) => query?.['page'])).toEqual([1, 7, 8, 9]);
    expect(answers).toMatchObject([
      { state: 'truncated', orders: [{ id: 'p9' }, { id: 'p8' }, { id: 'p7' }, { id: 'p1' }] },
    ]);
  });

  it('tries again while there is time', async () => {
    let left = 3;
    const { fetch, wish, kustomer } = setup((): Answer => (left-- > 0 ? fail('retry') : page([])));
    expect(states((await fetch([wish('u1')])).answers)).toEqual(['complete']);
    expect(kustomer.calls.length).toBe(4);
  });

  it.each([
    ['does not answer', (): Answer => fail('retry'), 'unavailable'],
    ['says 429', (): Answer => fail('wait'), 'skipped'],
    ['is not reached for want of budget', (): Answer => 'never', 'skipped'],
  ] as const)(
    'E2 E3: goes on without orders when Kustomer %s, and spends little on it from then on',
    async (_name, answer, state) => {
      const { fetch, wish, clock } = setup(answer);
      const first = await fetch([wish('u1'), wish('u2')]);
      expect(states(first.answers)).toEqual([state, state]);
      expect(first.tookMs).toBe(ENRICH_SETTINGS.maxWaitMs);
      const second = await fetch([wish('u1'), wish('u3', { askedAtMs: clock.nowMs() - 60_000 })]);
      expect(states(second.answers)).toEqual([state, 'skipped']);
      expect(second.tookMs).toBe(ENRICH_SETTINGS.graceMs);
      expect(clock.pendingTimers).toBe(0);
    },
  );

  it('E4: a key that may not is asked again after ten minutes, and told of once', async () => {
    let allowed = false;
    const { fetch, wish, kustomer, told, clock } = setup(() =>
      allowed ? page([]) : fail('permission', { status: 403 }),
    );
    const many = Array.from({ length: 30 }, (_, n) => wish(`u${n}`));
    expect(new Set(states((await fetch(many)).answers))).toEqual(new Set(['forbidden']));
    expect(kustomer.calls.length).toBe(ENRICH_SETTINGS.concurrency);
    expect((await fetch([wish('u1')])).tookMs).toBe(0);
    await clock.advance(ENRICH_SETTINGS.refusedMs);
    expect(states((await fetch([wish('u1')])).answers)).toEqual(['forbidden']);
    expect(told).toEqual(['cn_acme forbidden']);
    allowed = true;
    await clock.advance(ENRICH_SETTINGS.refusedMs);
    expect(states((await fetch([wish('u1')])).answers)).toEqual(['complete']);
    expect(told).toEqual(['cn_acme forbidden', 'cn_acme allowed']);
  });

  it('never asks for a connection that is unknown, of another tenant, without key or without klass', async () => {
    const { settings } = connection();
    const { fetch, wish, kustomer } = setup(undefined, [
      connection('cn_other', { tenantId: 't_other' }),
      connection('cn_keyless', { apiKey: null }),
      connection('cn_orderless', { settings: { ...settings, orderKlass: null } }),
    ]);
    const ids = ['cn_unknown', 'cn_other', 'cn_keyless', 'cn_orderless'];
    const { answers, tookMs } = await fetch(ids.map((connectionId) => wish('u1', { connectionId })));
    expect(states(answers)).toEqual(['unavailable', 'unavailable', 'skipped', 'skipped']);
    expect([kustomer.calls.length, tookMs]).toEqual([0, 0]);
  });

  it('goes on without orders for a connection no client can be made for, and hides no other error', async () => {
    const { deps, wish, clock } = setup();
    const throwing = (error: Error) => ({
      ...deps,
      clients: {
        of: () => {
          throw error;
        },
      },
    });
    const unusable = throwing(new CodedError('config_invalid', 'the address is malformed'));
    expect(states(await clock.run(fetchOrders(unusable, [wish('u1')])))).toEqual(['unavailable']);
    await expect(clock.run(fetchOrders(throwing(new TypeError('a bug')), [wish('u1')]))).rejects.toThrow('a bug');
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends at once when everything ends', async () => {
    const { fetch, wish, stop, clock } = setup(() => 'never');
    const fetching = fetch([wish('u1')]);
    stop.abort();
    expect((await fetching).tookMs).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});
