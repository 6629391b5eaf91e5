/** What may be typed after `cn-kustomer simulate`, and what becomes of it. */
import { describe, expect, it } from 'vitest';
import { type SimulateFlags, simulatorOptions } from '../../../../src/app/cli/simulate-options.ts';
import { createSimulator } from '../../../../src/simulator/server.ts';

const DEFAULTS: SimulateFlags = {
  port: '0',
  orgs: ['acme'],
  seed: '1',
  conversations: '100',
  history: '30d',
  orders: '0',
  klasses: ['order'],
  timeScale: '1',
};

const options = (flags: Partial<SimulateFlags>) => simulatorOptions({ ...DEFAULTS, ...flags });

describe('the options of simulate', () => {
  it('make an organisation as asked for', () => {
    const { orgs, ...simulator } = options({
      orgs: ['acme', 'globex'],
      sla: ['firstResponse=15m', 'nextReply=5h,4h,3h,2h,1h'],
      limits: '{"greedyPerMinute":200}',
      search: '{"maxPages":5}',
      roles: ['org.user.search.read'],
      masked: ['emails'],
      behaviour: '{"slaBreachEmits":true}',
      requestFaults: '[{"kind":"status","status":429,"retryAfterS":5}]',
      faults: '{"drop":0.3}',
      timeScale: '3840',
    });
    expect(orgs.map(({ name, apiKey }) => [name, apiKey])).toEqual([
      ['acme', 'key-acme'],
      ['globex', 'key-globex'],
    ]);
    const hourMs = 3_600_000;
    expect(orgs[1]).toMatchObject({
      conversations: 100,
      historyMs: 30 * 24 * hourMs,
      sla: { targetsMs: { firstResponse: hourMs / 4, nextReply: [5, 4, 3, 2, 1].map((hours) => hours * hourMs) } },
      limits: { orgPerMinute: 1000, greedyPerMinute: 200 },
      search: { maxPages: 5, maxPageSize: 500 },
      access: { roles: ['org.user.search.read'], masked: ['emails'] },
      behaviour: { slaBreachEmits: true },
    });
    expect(simulator).toMatchObject({
      timeScale: 3840,
      faults: { drop: 0.3, duplicate: 0 },
      requestFaults: [{ kind: 'status', status: 429, retryAfterS: 5 }],
    });
  });

  it.each<[Partial<SimulateFlags>, RegExp]>([
    [{ limits: '{' }, /^--limits: not JSON; for example \{"orgPerMinute"/],
    [{ limits: '{"orgPerMinutes":1}' }, /^--limits: .*orgPerMinutes/],
    [{ search: '{"lagMs":{"min":5,"max":1}}' }, /^--search: .*min must not exceed max/],
    [{ behaviour: '[]' }, /^--behaviour: /],
    [{ faults: '{"drop":2}' }, /^--faults: /],
    [{ requestFaults: '{"kind":"reset"}' }, /^--request-faults: .*array/],
    [{ roles: ['everything'] }, /^--roles, --masked: /],
    [{ masked: ['names'] }, /^--roles, --masked: /],
    [{ sla: ['reply=5m'] }, /^--sla: "reply=5m" does not begin with one of firstResponse, nextReply/],
    [{ sla: ['firstResponse'] }, /^--sla firstResponse: "" is no time span/],
    [{ sla: ['firstResponse=1m,2m'] }, /^--sla firstResponse: one span, or five/],
    [{ history: '30' }, /^--history: "30" is no time span/],
    [{ orders: 'many' }, /^--orders: "many" is not a whole number/],
    [{ orders: '3', klasses: ['return'] }, /^--orders: there is no klass order/],
    [{ klasses: ['Order!'] }, /^--klasses: "Order!" is no name/],
    [{ timeScale: '0' }, /^--time-scale: "0" is not a whole number from 1/],
  ])('refuse %o', (flags, message) => {
    expect(() => options(flags)).toThrow(message);
  });
});

describe('the first conversations', () => {
  it('have a time each, also by default, and their customers the orders', () => {
    const nowMs = Date.UTC(2026, 2, 25);
    const made = [
      options({ conversations: '50', orders: '20' }).orgs[0],
      { name: 'b', apiKey: 'b', conversations: 50 },
    ];
    for (const org of made) {
      if (org === undefined) throw new Error('no organisation');
      const simulator = createSimulator({ orgs: [org], nowMs: () => nowMs });
      const { organisation } = simulator.orgs[0] as (typeof simulator.orgs)[number];
      const times = [...organisation.conversations.values()].map(({ updatedAtMs }) => updatedAtMs);
      expect(new Set(times).size).toBe(50);
      expect(Math.max(...times)).toBeLessThan(nowMs);
      const orders = [...organisation.kobjects.values()];
      expect(orders).toHaveLength(org.name === 'b' ? 0 : 20);
      expect(new Set(orders.map(({ attributes }) => attributes['title'])).size).toBe(orders.length);
      for (const order of orders) {
        expect(organisation.customers.get(order.relationships['customer']?.data?.id ?? '')).toBeDefined();
      }
    }
  });
});
