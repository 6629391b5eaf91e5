/** What the flood says each change must lead to, held against the real processor: neither knows the other's code. */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { HEADER } from '../../../src/kafka/headers.ts';
import { floodSends } from '../../../src/simulator/flood/deliveries.ts';
import { envelopeType, MapState, processorTask, rawRecord } from '../../support/event-fixtures.ts';

const TARGET = {
  tenantId: 't_a',
  connectionId: 'cn_a',
  orgId: '57bb00000000000000000001',
  token: 'token',
  url: 'http://127.0.0.1:1/',
};

interface Made {
  readonly event_type: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

describe('expectations of a flood', () => {
  it('are met by the processor, envelope for envelope, under duplicates and reordering', () => {
    const settings = { seed: 'truth', count: 6000, conversations: 300, duplicates: 0.3, reorder: 0.3 };
    const sends = [...floodSends(settings, [TARGET])];
    const { task, outcomes } = processorTask([], {
      // Through Avro, so that the field names and types are those a reader sees.
      encode: (envelope) => Buffer.from(JSON.stringify(envelopeType.fromBuffer(envelopeType.toBuffer(envelope)))),
    });
    const headers = { [HEADER.tenant]: 't_a', [HEADER.connection]: 'cn_a', [HEADER.channel]: 'webhook' };
    const records = sends.map(({ delivery }, offset) => rawRecord(offset, delivery.body, headers));
    const made = task.decide(records, new MapState(), 0).map((append) => JSON.parse(String(append.value)) as Made);
    const madeOf = Map.groupBy(made.map(unwrapped), changeOf);
    const expected = sends.filter((send) => !send.duplicate);
    let envelopes = 0;
    for (const { delivery } of expected) {
      const { type, id, rev } = delivery.event;
      const got = madeOf.get(`${type}:${id}@${rev}`) ?? [];
      expect(got.map((envelope) => envelope.event_type).sort()).toEqual(
        delivery.expect.map((envelope) => envelope.event_type).sort(),
      );
      for (const { event_type, fields } of delivery.expect) {
        const { payload } = got.find((envelope) => envelope.event_type === event_type) as Made;
        for (const [name, wanted] of Object.entries(fields)) {
          if (!isDeepStrictEqual(payload[name], wanted)) expect({ [name]: payload[name] }).toEqual({ [name]: wanted });
        }
      }
      envelopes += got.length;
    }
    expect(envelopes).toBe(made.length);
    expect(outcomes[0]).toMatchObject({ records: sends.length, dead: {}, verdicts: { duplicate: 1800 } });
    expect(outcomes[0]?.late).toBeGreaterThan(100);
  });
});

/** A union branch is wrapped in its record's name. */
function unwrapped({ event_type, payload }: Made): Made {
  const [branch] = Object.values(payload);
  return { event_type, payload: (payload['resource_id'] === undefined ? branch : payload) as Made['payload'] };
}

function changeOf({ payload }: Made): string {
  return `${payload['resource_type']}:${payload['resource_id']}@${payload['revision']}`;
}
