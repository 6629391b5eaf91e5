import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENT_NAMES, isKnownEventName } from '../../../src/kustomer/event-names.ts';
import { parseEvent } from '../../../src/kustomer/parse.ts';
import { peek } from '../../../src/kustomer/peek.ts';

const parse = (value: unknown) => parseEvent(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));

const event = {
  id: '6601f0c2a1b2c3d4e5f60718',
  name: 'kustomer.conversation.update',
  org: '57bb00000000000000000001',
  client: 'api-gw',
  createdAt: '2026-03-25T10:15:42.113Z',
  data: {
    type: 'conversation',
    id: '65aa000000000000000000c1',
    attributes: { status: 'open', rev: 14, assignedUsers: ['u1'] },
    relationships: { customer: { data: { type: 'customer', id: '64bb000000000000000000d2' } } },
  },
  changes: {
    attributes: {
      status: { op: 'replace', before: 'done', after: 'open' },
      assignedUsers: { op: 'replace', before: [], after: ['u1'] },
      rev: { op: 'replace', before: 13, after: 14 },
    },
    relationships: {},
  },
};

describe('parseEvent', () => {
  it('reads a whole event', () => {
    expect(parse(event)).toEqual({
      ok: true,
      event: {
        eventId: event.id,
        name: event.name,
        resourceType: 'conversation',
        verb: 'update',
        org: event.org,
        createdAt: event.createdAt,
        client: 'api-gw',
        id: event.data.id,
        rev: 14,
        attributes: event.data.attributes,
        relationships: event.data.relationships,
        changedAttributes: event.changes.attributes,
        changedRelationships: {},
        polled: null,
        enrichment: null,
      },
    });
  });

  it.each([
    ['client absent', { client: undefined }, { client: null }],
    ['client an object, as the AsyncAPI has it', { client: { name: 'x' } }, { client: null }],
    ['changes absent', { changes: undefined }, { changedAttributes: {}, rev: 14 }],
    ['changes null, as on create', { changes: null }, { changedAttributes: {}, changedRelationships: {}, rev: 14 }],
    ['changes empty', { changes: {} }, { changedAttributes: {}, changedRelationships: {} }],
    ['changes of another shape', { changes: { attributes: [1], relationships: 'x' } }, { changedAttributes: {} }],
    [
      'a change that is no object',
      { changes: { attributes: { a: 1, b: { op: 'add', after: 2 } } } },
      { changedAttributes: { b: { op: 'add', before: undefined, after: 2 } } },
    ],
    [
      'no op',
      { changes: { attributes: { a: { before: 1, after: 2 } } } },
      { changedAttributes: { a: { op: 'replace', before: 1, after: 2 } } },
    ],
    [
      'sub-objects absent',
      { data: { type: 'conversation', id: 'c1' }, changes: null },
      { attributes: {}, relationships: {}, rev: null },
    ],
    [
      'sub-objects null',
      { data: { type: 'team', id: 't1', attributes: null, relationships: null } },
      { attributes: {}, relationships: {}, resourceType: 'team' },
    ],
    ['org of another type', { org: 7 }, { org: null }],
    [
      'an unknown name',
      { name: 'kustomer.kobject.order.archive' },
      { name: 'kustomer.kobject.order.archive', verb: 'archive' },
    ],
    ['a name without dots', { name: 'ping' }, { verb: 'ping' }],
  ])('takes %s', (_what, patch, wanted) => {
    expect(parse({ ...event, ...patch })).toMatchObject({ ok: true, event: wanted });
  });

  it.each([
    ['nothing', ''],
    ['no JSON', '{"id":'],
    ['a string', '"x"'],
    ['null', 'null'],
    ['an array', '[{}]'],
    ['a byte order mark', '\ufeff{}'],
  ])('calls %s malformed', (_what, text) => {
    expect(parse(text)).toMatchObject({ ok: false, code: 'body_malformed' });
  });

  it.each([
    ['no name', { name: undefined }, /^name/],
    ['an empty name', { name: '' }, /^name/],
    ['no data', { data: null }, /^data is/],
    ['data as an array', { data: [] }, /^data is/],
    ['no type', { data: { id: '1' } }, /^data.type/],
    ['no id', { data: { type: 'x' } }, /^data.id/],
    ['a number for an id', { data: { type: 'x', id: 5 } }, /^data.id/],
  ])('calls %s invalid', (_what, patch, message) => {
    expect(parse({ ...event, ...patch })).toMatchObject({
      ok: false,
      code: 'event_invalid',
      message: expect.stringMatching(message),
    });
  });

  it('keeps a key named __proto__ a mere key', () => {
    const parsed = parse(
      '{"name":"n","data":{"type":"t","id":"1"},"changes":{"attributes":{"__proto__":{"after":{"x":1}}}}}',
    );
    expect(parsed.ok && Object.keys(parsed.event.changedAttributes)).toEqual(['__proto__']);
    expect(parsed.ok && 'after' in parsed.event.changedAttributes).toBe(false);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('never throws, and reads what the receiver peeked', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), fc.constantFrom('data', 'changes', 'name', 'id'), (text, at) => {
        for (const candidate of [text, JSON.stringify({ ...event, [at]: tryParse(text) })]) {
          const bytes = Buffer.from(candidate);
          const [parsed, seen] = [parseEvent(bytes), peek(bytes)];
          expect(parsed.ok ? false : parsed.code === 'body_malformed').toBe(seen.malformed);
          if (!parsed.ok) continue;
          const { eventId, name, org, id, resourceType, rev } = parsed.event;
          expect({ malformed: false, eventId, name, org, resourceId: id, resourceType, rev }).toEqual(seen);
        }
      }),
    );
  });
});

describe('event names', () => {
  it('are the twelve', () => {
    expect(EVENT_NAMES).toHaveLength(12);
    expect(
      EVENT_NAMES.filter((name) =>
        /^kustomer\.(customer|conversation|message|user|team|tag)\.(create|update)$/.test(name),
      ),
    ).toEqual(EVENT_NAMES);
    expect(isKnownEventName('kustomer.note.create')).toBe(false);
    expect(isKnownEventName('toString')).toBe(false);
  });
});

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

describe('what a poll wrapped', () => {
  const poll = { stream: 'conversations', observed_at: '2026-03-25T10:16:00.000Z', since: '2026-03-01T00:00:00Z' };
  const polled = { poll, data: event.data };

  it('is told by its shape', () => {
    expect(parse(polled)).toEqual({
      ok: true,
      event: {
        eventId: null,
        name: 'poll.conversations',
        resourceType: 'conversation',
        verb: 'observe',
        org: null,
        createdAt: null,
        client: null,
        id: event.data.id,
        rev: 14,
        attributes: event.data.attributes,
        relationships: event.data.relationships,
        changedAttributes: {},
        changedRelationships: {},
        polled: {
          stream: 'conversations',
          observedAtMs: Date.parse(poll.observed_at),
          sinceMs: Date.parse(poll.since),
        },
        enrichment: null,
      },
    });
  });

  it.each([
    ['no observed_at', { ...polled, poll: { ...poll, observed_at: undefined } }, /poll/],
    ['a since that is no time', { ...polled, poll: { ...poll, since: 'yesterday' } }, /poll/],
    ['a poll that is none', { ...polled, poll: 'x' }, /name/],
    ['no data', { poll }, /data/],
    ['data without id', { poll, data: { type: 'customer' } }, /data.id/],
  ])('is refused with %s', (_name, body, message) => {
    expect(parse(body)).toMatchObject({ ok: false, code: 'event_invalid', message: expect.stringMatching(message) });
  });

  it('never is a webhook, whatever else it has', () => {
    expect(parse({ ...event, poll })).toMatchObject({ event: { verb: 'update', polled: null } });
  });

  it.each([
    [
      { orders_state: 'complete', orders: [1] },
      { ordersState: 'complete', orders: [1] },
    ],
    [{ orders_state: 'forbidden' }, { ordersState: 'forbidden', orders: null }],
    [
      { orders_state: 1, orders: {} },
      { ordersState: null, orders: null },
    ],
    ['x', { ordersState: null, orders: null }],
    [null, { ordersState: null, orders: null }],
  ])('has orders, readable or not: %j', (enrichment, expected) => {
    expect(parse({ ...polled, enrichment })).toMatchObject({ event: { enrichment: expected } });
    expect(parse({ ...event, enrichment })).toMatchObject({ event: { enrichment: expected } });
  });
});
