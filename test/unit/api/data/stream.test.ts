/** Streams. Numbers E… are those of src/api/data/stream.ts. */
import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventFilter } from '../../../../src/api/data/events.ts';
import { Shelf } from '../../../../src/api/data/shelf.ts';
import { eventStream, type StreamStart } from '../../../../src/api/data/stream.ts';
import { KEEP_ALIVE_MS } from '../../../../src/api/data/stream-watch.ts';
import { SseParser } from '../../../../src/cli/http/sse.ts';
import { HEADER } from '../../../../src/kafka/headers.ts';
import { type DataHouse, openDataHouse } from '../../../support/api/data-house.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { openTopicHouse, TOPIC, type TopicHouse } from './topic-house.ts';

describe('a stream in virtual time', () => {
  interface Asked {
    readonly house: TopicHouse;
    readonly start?: StreamStart;
    readonly follow?: boolean;
    readonly isLive?: () => boolean;
    readonly signal?: AbortSignal;
    readonly type?: string;
  }

  /** Text records as events of themselves, and everything the stream says. */
  function listen({ house, start = { kind: 'now' }, follow = true, isLive = () => true, signal, type }: Asked) {
    const shelf = new Shelf<string, { text: string; cursor: string }>({
      route: 'events',
      port: { topic: () => TOPIC, decode: async (value) => String(value) },
      views: house.views,
      observer: { undecodable: () => undefined, followFailed: () => undefined },
      rowOf: (_tenant, text, _record, cursor) => ({ text, cursor }),
    });
    const { mayMatch } = eventFilter(type === undefined ? {} : { event_type: type });
    const stream = eventStream(shelf, {
      tenantId: 't_one',
      event: 'envelope',
      filter: { needles: [], mayMatch, matches: () => true },
      start,
      follow,
      signal: signal ?? new AbortController().signal,
      isLive,
      clock: house.clock,
    });
    const heard = { text: '', ended: false, failed: false };
    stream.setEncoding('utf8');
    stream.on('data', (chunk) => {
      heard.text += chunk;
    });
    stream.on('end', () => {
      heard.ended = true;
    });
    stream.on('error', () => {
      heard.failed = true;
    });
    const parser = new SseParser();
    let read = 0;
    const events: { text: string; cursor: string; id: string }[] = [];
    return {
      stream,
      heard,
      shelf,
      events: () => {
        for (const { data, id } of parser.push(heard.text.slice(read))) events.push({ ...JSON.parse(data), id });
        read = heard.text.length;
        return events;
      },
      lastId: () => parser.lastId,
    };
  }

  it('E4 tells that it lives, and moves the cursor over what does not match', async () => {
    const house = await openTopicHouse({ partitions: 2 });
    const { heard, lastId, events, shelf } = listen({ house, type: 'wanted' });
    await house.clock.advance(100);
    expect(heard.text).toMatch(/^: stream open\n\nid: cur_\S+\n\n$/);
    expect(events()).toEqual([]);
    expect(shelf.readStreamCursor('t_one', lastId())).toEqual([0, 0]);
    const producer = await house.run(house.log.producer({ clientId: 'test' }));
    const appends = ['other', 'other'].map((type, partition) => ({
      topic: TOPIC,
      partition,
      key: null,
      value: Buffer.from('x'),
      headers: { [HEADER.eventType]: type },
    }));
    await house.run(producer.append(appends));
    await house.clock.advance(KEEP_ALIVE_MS + 100);
    expect(events()).toEqual([]);
    expect(heard.text).toMatch(/: keep-alive\n\nid: cur_/);
    expect(shelf.readStreamCursor('t_one', lastId())).toEqual([1, 1]);
    const before = heard.text.length;
    await house.clock.advance(2 * KEEP_ALIVE_MS);
    expect(heard.text.slice(before)).toBe(': keep-alive\n\n: keep-alive\n\n');
  });

  it('E5 begins when it was asked for, though the topic takes its time to open', async () => {
    const house = await openTopicHouse({ partitions: 2 });
    await house.append([{ partition: 0, text: 'before' }]);
    await house.clock.advance(1000);
    const opening = Promise.withResolvers<void>();
    const lease = async (topic: string) => {
      await opening.promise;
      return house.views.lease(topic);
    };
    const { events } = listen({ house: { ...house, views: { lease } as TopicHouse['views'] } });
    await house.clock.advance(5000);
    await house.append([
      { partition: 0, text: 'meanwhile' },
      { partition: 1, text: 'there too' },
    ]);
    opening.resolve();
    await house.clock.advance(1000);
    await house.append([{ partition: 1, text: 'after' }]);
    await house.clock.advance(1000);
    expect(events().map(({ text }) => text)).toEqual(['meanwhile', 'there too', 'after']);
  });

  it('E3 ends within seconds once the token is no longer valid, and says so', async () => {
    const house = await openTopicHouse({ partitions: 1 });
    let live = true;
    const { heard } = listen({ house, isLive: () => live });
    await house.clock.advance(10_000);
    expect(heard.ended).toBe(false);
    live = false;
    await house.clock.advance(2_000);
    expect([heard.ended, heard.text.endsWith(': the token is no longer valid\n\n')]).toEqual([true, true]);
  });

  it('E3 ends when the service stops, with a comment', async () => {
    const house = await openTopicHouse({ partitions: 1 });
    const stop = new AbortController();
    const { heard } = listen({ house, signal: stop.signal });
    await house.clock.advance(100);
    stop.abort();
    await house.clock.settle();
    expect([heard.ended, heard.text.endsWith(': the service is stopping\n\n')]).toEqual([true, true]);
    expect(house.clock.pendingTimers).toBeLessThanOrEqual(2); // the idle topic's own
  });

  it('begins when the topic does, without losing its first records', async () => {
    const house = await openTopicHouse({ partitions: 0 });
    const { events } = listen({ house });
    await house.clock.advance(3_000);
    await house.run(house.log.admin.createTopics([{ name: TOPIC, partitions: 1, config: {} }]));
    await house.append([{ partition: 0, text: 'first' }]);
    await house.clock.advance(3_000);
    expect(events().map(({ text }) => text)).toEqual(['first']);
    const ended = listen({ house, follow: false, start: { kind: 'since', sinceMs: 0 } });
    await house.clock.advance(1_000);
    expect([ended.heard.ended, ended.events().map(({ text }) => text)]).toEqual([true, ['first']]);
  });

  it('goes on over a topic that has grown, and a broker that was away', async () => {
    const house = await openTopicHouse({ partitions: 1, views: { checkMs: 1000 } });
    const { events, heard } = listen({ house });
    await house.clock.advance(100);
    await house.append([{ partition: 0, text: 'a' }]);
    await house.clock.advance(100);
    await house.run(house.log.admin.growPartitions(TOPIC, 2));
    await house.append([{ partition: 1, text: 'b' }]);
    await house.clock.advance(5_000);
    expect(events().map(({ text }) => text)).toEqual(['a', 'b']);
    house.log.faults.down();
    await house.clock.advance(5_000);
    house.log.faults.up();
    await house.append([{ partition: 0, text: 'c' }]);
    await house.clock.advance(KEEP_ALIVE_MS + 1000);
    expect(events().map(({ text }) => text)).toEqual(['a', 'b', 'c']);
    expect(heard.failed).toBe(false);
  });

  it('E2 a client that does not read holds up nobody, and misses nothing', async () => {
    const house = await openTopicHouse({ partitions: 2, settings: { ringMaxBytes: 1 } });
    const slow = listen({ house });
    const quick = listen({ house });
    await house.clock.advance(100);
    slow.stream.pause();
    const texts = Array.from({ length: 3000 }, (_, i) => `${i}`.padEnd(200, '.'));
    for (let i = 0; i < texts.length; i += 100) {
      await house.append(texts.slice(i, i + 100).map((text, n) => ({ partition: n % 2, text, atMs: 1000 * i + n })));
      await house.clock.advance(10);
    }
    await house.clock.advance(1000);
    expect(quick.events()).toHaveLength(3000);
    expect(slow.events().length).toBeLessThan(500);
    expect(slow.stream.readableLength).toBeLessThan(200_000);
    slow.stream.resume();
    await house.clock.runUntil(() => slow.events().length >= 3000);
    expect(
      slow
        .events()
        .map(({ text }) => text)
        .sort(),
    ).toEqual([...texts].sort());
  });

  it('E1 taken up anywhere by the id of its last frame: everything once', async () => {
    const house = await openTopicHouse({ partitions: 3, settings: { primeOffsets: 2, ringMaxBytes: 1500 } });
    const seen: string[] = [];
    let start: StreamStart = { kind: 'since', sinceMs: 0 };
    let sent = 0;
    for (let round = 0; round < 12; round += 1) {
      const batch = Array.from({ length: 17 }, (_, i) => ({ partition: (sent + i) % 3, text: `${sent + i}` }));
      sent += batch.length;
      const { stream, events, shelf, heard } = listen({ house, start });
      if (round % 2 === 0) await house.append(batch);
      await house.clock.advance(50);
      if (round % 2 === 1) await house.append(batch);
      await house.clock.advance(50);
      // Not all that came is taken: the client goes in the middle.
      const taken = events().slice(0, 5 + round * 3);
      seen.push(...taken.map(({ text }) => text));
      stream.destroy();
      await house.clock.settle();
      expect(heard.failed).toBe(false);
      const last = taken.at(-1);
      if (last !== undefined) {
        expect(last.cursor).toBe(last.id);
        start = { kind: 'cursor', positions: shelf.readStreamCursor('t_one', last.id) };
      }
    }
    const rest = listen({ house, start, follow: false });
    await house.clock.advance(1000);
    seen.push(...rest.events().map(({ text }) => text));
    expect(seen).toHaveLength(sent);
    expect(new Set(seen).size).toBe(sent);
    for (const partition of [0, 1, 2]) {
      const own = seen.map(Number).filter((n) => n % 3 === partition);
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
  });
});

describe('a stream over HTTP', () => {
  let house: DataHouse;
  let token: string;
  let base: string;
  const agent = new Agent();
  beforeEach(async () => {
    house = await openDataHouse();
    await house.api.tenant('t_a');
    token = await house.api.token('t_a');
    await house.topics('t_a');
    base = await house.api.server.app.listen({ host: '127.0.0.1', port: 0 });
  });
  afterEach(() => house.close());

  async function open(path: string, headers: Record<string, string> = {}) {
    const {
      statusCode,
      body,
      headers: given,
    } = await request(`${base}${path}`, {
      dispatcher: agent,
      headers: { authorization: `Bearer ${token}`, ...headers },
    });
    const heard = { text: '', over: false };
    body.setEncoding('utf8');
    body.on('data', (chunk) => {
      heard.text += chunk;
    });
    body.on('close', () => {
      heard.over = true;
    });
    body.on('error', () => undefined);
    const parser = new SseParser();
    let read = 0;
    const events: { event_id: string; cursor: string }[] = [];
    return {
      statusCode,
      given,
      heard,
      body,
      events: () => {
        for (const { data } of parser.push(heard.text.slice(read))) events.push(JSON.parse(data));
        read = heard.text.length;
        return events;
      },
      id: () => parser.lastId,
    };
  }

  it('gives envelopes as they come, by glob, and goes on from Last-Event-ID', async () => {
    const first = await open('/v1/events/stream?event_type=conversation.*');
    expect([first.statusCode, first.given['content-type']]).toEqual([200, 'text/event-stream']);
    await waitFor(() => first.heard.text !== '', { message: 'the stream is open' });
    const one = await house.event('t_a', { partition: 1 });
    await house.event('t_a', { type: 'customer.updated' });
    await waitFor(() => first.events().length === 1, { message: 'the first event' });
    expect(first.heard.text).toContain('event: envelope\n');
    const id = first.id();
    first.body.destroy();
    const two = await house.event('t_a', { partition: 2 });
    const second = await open('/v1/events/stream?event_type=conversation.*', { 'last-event-id': id });
    await waitFor(() => second.events().length === 1, { message: 'the second event' });
    expect([...first.events(), ...second.events()].map((event) => event.event_id)).toEqual([one, two]);
    second.body.destroy();
  });

  it('refuses a cursor that is none, or since and cursor together', async () => {
    expect((await open('/v1/events/stream', { 'last-event-id': 'ev_1' })).statusCode).toBe(400);
    expect((await open('/v1/events/stream?cursor=x')).statusCode).toBe(400);
    expect((await open('/v1/events/stream?cursor=x&since=1h')).statusCode).toBe(400);
    expect((await open('/v1/receipts/stream?since=soon')).statusCode).toBe(400);
  });

  it('E3 ends when the token is revoked, and when the service stops', async () => {
    const first = await open('/v1/receipts/stream');
    const { key_id: keyId } = (await house.api.call('GET', '/v1/whoami', { token })).body;
    await waitFor(() => first.heard.text !== '', { message: 'the stream is open' });
    house.revoke(keyId);
    await waitFor(() => first.heard.over, { message: 'the stream is over', deadlineMs: 5_000 });
    expect(first.heard.text).toContain(': the token is no longer valid\n');
  });

  it('E3 ends with a comment when the service stops', async () => {
    const stream = await open('/v1/events/stream');
    await waitFor(() => stream.heard.text !== '', { message: 'the stream is open' });
    await house.api.server.close();
    await waitFor(() => stream.heard.over, { message: 'the stream is over', deadlineMs: 5_000 });
    expect(stream.heard.text).toContain(': the service is stopping\n');
  });
});
