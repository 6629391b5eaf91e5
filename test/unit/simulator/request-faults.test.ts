import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../src/simulator/model/random.ts';
import {
  type RequestFaultOptions,
  RequestFaults,
  requestFaultsSchema,
} from '../../../src/simulator/requests/faults.ts';
import { KEY, simulated } from './simulated.ts';

function script(...rules: RequestFaultOptions[]): RequestFaults {
  const faults = new RequestFaults(createRandom('faults'));
  faults.configure(requestFaultsSchema.parse(rules));
  return faults;
}

describe('a script of faults', () => {
  it('acts after `skip` matches, at most `count` times, the first rule first (Q1, Q2)', () => {
    const requests = fc.array(fc.constantFrom('GET /v1/a', 'POST /v1/a', 'GET /v1/b'), { maxLength: 40 });
    fc.assert(
      fc.property(requests, fc.nat(4), fc.integer({ min: 1, max: 4 }), (asked, skip, count) => {
        const faults = script(
          { method: 'GET', path: '/v1/a', kind: 'reset', skip, count },
          { path: '/v1/*', kind: 'timeout' },
        );
        let matched = 0;
        for (const request of asked) {
          const [method, path] = request.split(' ') as [string, string];
          if (request === 'GET /v1/a') matched += 1;
          const first = request === 'GET /v1/a' && matched > skip && matched <= skip + count;
          expect(faults.next(method, path)?.kind).toBe(first ? 'reset' : 'timeout');
        }
        faults.configure([]); // Q3
        for (const request of asked) expect(faults.next(...(request.split(' ') as [string, string]))).toBeNull();
      }),
      { numRuns: 200 },
    );
  });

  it('matches one segment with a star and any number with two', () => {
    const matches = (path: string, asked: string) => script({ path, kind: 'reset' }).next('GET', asked) !== null;
    expect(matches('/v1/conversations/*/notes', '/v1/conversations/1/notes')).toBe(true);
    expect(matches('/v1/conversations/*/notes', '/v1/conversations/1/2/notes')).toBe(false);
    expect(matches('/v1/**', '/v1/conversations/1/notes')).toBe(true);
    expect(matches('/v1/customers/email=a.b', '/v1/customers/email=aXb')).toBe(false);
  });

  it('acts with its probability, the same way for the same seed', () => {
    const run = () => {
      const faults = script({ kind: 'reset', probability: 0.3 });
      return Array.from({ length: 1000 }, () => faults.next('GET', '/v1/a') !== null);
    };
    const acted = run().filter(Boolean).length;
    expect(acted).toBeGreaterThan(230);
    expect(acted).toBeLessThan(370);
    expect(run()).toEqual(run());
  });
});

describe('faults of requests', () => {
  const NOTES = '/v1/conversations/*/notes';

  async function withFault(fault: RequestFaultOptions) {
    const there = await simulated({ conversations: 1 }, { requestFaults: [{ path: NOTES, count: 1, ...fault }] });
    const [{ id }] = (await there.api('GET', '/v1/conversations')).body.data;
    const path = `/v1/conversations/${id}/notes`;
    const note = () => there.apiWithin(2000, 'POST', path, { body: 'Hello', externalId: 'key-1' });
    const notes = async () => (await there.api('GET', path)).body.meta.total as number;
    return { ...there, path, note, notes };
  }

  it.each([
    ['before', 0],
    ['after', 1],
  ] as const)('answer 5xx %s the effect', async (when, made) => {
    const { note, notes, org, path } = await withFault({ kind: 'status', status: 502, when });
    const answer = await note();
    expect(answer).toMatchObject({ status: 502, body: { errors: [{ status: 502 }] } });
    expect(answer.headers.get('x-ratelimit-remaining')).not.toBeNull();
    expect(await notes()).toBe(made);
    expect(org.requests.list({ method: 'POST', path })).toMatchObject([
      { fault: 'status', tookEffect: made === 1, externalId: 'key-1', fields: ['body', 'externalId'] },
    ]);
    expect((await note()).status).toBe(201);
  });

  it.each([
    ['before', 0],
    ['after', 1],
  ] as const)('reset the connection %s the effect', async (when, made) => {
    const { note, notes } = await withFault({ kind: 'reset', when });
    await expect(note()).rejects.toThrow('fetch failed');
    expect(await notes()).toBe(made);
  });

  it('answer never', async () => {
    const { apiWithin, path, notes } = await withFault({ kind: 'timeout', when: 'after' });
    await expect(apiWithin(100, 'POST', path, { body: 'x' })).rejects.toThrow(/timeout|aborted/);
    expect(await notes()).toBe(1);
  });

  it('cut JSON short, in a whole answer or a broken one', async () => {
    const cut = await withFault({ kind: 'truncate' });
    await expect(cut.note()).rejects.toThrow(SyntaxError);
    expect(await cut.notes()).toBe(1);
    const broken = await withFault({ kind: 'cut' });
    await expect(broken.note()).rejects.toThrow('terminated');
    expect(await broken.notes()).toBe(1);
  });

  it('let the body trickle, whole in the end', async () => {
    const { note } = await withFault({ kind: 'slow', pieces: 4, pauseMs: 10 });
    const startMs = performance.now();
    expect((await note()).body.data.attributes.body).toBe('Hello');
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(35);
  });

  it('refuse with 429 though the budget is not spent', async () => {
    const { note, notes } = await withFault({ kind: 'status', status: 429 });
    const answer = await note();
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get('x-ratelimit-remaining'))).toBeGreaterThan(900);
    expect(await notes()).toBe(0);
  });

  it('are set and lifted while the simulator runs', async () => {
    const { api } = await simulated();
    const set = (requests: readonly object[]) => api('POST', '/_simulator/faults', { org: 'acme', requests });
    expect((await set([{ kind: 'status', status: 500 }])).body.requestFaults).toMatchObject([{ acted: 0 }]);
    expect((await api('GET', '/v1/users/current')).status).toBe(500);
    expect((await api('GET', '/_simulator/state')).body.orgs[0].requestFaults).toMatchObject([{ acted: 1 }]);
    await set([]);
    expect((await api('GET', '/v1/users/current')).status).toBe(200);
    expect((await set([{ kind: 'explode' }])).status).toBe(400);
  });
});

describe('the log of requests', () => {
  it('tells apart what took effect, remembers a bounded number and no keys', async () => {
    const { api, org } = await simulated({}, { maxRequests: 3 });
    await api('POST', '/v1/customers', { name: 'x', age: 3 });
    const made = await api('POST', '/v1/customers', { name: 'x', externalId: 'c-1' });
    await api('POST', '/v1/customers', { name: 'x', externalId: 'c-1' });
    const [refused, first, second] = org.requests.list({ method: 'POST', path: '/v1/cust*' });
    expect(refused).toMatchObject({ status: 400, tookEffect: false, answeredId: null });
    expect(first).toMatchObject({ status: 201, tookEffect: true, externalId: 'c-1', answeredId: made.body.data.id });
    expect(second?.bodySha256).toBe(first?.bodySha256);
    for (let n = 0; n < 20; n += 1) await api('GET', '/v1/users/current');
    expect(org.requests.list()).toHaveLength(3);
    expect(org.requests.received).toBe(23);
    const shown = (await api('GET', '/_simulator/requests?org=acme&method=GET')).body;
    expect(shown.requests).toHaveLength(3);
    expect(JSON.stringify(shown)).not.toContain(KEY);
  });
});
