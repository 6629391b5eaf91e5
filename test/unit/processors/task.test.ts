import { describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import { HEADER } from '../../../src/kafka/headers.ts';
import type { Append, LogRecord } from '../../../src/kafka/port.ts';
import { topicNames } from '../../../src/kafka/topics.ts';
import { createProcessorTask } from '../../../src/processors/task.ts';
import {
  connectionOf,
  envelopeType,
  eventFixtures,
  expectedForm,
  MapState,
  processorTask,
  rawRecord,
  rawRecordsOf,
} from '../../support/event-fixtures.ts';

const [, fixture] = eventFixtures().find(([name]) => name === 'status-reopened.json') as ReturnType<
  typeof eventFixtures
>[number];
const connection = connectionOf(fixture);
const HEADERS = { [HEADER.tenant]: 't_acme', [HEADER.connection]: 'cn_acme', [HEADER.channel]: 'webhook' };
const GOOD = rawRecordsOf(fixture)[0]?.value as Buffer;
const BAD = Buffer.from('{"name": "kustomer.conv');
/** JSON, but no event of ours: it could be our fault, and counts. */
const INVALID = Buffer.from('{"name": "kustomer.conversation.update", "data": null}');

const good = (offset: number, partition = 0): LogRecord => {
  const body = GOOD.toString().replaceAll('65aa000000000000000000c1', `c${partition}-${offset}`);
  return rawRecord(offset, Buffer.from(body), HEADERS, partition);
};
const malformed = (offset: number, partition = 0): LogRecord => rawRecord(offset, BAD, HEADERS, partition);
const bad = (offset: number, partition = 0): LogRecord => rawRecord(offset, INVALID, HEADERS, partition);
const texts = (append: Append | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(append?.headers ?? {}).map(([name, value]) => [name, String(value)]));

describe('records that cannot be processed', () => {
  it('go to the dead letters as they are, with their cause and where they came from; the others go on', () => {
    const { task, outcomes } = processorTask([connection]);
    const appends = task.decide([good(7), malformed(8), good(9)], new MapState(), 0);
    expect(appends.map(({ topic }) => topic)).toEqual([
      'fibric.events.t_acme',
      'kustomer.dead',
      'fibric.events.t_acme',
    ]);
    expect(appends[1]).toMatchObject({ key: Buffer.from('a-resource'), value: BAD, partition: 0 });
    expect(texts(appends[1])).toEqual({
      ...HEADERS,
      error_code: 'body_malformed',
      error_message: 'the body is not a JSON object',
      source_topic: 'kustomer.raw',
      source_partition: '0',
      source_offset: '8',
    });
    expect(outcomes[0]).toMatchObject({ records: 3, dead: { body_malformed: 1 }, verdicts: { emitted: 2 } });
  });

  it.each([
    ['no tenant', GOOD, { [HEADER.connection]: 'cn_acme' }, 'record_unattributed'],
    ['a tenant that cannot be part of a topic name', GOOD, { ...HEADERS, tenant: '../x' }, 'record_unattributed'],
    ['no connection', GOOD, { [HEADER.tenant]: 't_acme' }, 'record_unattributed'],
    ['no value', null, HEADERS, 'body_malformed'],
    ['a list', Buffer.from('[]'), HEADERS, 'body_malformed'],
    ['no event', Buffer.from('{}'), HEADERS, 'event_invalid'],
  ])('%s', (_name, value, headers, code) => {
    const state = new MapState();
    const [append, ...rest] = processorTask([connection]).task.decide([rawRecord(3, value, headers)], state, 0);
    expect(append?.topic).toBe('kustomer.dead');
    expect(append?.value).toBe(value);
    expect(texts(append).error_code).toBe(code);
    expect(rest).toEqual([]);
    expect([...state.map.keys()]).toEqual(code === 'event_invalid' ? ['~dead-letters/0'] : []);
  });

  it('an envelope the schema refuses: nothing of the record is kept, it can be replayed', () => {
    const state = new MapState();
    const refusing = processorTask([connection], {
      encode: () => {
        throw new Error('invalid "string": undefined');
      },
    });
    const [append] = refusing.task.decide([good(1)], state, 0);
    expect(texts(append)).toMatchObject({ error_code: 'envelope_unencodable' });
    expect(refusing.outcomes[0]).toMatchObject({
      dead: { envelope_unencodable: 1 },
      envelopes: {},
      verdicts: { emitted: 0 },
    });
    expect([...state.map.keys()]).toEqual(['~dead-letters/0']);
    const [again] = processorTask([connection]).task.decide([good(1)], state, 0);
    expect(again?.topic).toBe('fibric.events.t_acme');
  });

  it('an encoder that is not ready is no fault of the record', () => {
    const notReady = () => {
      throw new CodedError('registry_unavailable', 'no schema id yet');
    };
    const { task } = processorTask([connection], { encode: notReady });
    expect(() => task.decide([good(1)], new MapState(), 0)).toThrow('no schema id yet');
  });
});

describe('the limit on dead letters', () => {
  const limit = { maxConsecutive: 5, windowRecords: 20 };
  const limited = () => processorTask([connection], { deadLetterLimit: limit });
  const reached = expect.objectContaining({ code: 'dead_letter_limit', disposition: 'fatal' });

  it('D2 D3: a run of failures stops the partition before the batch can be committed', () => {
    const { task, outcomes } = limited();
    const batch = Array.from({ length: 5 }, (_, i) => bad(i));
    expect(() => task.decide(batch, new MapState(), 0)).toThrow(reached);
    expect(outcomes).toEqual([]);
  });

  it('counts over batches and restarts, because the tally is in the state', () => {
    const state = new MapState();
    for (let i = 0; i < 4; i++) expect(limited().task.decide([bad(i)], state, 0).length).toBe(1);
    expect(() => limited().task.decide([bad(4)], state, 0)).toThrow(reached);
    expect(() => limited().task.decide([bad(4)], state, 0)).toThrow(reached);
  });

  it('counts a batch once that is decided again after a failed transaction', () => {
    const committed = new MapState();
    for (let attempt = 0; attempt < 10; attempt++) {
      const uncommitted = new MapState();
      for (const [key, value] of committed.map) uncommitted.map.set(key, value);
      expect(limited().task.decide([bad(0), bad(1), bad(2), bad(3)], uncommitted, 0).length).toBe(4);
    }
  });

  it('D2: most records of a window failing is too many, even with good ones between', () => {
    const { task } = limited();
    const state = new MapState();
    const mixed = Array.from({ length: 20 }, (_, i) => (i % 5 === 4 ? good(i) : bad(i)));
    expect(() => task.decide(mixed, state, 0)).toThrow(reached);
  });

  it('D1: fewer than half never stop it, and the tally is forgotten after its window', () => {
    const { task } = limited();
    const state = new MapState();
    for (let i = 0; i < 400; i++) task.decide([i % 3 === 0 && i < 380 ? bad(i) : good(i)], state, 0);
    expect(state.map.has('~dead-letters/0')).toBe(false);
  });

  it('regression D0: malformed bodies of one sender stopped a shard for all', () => {
    const { task, outcomes } = limited();
    const state = new MapState();
    const bodies = Array.from({ length: 100 }, (_, i) => malformed(i));
    const unattributed = Array.from({ length: 100 }, (_, i) => rawRecord(100 + i, GOOD, {}));
    expect(task.decide([...bodies, ...unattributed], state, 0).length).toBe(200);
    expect(outcomes[0]).toMatchObject({ dead: { body_malformed: 100, record_unattributed: 100 } });
    expect([...state.map.keys()]).toEqual([]);
  });

  it('D0: a malformed body neither extends nor breaks a run of failures that count', () => {
    const { task } = limited();
    const state = new MapState();
    const between = Array.from({ length: 4 }, (_, i) => [bad(2 * i), malformed(2 * i + 1)]).flat();
    expect(task.decide(between, state, 0).length).toBe(8);
    expect(() => task.decide([bad(8)], state, 0)).toThrow(reached);
  });

  it('is kept per partition', () => {
    const { task } = limited();
    const batch = [0, 1, 2, 3].flatMap((i) => [bad(i, 0), bad(i, 1)]);
    expect(task.decide(batch, new MapState(), 0).length).toBe(8);
  });

  it('writes nothing to the state while all is well', () => {
    const state = new MapState();
    limited().task.decide([good(1)], state, 0);
    expect([...state.map.keys()]).toEqual(['t_acme/cn_acme/conversation:c0-1']);
  });
});

describe('whose event it is', () => {
  it('a connection that is no longer known: the tenant of the header, no reseller, no extended events', () => {
    const [append] = processorTask([]).task.decide([good(1)], new MapState(), 0);
    const { envelope } = expectedForm(append as Append);
    expect(envelope).toMatchObject({ tenant_id: 't_acme', reseller_id: null, workspace_id: null });
    expect((envelope.payload as { echo: unknown }).echo).toBeNull();
  });

  it("never another tenant's settings: a connection of another tenant counts as unknown", () => {
    const other = { ...connection, tenantId: 't_other', resellerId: 'r_other', workspaceId: 'ws_other' };
    const [append] = processorTask([other]).task.decide([good(1)], new MapState(), 0);
    expect(append?.topic).toBe('fibric.events.t_acme');
    expect(expectedForm(append as Append).envelope).toMatchObject({ reseller_id: null, workspace_id: null });
  });

  it('the same change at two tenants or connections is two changes', () => {
    const { task } = processorTask([]);
    const state = new MapState();
    const headers = [HEADERS, { ...HEADERS, tenant: 't_two' }, { ...HEADERS, connection: 'cn_two' }, HEADERS];
    const appends = task.decide(
      headers.map((h, i) => rawRecord(i, GOOD, h)),
      state,
      0,
    );
    expect(appends.map(({ topic }) => topic)).toEqual([
      'fibric.events.t_acme',
      'fibric.events.t_two',
      'fibric.events.t_acme',
    ]);
    const ids = appends.map((append) => envelopeType.fromBuffer(append.value as Buffer).event_id);
    expect(new Set(ids).size).toBe(3);
  });
});

describe('what must exist before a batch is decided', () => {
  it('is asked for once per tenant, and only for tenants that can have a topic', async () => {
    const asked: string[] = [];
    const { task } = processorTask([], {
      ensureTenantTopic: (tenantId) => {
        asked.push(tenantId);
        return tenantId === 't_new' ? Promise.resolve() : undefined;
      },
    });
    const of = (tenant: string) => rawRecord(0, GOOD, { ...HEADERS, tenant });
    expect(task.prepare([of('t_acme'), of('t_acme'), of('no topic'), rawRecord(1, GOOD, {})])).toBeUndefined();
    expect(asked).toEqual(['t_acme']);
    await expect(task.prepare([of('t_acme'), of('t_new')])).resolves.toBeUndefined();
  });

  it('regression: a tenant whose topic the broker refused held up all tenants of its shard', () => {
    const refused = new Set(['t_refused']);
    const { task, outcomes } = processorTask([connection], {
      topicRefusal: (tenantId) => (refused.has(tenantId) ? 'Creating topic t_refused: policy violation' : undefined),
    });
    const state = new MapState();
    const of = (tenant: string, offset: number) => rawRecord(offset, GOOD, { ...HEADERS, tenant });
    const many = Array.from({ length: 150 }, (_, i) => of('t_refused', i + 2));
    const appends = task.decide([of('t_refused', 0), of('t_acme', 1), ...many], state, 0);
    expect(appends[1]?.topic).toBe('fibric.events.t_acme');
    expect(texts(appends[0])).toMatchObject({
      error_code: 'topic_invalid',
      error_message: 'Creating topic t_refused: policy violation',
    });
    expect(outcomes[0]).toMatchObject({ dead: { topic_invalid: 151 }, verdicts: { emitted: 1 } });
    expect([...state.map.keys()].filter((key) => key.startsWith('t_refused') || key.startsWith('~'))).toEqual([]);

    refused.clear(); // replayed once the topic is there, nothing is missing
    expect(task.decide([of('t_refused', 200)], state, 0)[0]?.topic).toBe('fibric.events.t_refused');
  });

  it('fails when the topic cannot be made', async () => {
    const { task } = processorTask([], { ensureTenantTopic: () => Promise.reject(new Error('no brokers')) });
    await expect(task.prepare([good(1)])).rejects.toThrow('no brokers');
  });
});

describe('regression: a body nested deeper than the stack ended the process, again after each restart', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const survey = (answers: string) => `"changes":{"attributes":{"satisfactionLevel":{"before":null,"after":
    {"formResponse":"r1","status":"rated","rating":1,"answers":${answers}}}}}`;
  const body = (id: string, attributes: string, rest = '') =>
    Buffer.from(`{"name":"kustomer.conversation.update","data":{"type":"conversation","id":"${id}",
      "attributes":${attributes}}${rest === '' ? '' : `,${rest}`}}`);

  it.each([
    ['told apart by its content', body('c1', `{"custom":{"aTree":${deep}}}`)],
    ['in an answer', body('c1', '{"rev":7}', survey(deep))],
    ['in an answer without revision', body('c1', `{"aTree":${deep}}`, survey(deep))],
  ])('%s', (_name, value) => {
    const settings = { ...connection, settings: { ...connection.settings, extendedEvents: true } };
    const { task, outcomes } = processorTask([settings]);
    const state = new MapState();
    const first = task.decide([rawRecord(3, value, HEADERS)], state, 0);
    expect(first.length).toBeGreaterThan(0);
    expect(outcomes[0]).toMatchObject({ verdicts: { emitted: 1 }, dead: {} });
    expect(task.decide([rawRecord(4, value, HEADERS)], state, 0)).toEqual([]);
  });
});

it('regression: the first webhooks of a new connection were processed before its settings had arrived', async () => {
  const asked: string[] = [];
  const arrived = Promise.withResolvers<void>();
  const task = createProcessorTask({
    topics: topicNames(''),
    connections: new Map(),
    encode: () => Buffer.alloc(0),
    ensureTenantTopic: () => undefined,
    awaitConnection: (connectionId) => {
      asked.push(connectionId);
      return arrived.promise;
    },
    onOutcome: () => undefined,
  });
  let prepared = false;
  const preparing = task.prepare([good(1), good(2)])?.then(() => {
    prepared = true;
  });
  expect(asked).toEqual(['cn_acme']);
  await Promise.resolve();
  expect(prepared).toBe(false);
  arrived.resolve();
  await preparing;
  expect(prepared).toBe(true);
});

it('regression: an envelope larger than its topic takes was refused by the broker for ever', () => {
  const { task, outcomes } = processorTask([connection]);
  // Within the limit of a body; the id comes into the key, the change_id and the payload.
  const body = GOOD.toString().replaceAll('65aa000000000000000000c1', 'i'.repeat(480_000));
  const state = new MapState();
  const appends = task.decide([good(1), rawRecord(2, Buffer.from(body), HEADERS), good(3)], state, 0);
  expect(appends.map(({ topic }) => topic)).toEqual(['fibric.events.t_acme', 'kustomer.dead', 'fibric.events.t_acme']);
  expect(outcomes[0]).toMatchObject({ dead: { envelope_unencodable: 1 }, verdicts: { emitted: 2 } });
  expect([...state.map.keys()].filter((key) => key.length > 1000)).toEqual([]);
});

it('regression: of two updates that share one snapshot and tell no revision, the second was lost', () => {
  const { task, outcomes } = processorTask([connection]);
  const body = (eventId: string, before: string, after: string) =>
    Buffer.from(
      JSON.stringify({
        id: eventId,
        name: 'kustomer.conversation.update',
        data: { type: 'conversation', id: 'c1', attributes: { status: 'done', rev: 15 } },
        changes: { attributes: { status: { op: 'replace', before, after } } },
      }),
    );
  const bodies = [body('e1', 'open', 'snoozed'), body('e2', 'snoozed', 'done'), body('e1', 'open', 'snoozed')];
  const appends = task.decide(
    bodies.map((value, offset) => rawRecord(offset, value, HEADERS)),
    new MapState(),
    0,
  );
  expect(appends.map((append) => texts(append).change_id)).toEqual([
    'kustomer:conversation:c1:status:snoozed#event-e1',
    'kustomer:conversation:c1:status:done#event-e2',
  ]);
  expect(outcomes[0]).toMatchObject({ verdicts: { emitted: 2, duplicate: 1 } });
});

describe('a customer on the way to its orders', () => {
  const asking = { ...connection, hasApiKey: true, settings: { ...connection.settings, orderKlass: 'order' } };
  const update = (rev: number, more: object = {}) =>
    Buffer.from(
      JSON.stringify({
        name: 'kustomer.customer.update',
        data: { type: 'customer', id: 'u1', attributes: { rev } },
        changes: { attributes: { rev: { before: rev - 1, after: rev } } },
        ...more,
      }),
    );
  const enriched = (rev: number) => update(rev, { enrichment: { orders_state: 'skipped' } });
  const polledCustomer = Buffer.from(
    JSON.stringify({
      poll: { stream: 'customers', observed_at: '2026-03-02T00:00:00.000Z', since: '2026-01-01T00:00:00.000Z' },
      data: {
        type: 'customer',
        id: 'u1',
        attributes: { rev: 5, createdAt: '2026-03-01T00:00:00.000Z', updatedAt: '2026-03-01T00:00:01.000Z' },
      },
    }),
  );

  it('is passed on as it came, to the partition of the same number, and nothing of it is remembered', () => {
    const { task, outcomes } = processorTask([asking]);
    const state = new MapState();
    const record = rawRecord(1, update(5), { ...HEADERS, [HEADER.receivedAt]: '7' }, 3);
    const [append, ...rest] = task.decide([record], state, 0);
    expect(append).toEqual({
      topic: 'kustomer.enrich',
      partition: 3,
      key: record.key,
      value: record.value,
      headers: record.headers,
    });
    expect(rest).toEqual([]);
    expect(state.map.size).toBe(0);
    expect(outcomes[0]).toMatchObject({ verdicts: { deferred: 1, emitted: 0 }, envelopes: {} });
  });

  it('is published when it comes back, once, in order and not late', () => {
    const { task } = processorTask([asking]);
    const state = new MapState();
    const bodies = [update(5), update(6), update(5), enriched(5), enriched(6), enriched(5), update(6)];
    const records = bodies.map((body, offset) => rawRecord(offset, body, HEADERS));
    const appends = records.flatMap((record) => task.decide([record], state, 0));
    expect(appends.map(({ topic }) => topic)).toEqual([
      'kustomer.enrich',
      'kustomer.enrich',
      'kustomer.enrich',
      'fibric.events.t_acme',
      'fibric.events.t_acme',
    ]);
    const payloads = appends.slice(3).map((append) => expectedForm(append).envelope['payload']);
    expect(payloads).toMatchObject([
      { revision: 5, late: false, orders_state: 'skipped', orders: null },
      { revision: 6, late: false },
    ]);
  });

  it('leaves behind what need not wait: the creation that the same poll shows', () => {
    const extended = { ...asking, settings: { ...asking.settings, extendedEvents: true } };
    const { task, outcomes } = processorTask([extended]);
    const state = new MapState();
    const twice = [rawRecord(1, polledCustomer, HEADERS), rawRecord(2, polledCustomer, HEADERS)];
    const appends = task.decide(twice, state, 0);
    expect(appends.map(({ topic, headers }) => [topic, texts({ topic, headers } as Append)['event_type']])).toEqual([
      ['fibric.events.t_acme', 'customer.created'],
      ['kustomer.enrich', undefined],
      ['kustomer.enrich', undefined],
    ]);
    expect(outcomes[0]).toMatchObject({ verdicts: { deferred: 2 }, envelopes: { 'customer.created': 1 } });
    const back = Buffer.from(
      JSON.stringify({ ...JSON.parse(String(polledCustomer)), enrichment: { orders_state: 'forbidden' } }),
    );
    const [update] = task.decide([rawRecord(3, back, HEADERS)], state, 0);
    expect(expectedForm(update as Append).envelope['payload']).toMatchObject({
      revision: 5,
      late: false,
      orders_state: 'forbidden',
    });
  });

  it('never goes round again for an enrichment that cannot be read', () => {
    const { task } = processorTask([asking]);
    for (const [offset, enrichment] of [null, 'x', [], {}, { orders_state: 'what', orders: 1 }].entries()) {
      const [append] = task.decide([rawRecord(offset, update(offset + 2, { enrichment }), HEADERS)], new MapState(), 0);
      expect(append?.topic).toBe('fibric.events.t_acme');
      expect(expectedForm(append as Append).envelope['payload']).toMatchObject({
        orders: null,
        orders_state: 'unavailable',
      });
    }
  });

  it.each([
    ['without a key', { hasApiKey: false }],
    ['without a klass', { settings: { ...asking.settings, orderKlass: null } }],
    ["that is another tenant's", { tenantId: 't_other' }],
  ])('is none for a connection %s', (_name, more) => {
    const { task } = processorTask([{ ...asking, ...more }]);
    const [append] = task.decide([rawRecord(1, update(5), HEADERS)], new MapState(), 0);
    expect(append?.topic).toBe('fibric.events.t_acme');
    expect(expectedForm(append as Append).envelope['payload']).toMatchObject({ orders: null, orders_state: null });
  });
});
