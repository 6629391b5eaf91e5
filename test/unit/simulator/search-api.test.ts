import { describe, expect, it } from 'vitest';
import { START_MS, simulated } from './simulated.ts';

const SEARCH = '/v1/customers/search';
const asc = (more: object = {}): object => ({
  and: [{ conversation_updated_at: { gte: '2026-01-01T00:00:00.000Z' } }],
  sort: [{ conversation_updated_at: 'asc' }],
  queryContext: 'conversation',
  ...more,
});

describe('search', () => {
  it('pages as the vendor does, with relative links', async () => {
    const { api } = await simulated({ conversations: 5 });
    const { status, body } = await api('POST', `${SEARCH}?page=2&pageSize=2`, asc());
    expect(status).toBe(200);
    expect(body.meta).toEqual({ pageSize: 2, page: 2, total: 5, totalPages: 3, aggregations: {} });
    expect(body.data).toHaveLength(2);
    expect(body.data[0]).toMatchObject({ type: 'conversation', attributes: { rev: 1, status: 'open' } });
    expect(body.links).toEqual({
      self: `${SEARCH}?page=2&pageSize=2`,
      first: `${SEARCH}?page=1&pageSize=2`,
      prev: `${SEARCH}?page=1&pageSize=2`,
      next: `${SEARCH}?page=3&pageSize=2`,
      last: `${SEARCH}?page=3&pageSize=2`,
    });
    expect((await api('POST', `${SEARCH}?pageSize=9999`, asc())).body.meta.pageSize).toBe(500);
    expect((await api('POST', SEARCH, asc())).body.meta.pageSize).toBe(100);
  });

  it('stops at page 100', async () => {
    const { api } = await simulated({ conversations: 102 });
    const last = (await api('POST', `${SEARCH}?page=100&pageSize=1`, asc())).body;
    expect(last.data).toHaveLength(1);
    expect(last.meta.total).toBe(102);
    expect(last.links.next).toBeNull();
    expect((await api('POST', `${SEARCH}?page=101&pageSize=1`, asc())).status).toBe(400);
  });

  it('finds each kind of object by its own fields', async () => {
    const { api } = await simulated({ conversations: 2 });
    const [first] = (await api('GET', '/v1/conversations')).body.data;
    const customer = first.relationships.customer.data.id;
    const message = { channel: 'voice', app: 'fibric', direction: 'in', externalId: 'call-1' };
    await api('POST', `/v1/conversations/${first.id}/messages`, message);
    await api('POST', `/v1/conversations/${first.id}/notes`, { body: 'Hello', externalId: 'n-1' });
    await api('POST', '/v1/klasses/order', { title: 'Order 1', customer, custom: { totalNum: 7 } });
    const total = async (queryContext: string, criterion: object): Promise<number> =>
      (await api('POST', SEARCH, { queryContext, and: [criterion] })).body.meta.total;
    expect(await total('message', { message_external_id: { equals: 'call-1' } })).toBe(1);
    expect(await total('message', { message_external_id: { equals: 'call-2' } })).toBe(0);
    expect(await total('note', { note_conversation_id: { equals: first.id } })).toBe(1);
    expect(await total('note', { note_external_id: { in: ['n-1', 'n-2'] } })).toBe(1);
    expect(await total('kobject_order', { kobject_custom_order_totalNum: { gte: 7 } })).toBe(1);
    expect(await total('kobject_order', { kobject_custom_order_totalNum: { gt: 7 } })).toBe(0);
    expect(await total('kobject_return', { kobject_updated_at: { gte: '2026-01-01' } })).toBe(0);
    expect(await total('customer', { customer_conversations_count: { gte: 1 } })).toBe(2);
    expect(await total('conversation', { conversation_note_count: { equals: 1 } })).toBe(1);
    expect(await total('conversation', { conversation_last_done_created_at: { not_set: true } })).toBe(2);
    expect(await total('conversation', { conversation_status: { equals: 'done' } })).toBe(0);
    const mixed = {
      queryContext: 'conversation',
      or: [{ conversation_note_count: { equals: 1 } }, { conversation_note_count: { equals: 0 } }],
      not: { conversation_message_count: { gte: 1 } },
    };
    expect((await api('POST', SEARCH, mixed)).body.meta.total).toBe(1);
  });

  it('refuses what the vendor refuses', async () => {
    const { api } = await simulated();
    const many = Array.from({ length: 21 }, (_, at) => ({ conversation_priority: { equals: at } }));
    const refusals: [unknown, string?][] = [
      [asc({ colour: 'red' }), 'colour'],
      [asc({ queryContext: 'conversations' }), 'queryContext'],
      [asc({ and: many }), 'and'],
      [asc({ and: [{ conversation_colour: { equals: 'red' } }] }), 'conversation_colour'],
      [asc({ and: [{ message_updated_at: { gte: '2026-01-01' } }] }), 'message_updated_at'],
      [asc({ and: [{ conversation_updated_at: { after: '2026-01-01' } }] }), 'conversation_updated_at.after'],
      [asc({ and: [{ conversation_updated_at: { gte: 'yesterday' } }] }), 'conversation_updated_at'],
      [asc({ and: [{ conversation_updated_at: { gte: '2026-01-01T00:00:00+01:00' } }] }), 'conversation_updated_at'],
      [asc({ and: [{ conversation_sla_breached: { equals: 'true' } }] }), 'conversation_sla_breached'],
      [asc({ sort: [{ conversation_updated_at: 'up' }] }), 'sort.conversation_updated_at'],
      [asc({ sort: Array.from({ length: 6 }, (_, at) => ({ [`x${at}`]: 'asc' })) }), 'sort'],
      [asc({ fields: Array.from({ length: 21 }, () => ({})) }), 'fields'],
      ['{"and":', 'body'],
    ];
    for (const [body, parameter] of refusals) {
      const answer = await api('POST', SEARCH, body);
      expect({ body, status: answer.status }).toEqual({ body, status: 400 });
      expect(answer.body.errors[0]).toMatchObject({ status: 400, code: 'badparam', source: { parameter } });
    }
  });

  it('sorts by conversations only where the simulator is told that the vendor does', async () => {
    const { api } = await simulated({ search: { sorting: 'refused' } });
    expect((await api('POST', SEARCH, asc())).status).toBe(400);
    const customers = { queryContext: 'customer', sort: { customer_updated_at: 'desc' } };
    expect((await api('POST', SEARCH, customers)).status).toBe(200);
  });

  it('lags behind the objects', async () => {
    const { api, clock } = await simulated({ search: { lagMs: { min: 5000, max: 5000 } } });
    const total = async (): Promise<number> => (await api('POST', SEARCH, asc())).body.meta.total;
    expect(await total()).toBe(0);
    clock.nowMs += 4999;
    expect(await total()).toBe(0);
    clock.nowMs += 1;
    expect(await total()).toBe(3);
  });

  it('finds what is older than two years in the archive only, by fewer fields', async () => {
    const years = 3 * 365 * 86_400_000;
    const { api } = await simulated({ conversations: 30, historyMs: years });
    const all = { queryContext: 'conversation', sort: [{ conversation_updated_at: 'asc' }] };
    const recent = (await api('POST', SEARCH, all)).body;
    const archived = (await api('POST', '/v1/customers/archive/search', all)).body;
    expect(recent.meta.total).toBe(20);
    expect(archived.meta.total).toBe(10);
    const horizon = new Date(START_MS - 2 * 365 * 86_400_000).toISOString();
    for (const { attributes } of recent.data) expect(attributes.updatedAt >= horizon).toBe(true);
    for (const { attributes } of archived.data) expect(attributes.updatedAt < horizon).toBe(true);
    const byStatus = { ...all, and: [{ conversation_status: { equals: 'open' } }] };
    expect((await api('POST', '/v1/customers/archive/search', byStatus)).status).toBe(400);
  });
});
