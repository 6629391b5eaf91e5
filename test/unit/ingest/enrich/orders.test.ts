import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { enrichedBody, type OrdersAnswer } from '../../../../src/ingest/enrich/body.ts';
import { MAX_ORDERS, newestOrders, pagesAfterFirst, reactionTo } from '../../../../src/ingest/enrich/orders.ts';
import type { Failure, FailureKind } from '../../../../src/kustomer/client/outcome.ts';
import { parseEvent } from '../../../../src/kustomer/parse.ts';
import { fail, order } from './fake-kustomer.ts';

const at = (n: number): string => new Date(Date.UTC(2026, 0, 1) + n * 60_000).toISOString();

describe('the pages read', () => {
  it('are few, none twice, and the last one is among them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), (totalPages) => {
        const pages = pagesAfterFirst({ totalPages, next: null });
        expect(pages.length).toBe(Math.min(totalPages - 1, 3));
        expect(new Set([1, ...pages]).size).toBe(pages.length + 1);
        if (totalPages > 1) expect(pages.at(-1)).toBe(totalPages);
      }),
    );
  });

  it('are followed by the link where Kustomer does not count them', () => {
    expect(pagesAfterFirst({ totalPages: null, next: null })).toEqual([]);
    expect(pagesAfterFirst({ totalPages: null, next: '/v1/x?page=2' })).toEqual([2]);
  });
});

describe('the orders kept', () => {
  it('are the newest, once each, without the deleted', () => {
    const items = [order('a', at(1)), order('b', at(3)), order('a', at(1)), order('c', at(2), { deleted: true })];
    const { state, orders } = newestOrders(items, true);
    expect(orders.map(({ id }) => id)).toEqual(['b', 'a']);
    expect(state).toBe('complete');
    expect(newestOrders(items, false).state).toBe('truncated');
  });

  it('are bounded in number and bytes, and say so', () => {
    const many = Array.from({ length: 3 * MAX_ORDERS }, (_, n) => order(`o${n}`, at(n)));
    expect(newestOrders(many, true)).toMatchObject({ state: 'truncated', orders: many.slice(-MAX_ORDERS).reverse() });
    const large = Array.from({ length: 5 }, (_, n) => order(`o${n}`, at(n), { description: 'x'.repeat(50_000) }));
    const kept = newestOrders(large, true);
    expect(kept.state).toBe('truncated');
    expect(kept.orders.map(({ id }) => id)).toEqual(['o4', 'o3']);
  });
});

describe('a failure', () => {
  it.each<[FailureKind, object, ReturnType<typeof reactionTo>['next'], string]>([
    ['permission', { status: 403 }, 'remember', 'forbidden'],
    ['config', { status: 400 }, 'remember', 'unavailable'],
    [
      'refuse',
      { status: 404, errors: [{ code: 'notfound', message: '', parameter: 'name' }] },
      'remember',
      'unavailable',
    ],
    ['refuse', { status: 404 }, 'give_up', 'unavailable'],
    ['refuse', { status: 400, errors: [{ code: 'bad', message: '', parameter: 'name' }] }, 'give_up', 'unavailable'],
    ['not_sent', { code: 'budget_exhausted' }, 'give_up', 'skipped'],
    ['not_sent', {}, 'again', 'unavailable'],
    ['retry', { status: 502 }, 'again', 'unavailable'],
    ['wait', { status: 429 }, 'again', 'skipped'],
  ])('%s %j: %s, %s', (kind, facts, next, state) => {
    expect(reactionTo(fail(kind, facts) as Failure)).toMatchObject({ next, state });
  });
});

describe('the body', () => {
  const answer: OrdersAnswer = { state: 'complete', orders: [order('o1', at(1))], fetchedAtMs: Date.UTC(2026, 0, 2) };

  it('keeps its bytes and gains one key, whatever it holds', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { minKeys: 1 });
    fc.assert(
      fc.property(object, fc.constantFrom('', ' ', '\n'), (body, tail) => {
        fc.pre(body['enrichment'] === undefined);
        const text = JSON.stringify(body);
        const enriched = String(enrichedBody(Buffer.from(text + tail), answer));
        expect(enriched.startsWith(text.slice(0, -1))).toBe(true);
        expect(JSON.parse(enriched)).toEqual({
          ...(JSON.parse(text) as object),
          enrichment: { fetched_at: '2026-01-02T00:00:00.000Z', orders_state: 'complete', orders: answer.orders },
        });
      }),
    );
  });

  it('is read by the processor', () => {
    const webhook = { name: 'kustomer.customer.update', data: { type: 'customer', id: 'u1', attributes: {} } };
    const parsed = parseEvent(enrichedBody(Buffer.from(JSON.stringify(webhook)), answer));
    expect(parsed).toMatchObject({
      ok: true,
      event: { enrichment: { ordersState: 'complete', orders: answer.orders } },
    });
    const forbidden = { state: 'forbidden', orders: null, fetchedAtMs: null } as const;
    expect(parseEvent(enrichedBody(Buffer.from(JSON.stringify(webhook)), forbidden))).toMatchObject({
      event: { enrichment: { ordersState: 'forbidden', orders: null } },
    });
  });

  it('never grows beyond what the raw topic takes: the orders go first', () => {
    const body = Buffer.from(JSON.stringify({ name: 'kustomer.customer.update', padding: 'x'.repeat(1_999_700) }));
    const enriched = enrichedBody(body, { ...answer, orders: [order('o1', at(1), { description: 'x'.repeat(900) })] });
    expect(enriched.length).toBeLessThan(2_000_000);
    expect(JSON.parse(String(enriched)).enrichment).toMatchObject({ orders_state: 'truncated', orders: [] });
  });

  it('that is no object is left alone', () => {
    expect(String(enrichedBody(Buffer.from('no body'), answer))).toBe('no body');
  });
});
