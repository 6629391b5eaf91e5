import { describe, expect, it } from 'vitest';
import { MINUTE_MS, START_MS, simulated } from './simulated.ts';

const SEARCH = { queryContext: 'customer' };

describe('rate limits', () => {
  it('are told on every answer and refuse beyond the budget until the window is over', async () => {
    const { api, clock, org } = await simulated({ limits: { orgPerMinute: 3 } });
    const told = (headers: Headers) =>
      ['limit', 'remaining', 'reset'].map((name) => Number(headers.get(`x-ratelimit-${name}`)));
    const reset = (START_MS + MINUTE_MS) / 1000;
    expect(told((await api('GET', '/v1/users/current')).headers)).toEqual([3, 2, reset]);
    expect(told((await api('GET', '/v1/conversations/nope')).headers)).toEqual([3, 1, reset]);
    expect(told((await api('POST', '/v1/customers', '{')).headers)).toEqual([3, 0, reset]);
    const refused = await api('POST', '/v1/customers', { name: 'x' });
    expect(refused.status).toBe(429);
    expect(told(refused.headers)).toEqual([3, 0, reset]);
    expect(refused.headers.get('retry-after')).toBeNull();
    expect(refused.body.errors[0]).toMatchObject({ status: 429 });
    expect(org.organisation.customers.size).toBeLessThanOrEqual(3);
    clock.nowMs += MINUTE_MS;
    expect(told((await api('GET', '/v1/users/current')).headers)).toEqual([3, 2, reset + 60]);
  });

  it('say when to come back in seconds or as a date, when told to', async () => {
    const { api, clock } = await simulated({ limits: { orgPerMinute: 0, retryAfter: 'seconds' } });
    clock.nowMs += 500;
    expect((await api('GET', '/v1/users/current')).headers.get('retry-after')).toBe('60');
    await api('POST', '/_simulator/settings', { org: 'acme', limits: { orgPerMinute: 0, retryAfter: 'date' } });
    const date = (await api('GET', '/v1/users/current')).headers.get('retry-after') as string;
    expect(Date.parse(date)).toBe(START_MS + MINUTE_MS);
  });

  it('tell the reset only once exceeded, when told to', async () => {
    const { api } = await simulated({ limits: { orgPerMinute: 1, resetHeader: 'exceeded' } });
    expect((await api('GET', '/v1/users/current')).headers.get('x-ratelimit-reset')).toBeNull();
    expect((await api('GET', '/v1/users/current')).headers.get('x-ratelimit-reset')).not.toBeNull();
  });

  it('hold searches to a budget of their own, which refused ones do not touch', async () => {
    const { api, org } = await simulated({ limits: { orgPerMinute: 10, searchPerMinute: 2 } });
    const statuses: number[] = [];
    for (let n = 0; n < 4; n += 1) statuses.push((await api('POST', '/v1/customers/search', SEARCH)).status);
    expect(statuses).toEqual([200, 200, 429, 429]);
    const other = await api('GET', '/v1/users/current');
    expect(other.status).toBe(200);
    expect(other.headers.get('x-ratelimit-remaining')).toBe('7');
    expect(org.limits.taken(START_MS)).toEqual({ org: { ours: 3, others: 0 }, search: { ours: 2, others: 0 } });
  });

  it('are shared with others, so that what remains falls without us', async () => {
    const { api, clock } = await simulated({
      limits: { orgPerMinute: 100, greedyPerMinute: 120, greedySearchesPerMinute: 60 },
    });
    const remaining = async () => Number((await api('GET', '/v1/users/current')).headers.get('x-ratelimit-remaining'));
    expect(await remaining()).toBe(99);
    clock.nowMs += 10_000;
    expect(await remaining()).toBe(68);
    clock.nowMs += 40_000;
    expect((await api('GET', '/v1/users/current')).status).toBe(429);
  });

  it('count creates per customer and minute, imports aside', async () => {
    const { api, clock } = await simulated({ limits: { createsPerCustomerMinute: 2 }, conversations: 1 });
    const [conversation] = (await api('GET', '/v1/conversations')).body.data;
    const note = () => api('POST', `/v1/conversations/${conversation.id}/notes`, { body: 'x' });
    const customer = conversation.relationships.customer.data.id;
    expect((await note()).status).toBe(201);
    expect((await api('POST', '/v1/klasses/order', { title: 'x', customer })).status).toBe(201);
    expect((await note()).status).toBe(429);
    expect((await api('POST', '/v1/conversations', { customer })).status).toBe(429);
    const imported = { title: 'x', customer, importedAt: '2020-01-01T00:00:00.000Z' };
    expect((await api('POST', '/v1/klasses/order', imported)).status).toBe(201);
    expect((await api('GET', `/v1/conversations/${conversation.id}/notes`)).body.meta.total).toBe(1);
    clock.nowMs += MINUTE_MS;
    expect((await note()).status).toBe(201);
  });

  it('count writes to one object, when told to', async () => {
    const { api } = await simulated({ limits: { writesPerObjectMinute: 1 } });
    const [first, second] = (await api('GET', '/v1/conversations')).body.data;
    const write = async (id: string, priority: number) =>
      (await api('PATCH', `/v1/conversations/${id}`, { priority })).status;
    expect([await write(first.id, 1), await write(first.id, 2), await write(second.id, 1)]).toEqual([200, 429, 200]);
  });
});
