/** Events and receipts as lists and single entries: filters, cursors, ids, and whose they are. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type DataHouse, openDataHouse } from '../../../support/api/data-house.ts';

let house: DataHouse;
let token: string;
let other: string;
beforeEach(async () => {
  house = await openDataHouse();
  await house.api.tenant('t_a');
  await house.api.tenant('t_b');
  token = await house.api.token('t_a');
  other = await house.api.token('t_b');
});
afterEach(() => house.close());

const get = (url: string, as = token) => house.api.call('GET', url, { token: as });
const T0 = Date.parse('2026-03-01T10:00:00Z');

describe('events', () => {
  it('a tenant without a topic has none', async () => {
    expect((await get('/v1/events')).body).toEqual({ object: 'list', data: [], has_more: false, next_cursor: null });
    expect((await get('/v1/events/ev_AAAAAAAAAAAAAAAAAAAA')).status).toBe(404);
  });

  it('are the ten fields with payload, id, time and cursor, newest first', async () => {
    await house.topics('t_a');
    const [first, second] = [
      await house.event('t_a', { atMs: T0, partition: 1 }),
      await house.event('t_a', { atMs: T0 + 1000, partition: 0, type: 'customer.updated' }),
    ];
    const { body } = await get('/v1/events');
    expect(body.data.map((one: { event_id: string }) => one.event_id)).toEqual([second, first]);
    expect([body.has_more, body.next_cursor]).toEqual([false, null]);
    const [event] = body.data;
    expect(Object.keys(event).sort()).toEqual(
      [
        ...['object', 'id', 'event_id', 'reseller_id', 'tenant_id', 'workspace_id', 'source', 'event_type'],
        ...['correlation_id', 'payload', 'agent_id', 'session_id', 'observed_at', 'cursor'],
      ].sort(),
    );
    expect(event).toMatchObject({
      object: 'event',
      tenant_id: 't_a',
      source: 'kustomer',
      event_type: 'customer.updated',
      observed_at: '2026-03-01T10:00:01.000Z',
      agent_id: null,
    });
    expect(event.payload.resource_type).toBe('customer');
    expect(event.id).toMatch(/^ev_/);
  });

  it('page through all of them, each once, while new ones come', async () => {
    await house.topics('t_a');
    const ids: string[] = [];
    for (let i = 0; i < 45; i += 1) ids.push(await house.event('t_a', { partition: i % 3, atMs: T0 + i }));
    const seen: string[] = [];
    let url = '/v1/events?limit=20';
    for (let pages = 0; pages < 10; pages += 1) {
      const { body } = await get(url);
      seen.push(...body.data.map((one: { event_id: string }) => one.event_id));
      if (!body.has_more) break;
      await house.event('t_a', { partition: pages % 3 });
      url = `/v1/events?limit=20&cursor=${body.next_cursor}`;
    }
    expect(seen).toEqual(ids.reverse());
  });

  it('are filtered by a glob where * is exactly one segment, by source and by time', async () => {
    await house.topics('t_a');
    for (const type of ['conversation.created', 'conversation.message.created', 'conversation.status.changed']) {
      await house.event('t_a', { type, atMs: T0 });
    }
    await house.event('t_a', { type: 'customer.updated', atMs: T0 + 60_000 });
    const types = async (query: string) => {
      const { body, status, text } = await get(`/v1/events?${query}`);
      if (status !== 200) throw new Error(text);
      return body.data.map((one: { event_type: string }) => one.event_type).sort();
    };
    expect(await types('event_type=conversation.*')).toEqual(['conversation.created']);
    expect(await types('event_type=conversation.*.*')).toEqual([
      'conversation.message.created',
      'conversation.status.changed',
    ]);
    expect(await types('event_type=*.*')).toEqual(['conversation.created', 'customer.updated']);
    expect(await types('event_type=*')).toEqual([]);
    expect(await types('source=kustomer')).toHaveLength(4);
    expect(await types('source=shopify')).toEqual([]);
    expect(await types('since=2026-03-01T10:00:30Z')).toEqual(['customer.updated']);
    house.api.time.nowMs = T0 + 90_000;
    expect(await types('since=45s')).toEqual(['customer.updated']);
    expect(await types('since=1h')).toHaveLength(4);
  });

  it('since leaves out what is older, also where it stands behind what is not', async () => {
    await house.topics('t_a');
    const recent = await house.event('t_a', { atMs: T0 });
    await house.event('t_a', { atMs: T0 - 3_600_000 });
    const last = await house.event('t_a', { atMs: T0 + 1 });
    const { body } = await get('/v1/events?since=2026-03-01T09:30:00Z');
    expect(body.data.map((one: { event_id: string }) => one.event_id)).toEqual([last, recent]);
    const { text } = await get('/v1/events/stream?follow=false&since=2026-03-01T09:30:00Z');
    const streamed = [...text.matchAll(/^data: (.*)$/gm)].map(([, json]) => JSON.parse(json as string).event_id);
    expect(streamed).toEqual([recent, last]);
  });

  it('refuse what is no filter, no limit and no cursor of this list', async () => {
    await house.topics('t_a', 't_b');
    for (let i = 0; i < 3; i += 1) await house.event('t_a');
    const next = (await get('/v1/events?limit=1')).body.next_cursor;
    const code = async (url: string, as = token) => {
      const { status, body } = await get(url, as);
      return [status, body.error?.code];
    };
    for (const query of [
      'limit=0',
      'limit=101',
      'limit=x',
      'event_type=conv*',
      'event_type=',
      'since=yesterday',
      'q=1',
    ]) {
      expect([query, ...(await code(`/v1/events?${query}`))]).toEqual([query, 400, 'invalid_parameter']);
    }
    const invalid = [400, 'invalid_cursor'];
    expect(await code(`/v1/events?cursor=${next}&source=kustomer`)).toEqual(invalid);
    expect(await code(`/v1/events?cursor=${next}`, other)).toEqual(invalid);
    expect(await code(`/v1/receipts?cursor=${next}`)).toEqual(invalid);
    expect(await code(`/v1/events/stream?follow=false&cursor=${next}`)).toEqual(invalid);
    const row = (await get('/v1/events?limit=1')).body.data[0].cursor;
    expect(await code(`/v1/events?cursor=${row}`)).toEqual(invalid);
    for (const cursor of ['cur_', 'cur_x', 'x', `${next.slice(0, -4)}`]) {
      expect((await code(`/v1/events?cursor=${cursor}`))[0]).toBe(400);
    }
    expect((await get(`/v1/events?limit=2&cursor=${next}`)).body.data).toHaveLength(2); // another limit is no other list
  });

  it('are found by their id and by the event_id of the envelope, and by nobody else', async () => {
    await house.topics('t_a', 't_b');
    for (let i = 0; i < 5; i += 1) {
      await house.event('t_a', { partition: i % 3 });
      await house.event('t_b', { partition: i % 3 });
    }
    const { data } = (await get('/v1/events')).body;
    for (const event of data) {
      const byId = (await get(`/v1/events/${event.id}`)).body;
      expect(byId).toEqual({ ...event, cursor: byId.cursor });
      expect((await get(`/v1/events/${event.event_id}`)).body.id).toBe(event.id);
      for (const id of [event.id, event.event_id]) {
        const { status, body } = await get(`/v1/events/${id}`, other);
        expect([status, body.error.message]).toEqual([404, 'no such event']);
      }
    }
    const bytes = Buffer.from(data[0].id.slice(3), 'base64url');
    for (let i = 0; i < bytes.length; i += 1) {
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] as number) ^ 1;
      expect((await get(`/v1/events/ev_${changed.toString('base64url')}`)).status).toBe(404);
    }
    for (let i = 0; i < 50; i += 1) {
      expect((await get(`/v1/events/ev_${randomBytes(15).toString('base64url')}`)).status).toBe(404);
    }
    for (const id of ['ev_', 'ev_x', '0', '00000000-0000-5000-8000-000000000000', 'constructor']) {
      expect((await get(`/v1/events/${id}`)).status).toBe(404);
    }
  });

  it('the cursor of an entry leads a stream to what is newer than it', async () => {
    await house.topics('t_a');
    for (let i = 0; i < 6; i += 1) await house.event('t_a', { partition: i % 3, atMs: T0 + i });
    const { data } = (await get('/v1/events')).body;
    const later = await house.event('t_a', { partition: 2, atMs: T0 + 100 });
    const { text } = await get(`/v1/events/stream?follow=false&cursor=${data[2].cursor}`);
    const seen = [...text.matchAll(/^data: (.*)$/gm)].map(([, json]) => JSON.parse(json as string).event_id);
    expect(seen).toEqual([data[1].event_id, data[0].event_id, later]);
  });

  it('one that cannot be read is left out, and told', async () => {
    await house.topics('t_a');
    const good = await house.event('t_a');
    await house.producer.append({
      topic: house.names.events('t_a'),
      partition: 0,
      key: null,
      value: Buffer.from('not one of ours'),
    });
    const { body } = await get('/v1/events');
    expect(body.data.map((one: { event_id: string }) => one.event_id)).toEqual([good]);
    expect(house.undecodable).toMatchObject([{ partition: 0, offset: 1 }]);
  });
});

describe('receipts', () => {
  const BLOCKED = {
    outcome: 'refused',
    verdict: { decision: 'BLOCK', rule: null, tier: null },
    error: { code: 'policy_blocked', message: 'no rule allows it', nextStep: 'Add a rule.' },
  } as const;

  it('are filtered by verdict, outcome, capability, operator, connection and key', async () => {
    const connection = house.api.memory.addConnection('t_a', 'kustomer-prod');
    await house.topics('t_a');
    const { connectionId } = connection;
    await house.receipt('t_a', { operator: 'one', connection: 'kustomer-prod', connectionId, idempotencyKey: 'k1' });
    await house.receipt('t_a', {
      operator: 'two',
      connection: connectionId,
      connectionId,
      disposed: BLOCKED,
      partition: 1,
    });
    await house.receipt('t_a', {
      operator: 'one',
      connection: 'other',
      capability: 'conversation.status.write',
      partition: 2,
    });
    const count = async (query: string) => (await get(`/v1/receipts?${query}`)).body.data.length;
    expect(await count('')).toBe(3);
    expect(await count('verdict=BLOCK')).toBe(1);
    expect(await count('verdict=ALLOW&operator=one')).toBe(2);
    expect(await count('outcome=refused')).toBe(1);
    expect(await count('outcome=applied&verdict=BLOCK')).toBe(0);
    expect(await count('capability=conversation.status.write')).toBe(1);
    expect(await count('connection=kustomer-prod')).toBe(2);
    expect(await count(`connection=${connectionId}`)).toBe(2);
    expect(await count('idempotency_key=k1')).toBe(3);
    expect(await count('idempotency_key=k')).toBe(0);
    expect(await count('entity_key=conversation:c1')).toBe(3);
    expect((await get('/v1/receipts?verdict=MAYBE')).status).toBe(400);
  });

  it('are found by id, by their own tenant only, and not by those that name them', async () => {
    await house.topics('t_a', 't_b');
    const receiptId = `rc_${'a'.repeat(32)}`;
    await house.receipt('t_a', { receiptId });
    await house.receipt('t_a', {
      disposed: {
        outcome: 'deduplicated',
        verdict: { decision: 'DEDUP', rule: null, tier: null },
        firstReceiptId: receiptId,
      },
    });
    const { status, body } = await get(`/v1/receipts/${receiptId}`);
    expect([status, body.id, body.receipt_id, body.outcome]).toEqual([200, receiptId, receiptId, 'applied']);
    expect((await get(`/v1/receipts/${receiptId}`, other)).status).toBe(404);
    for (const id of ['rc_x', `rc_${'b'.repeat(32)}`, 'stream2'])
      expect((await get(`/v1/receipts/${id}`)).status).toBe(404);
  });

  it('that are too old to be found by id are told to be looked for otherwise: in the list, or in which topic by which key', async () => {
    const small = await openDataHouse({ data: { findRecords: 10 } });
    onTestFinished(() => small.close());
    await small.api.tenant('t_a');
    await small.topics('t_a');
    const by = await small.api.token('t_a');
    const receiptId = `rc_${'a'.repeat(32)}`;
    await small.receipt('t_a', { receiptId, idempotencyKey: 'old', atMs: 1 });
    for (let n = 0; n < 300; n += 1) await small.receipt('t_a', { idempotencyKey: `k${n}` });
    const { status, body } = await small.api.call('GET', `/v1/receipts/${receiptId}`, { token: by });
    expect([status, body.error?.code]).toEqual([404, 'not_found']);
    expect(body.error.message).toMatch(
      /newest 10 .*not looked at.*`entity_key`.*topic fibric\.receipts\.t_a.*command_id/,
    );
    // As it says.
    const listed = await small.api.call('GET', '/v1/receipts?idempotency_key=old', { token: by });
    expect(listed.body.data.map(({ id }: { id: string }) => id)).toEqual([receiptId]);
    // One that is surely not there is only missing.
    const none = await small.api.call('GET', '/v1/receipts/rc_x', { token: by });
    expect(none.body.error.message).toBe('no such receipt');
  });
});
