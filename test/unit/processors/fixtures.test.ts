import { describe, expect, it } from 'vitest';
import { EVENT_TYPES } from '../../../src/fibric/events/index.ts';
import { HEADER } from '../../../src/kafka/headers.ts';
import {
  connectionOf,
  ENVELOPE_FIELDS,
  eventFixtures,
  expectedForm,
  MapState,
  processorTask,
  rawRecordsOf,
} from '../../support/event-fixtures.ts';

const fixtures = eventFixtures();

describe('raw bodies in, envelopes out', () => {
  it.each(fixtures)('%s', (_name, fixture) => {
    const { task, outcomes } = processorTask([connectionOf(fixture)]);
    const records = rawRecordsOf(fixture);
    const state = new MapState();

    const appends = task.decide(records, state, 0);

    expect(appends.map(expectedForm)).toEqual(fixture.expected);
    expect(appends.every((append) => append.topic === 'fibric.events.t_acme')).toBe(true);
    expect(outcomes[0]?.dead).toEqual({});
    expect(outcomes[0]?.records).toBe(records.length);

    // I6: the group is rewound and the same raw records come again: the output is as it was, and so is the state.
    const before = new Map([...state.map].map(([key, bytes]) => [key, bytes.toString('hex')]));
    expect(task.decide(records, state, 0)).toEqual([]);
    expect(new Map([...state.map].map(([key, bytes]) => [key, bytes.toString('hex')]))).toEqual(before);
    expect(outcomes[1]?.verdicts.emitted).toBe(0);
    expect(outcomes[1]?.verdicts.duplicate).toBe(0);
  });

  it('decides alike however the records are cut into batches', () => {
    for (const [, fixture] of fixtures) {
      const { task } = processorTask([connectionOf(fixture)]);
      const state = new MapState();
      const appends = rawRecordsOf(fixture).flatMap((record) => task.decide([record], state, 0));
      expect(appends.map(expectedForm)).toEqual(fixture.expected);
    }
  });

  it('covers every event type', () => {
    const covered = new Set(
      fixtures.flatMap(([, { expected }]) => expected.map(({ envelope }) => envelope.event_type)),
    );
    expect([...covered].sort()).toEqual(EVENT_TYPES.map(({ type }) => type).sort());
  });

  it('has exactly the ten fields, in order, and payloads without gaps', () => {
    for (const { envelope } of fixtures.flatMap(([, { expected }]) => expected)) {
      expect(Object.keys(envelope)).toEqual(ENVELOPE_FIELDS);
      const definition = EVENT_TYPES.find(({ type }) => type === envelope.event_type);
      expect(Object.keys(envelope.payload as object)).toEqual(definition?.fields.map(({ name }) => name));
    }
  });

  it('passes on what is measured and traced, and names the change and the schema', () => {
    const [, fixture] = fixtures.find(([name]) => name === 'status-reopened.json') as (typeof fixtures)[number];
    const [first] = rawRecordsOf(fixture);
    if (first === undefined) throw new Error('the fixture has a delivery');
    const record = {
      ...first,
      headers: {
        ...first.headers,
        [HEADER.receivedAt]: Buffer.from('1774433742000'),
        [HEADER.traceparent]: Buffer.from('00-aa-bb-01'),
      },
    };
    const [append] = processorTask([connectionOf(fixture)]).task.decide([record], new MapState(), 0);
    const headers = Object.fromEntries(Object.entries(append?.headers ?? {}).map(([k, v]) => [k, String(v)]));
    expect(headers).toEqual({
      change_id: fixture.expected[0]?.change_id,
      event_type: 'conversation.status.changed',
      schema: 'fibric.kustomer.Envelope/2',
      connection: 'cn_acme',
      received_at: '1774433742000',
      traceparent: '00-aa-bb-01',
    });
    expect(append?.partition).toBeUndefined();
  });
});
