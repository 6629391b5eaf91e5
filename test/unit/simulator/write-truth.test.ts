import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { WriteLog } from '../../../src/simulator/requests/write-log.ts';
import type { SimulatorOptions } from '../../../src/simulator/server.ts';
import { waitFor } from '../../support/wait-for.ts';
import { KEY, simulated } from './simulated.ts';

async function withConversation(org: object = {}, options: Partial<SimulatorOptions> = {}) {
  const there = await simulated({ conversations: 2, ...org }, options);
  const [first, second] = [...there.org.organisation.conversations.values()].map(({ id }) => id) as [string, string];
  return { ...there, first, second, at: `/v1/conversations/${first}` };
}

describe('the log of writes', () => {
  it('has every write that was applied, in order, with what it did', async () => {
    const { api, at, first, second, org } = await withConversation();
    const note = (await api('POST', `${at}/notes`, { body: 'Hello', externalId: 'k-1' })).body.data.id;
    await api('PATCH', at, { status: 'done', rev: 2 });
    const call = { channel: 'voice', app: 'fibric', direction: 'out', externalId: 'call-1', meta: {} };
    const message = (await api('POST', `/v1/conversations/${second}/messages`, call)).body.data.id;
    await api('PATCH', `/v1/messages/${message}`, { meta: { status: 'completed' } });
    expect(org.writes.list()).toMatchObject([
      {
        sequence: 0,
        operation: 'POST /v1/conversations/:id/notes',
        objectType: 'note',
        objectId: note,
        conversationId: first,
        externalId: 'k-1',
        body: { body: 'Hello' },
        late: false,
        fault: null,
      },
      { objectType: 'conversation', objectId: first, conversationId: first, rev: 3, body: { status: 'done', rev: 2 } },
      { objectType: 'message', objectId: message, conversationId: second, externalId: 'call-1' },
      { operation: 'PATCH /v1/messages/:id', conversationId: second, lane: 'message:call-1', externalId: 'call-1' },
    ]);
    expect(org.writes.list({ conversationId: second })).toHaveLength(2);
    const shown = (await api('GET', `/_simulator/writes?org=acme&conversation=${first}`)).body;
    expect(shown).toMatchObject({ applied: 4, overlapCount: 0, writes: [{ objectId: note }, { objectId: first }] });
    expect(JSON.stringify(shown)).not.toContain(KEY);
    expect((await api('GET', '/_simulator/state')).body.orgs[0].writes).toEqual({
      applied: 4,
      underWay: 0,
      overlaps: 0,
    });
  });

  it('has nothing that was refused or only read', async () => {
    const { api, at, org } = await withConversation({ access: { roles: ['org.permission.conversation.update'] } });
    expect((await api('POST', `${at}/notes`, { body: 'x' })).status).toBe(403);
    expect((await api('PATCH', at, { status: 'done', rev: 99 })).status).toBe(409);
    expect((await api('PATCH', at, { statuss: 'done' })).status).toBe(400);
    await api('GET', at);
    await api('POST', '/v1/customers/search', { queryContext: 'note' });
    expect(org.writes.count).toBe(0);
  });

  it.each([
    ['reset', { kind: 'reset', when: 'after' }],
    ['cut', { kind: 'cut' }],
    ['truncated', { kind: 'truncate' }],
    ['5xx', { kind: 'status', status: 502, when: 'after' }],
  ] as const)('has what was applied though its answer was lost: %s', async (_, fault) => {
    const path = '/v1/conversations/*/notes';
    const { apiWithin, at, org } = await withConversation({}, { requestFaults: [{ path, count: 1, ...fault }] });
    await apiWithin(2000, 'POST', `${at}/notes`, { body: 'x' }).catch(() => {});
    expect(org.writes.list()).toMatchObject([{ objectType: 'note', fault: fault.kind, late: false }]);
    await waitFor(() => org.writes.underWay === 0, { message: 'the end of the write' });
  });

  it('forgets the oldest, and counts on', () => {
    const log = new WriteLog(2);
    const write = { atMs: 0, operation: 'x', lane: null, objectType: null, objectId: null, conversationId: null };
    for (let n = 0; n < 7; n += 1) {
      log.add({ ...write, externalId: `${n}`, rev: null, body: null, late: false, fault: null });
    }
    expect(log.list().map(({ externalId }) => externalId)).toEqual(['5', '6']);
    expect(log.count).toBe(7);
  });
});

describe('a write that takes effect later', () => {
  const PATH = '/v1/conversations/*/notes';

  it.each(['timeout', 'reset', 'status'] as const)('does so when its caller has given up: %s', async (kind) => {
    const fault = { path: PATH, kind, when: 'later', laterMs: 30_000, count: 1 } as const;
    const { api, apiWithin, at, clock, org, simulator } = await withConversation({}, { requestFaults: [fault] });
    const lost = await apiWithin(100, 'POST', `${at}/notes`, { body: 'x', externalId: 'k-1' }).catch(() => null);
    expect(lost?.status ?? 504).toBeGreaterThanOrEqual(500);
    const listed = async () => (await api('GET', `${at}/notes`)).body.meta.total;
    expect(await listed()).toBe(0);
    clock.nowMs += 29_999;
    expect(await listed()).toBe(0);
    expect(org.writes.underWay).toBe(1);
    clock.nowMs += 1;
    simulator.tick();
    expect(org.writes.list()).toMatchObject([{ externalId: 'k-1', late: true, fault: kind, atMs: clock.nowMs }]);
    expect(org.writes.underWay).toBe(0);
    expect(await listed()).toBe(1);
    simulator.tick();
    expect(await listed()).toBe(1);
  });

  it('is refused then, if by then it must be', async () => {
    const fault = { method: 'PATCH', kind: 'reset', when: 'later', laterMs: 1000, count: 1 } as const;
    const { api, at, clock, org, simulator } = await withConversation({}, { requestFaults: [fault] });
    await expect(api('PATCH', at, { status: 'done', rev: 1 })).rejects.toThrow('fetch failed');
    expect((await api('PATCH', at, { name: 'Renamed', rev: 1 })).status).toBe(200);
    clock.nowMs += 1000;
    simulator.tick();
    expect((await api('GET', at)).body.data.attributes).toMatchObject({ status: 'open', rev: 2 });
    expect(org.writes.count).toBe(1);
  });

  it('is under way until then: a second one beside it is told', async () => {
    const fault = { path: PATH, kind: 'reset', when: 'later', laterMs: 1000, count: 1 } as const;
    const { api, at, first, org } = await withConversation({}, { requestFaults: [fault] });
    await expect(api('POST', `${at}/notes`, { body: 'x' })).rejects.toThrow('fetch failed');
    expect((await api('PATCH', at, { name: 'Renamed' })).status).toBe(200);
    expect(org.writes.overlaps).toMatchObject([{ lane: first, operation: 'PATCH /v1/conversations/:id', beside: 1 }]);
    const shown = (await api('GET', '/_simulator/writes?org=acme')).body;
    expect(shown).toMatchObject({ overlapCount: 1, overlaps: [{ lane: first }] });
  });
});

describe('writes under way', () => {
  it('of one conversation at the same time are counted, of several they are not', async () => {
    const { api, at, second, org } = await withConversation({ service: { minMs: 100 } });
    const note = (path: string) => api('POST', `${path}/notes`, { body: 'x' });
    await Promise.all([note(at), note(`/v1/conversations/${second}`), api('GET', at)]);
    expect(org.writes.overlapCount).toBe(0);
    await note(at);
    expect(org.writes.overlapCount).toBe(0);
    await Promise.all([note(at), api('PATCH', at, { name: 'Renamed' }), note(at)]);
    expect(org.writes.overlapCount).toBe(2);
    expect(org.writes.underWay).toBe(0);
  });

  it('of a message are told by its conversation where it is posted to one, else by its external id', async () => {
    const { api, at, org } = await withConversation({ service: { minMs: 100 } });
    const call = {
      channel: 'voice',
      app: 'fibric',
      direction: 'in',
      externalId: 'CA-1',
      preview: 'x',
      status: 'received',
    };
    const write = (path: string) => api('POST', `${path}/messages`, call);
    const [made] = await Promise.all([write(at), api('POST', `${at}/notes`, { body: 'x' })]);
    expect(org.writes.overlaps).toMatchObject([{ beside: 1 }]);
    const update = () => api('PATCH', `/v1/messages/${made?.body.data.id}`, { preview: 'y' });
    await Promise.all([update(), update()]);
    expect(org.writes.overlaps.slice(1)).toMatchObject([{ lane: 'message:CA-1', beside: 1 }]);
  });

  it('end with the connection of a caller that leaves', async () => {
    const fault = { path: '/v1/conversations/*/notes', kind: 'timeout', when: 'after' } as const;
    const { at, url, org } = await withConversation({}, { requestFaults: [fault] });
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const asked = request(`${url}${at}/notes`, { method: 'POST', headers });
    asked.on('error', () => {});
    asked.end(JSON.stringify({ body: 'x' }));
    await waitFor(() => org.writes.underWay === 1, { message: 'the arrival of the write' });
    asked.destroy();
    await waitFor(() => org.writes.underWay === 0, { message: 'the end of the write' });
    expect(org.writes.count).toBe(1);
  });

  it('end once', () => {
    const log = new WriteLog(1);
    const [a, b] = [1, 2].map((ms) => log.arrive({ lane: 'c', operation: 'x' }, ms)) as [
      ReturnType<WriteLog['arrive']>,
      ReturnType<WriteLog['arrive']>,
    ];
    expect([a.beside, b.beside, log.underWay]).toEqual([0, 1, 2]);
    a.end();
    a.end();
    expect(log.underWay).toBe(1);
    b.end();
    expect(log.arrive({ lane: 'c', operation: 'x' }, 3).beside).toBe(0);
    expect(log.arrive({ lane: null, operation: 'x' }, 3).beside).toBe(0);
    expect(log.underWay).toBe(1);
  });
});

describe('the service time', () => {
  it('delays answers, not effects, and is set while it runs', async () => {
    const { api, at, org } = await withConversation();
    const settings = await api('POST', '/_simulator/settings', { org: 'acme', service: { minMs: 80 } });
    expect(settings.body.service).toEqual({ minMs: 80, maxMs: 80 });
    const startMs = performance.now();
    const answer = api('POST', `${at}/notes`, { body: 'x' });
    await waitFor(() => org.writes.count === 1, { message: 'the write' });
    expect(org.writes.underWay).toBe(1);
    expect((await answer).status).toBe(201);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(78);
    expect(org.writes.underWay).toBe(0);
  });
});
