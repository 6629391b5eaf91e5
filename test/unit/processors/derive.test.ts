import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONNECTION_SETTINGS } from '../../../src/fibric/connection.ts';
import type { KustomerEvent } from '../../../src/kustomer/event.ts';
import { parseEvent } from '../../../src/kustomer/parse.ts';
import { derive } from '../../../src/processors/derive.ts';
import { envelopeRecord } from '../../../src/processors/envelope.ts';
import { satisfactionIdentity, statusIdentity, statusTime } from '../../../src/processors/identity.ts';
import { envelopeType } from '../../support/event-fixtures.ts';

const SETTINGS = { ...CONNECTION_SETTINGS, extendedEvents: true, machineUserId: 'u1' };
const ATTRIBUTION = { tenantId: 't', connectionId: 'c', resellerId: null, workspaceId: null };

function update(
  attributes: object,
  changed: Record<string, [unknown, unknown]>,
  rev: number | null = 7,
): KustomerEvent {
  const entries = Object.entries(changed).map(([name, [before, after]]) => [name, { op: 'replace', before, after }]);
  return {
    eventId: 'e1',
    name: 'kustomer.conversation.update',
    resourceType: 'conversation',
    verb: 'update',
    org: null,
    createdAt: '2026-03-25T10:00:00.500Z',
    client: null,
    id: 'c1',
    rev,
    attributes: attributes as KustomerEvent['attributes'],
    relationships: {},
    changedAttributes: Object.fromEntries(entries),
    changedRelationships: {},
    polled: null,
    enrichment: null,
  };
}

const statusOf = (event: KustomerEvent) =>
  derive(event, SETTINGS)?.candidates.find(({ eventType }) => eventType === 'conversation.status.changed');

const T1 = '2026-03-25T10:00:00.000Z';
const T2 = '2026-03-25T10:00:01.000Z';
const polled = () => undefined;

describe('the time of a status move', () => {
  it.each([
    ['open', { open: { statusAt: T1 } }],
    ['snoozed', { snooze: { status: 'scheduled', statusAt: T1 } }],
    ['done', { lastDone: { createdAt: T1 } }],
    ['done', { lastDone: { createdAt: T2 }, modificationHistory: { statusAt: T1 } }],
    ['waiting', { modificationHistory: { statusAt: T1 } }],
  ])('%s: a webhook and a poll of %j give the same identity', (status, times) => {
    const attributes = { status, ...times };
    const webhook = statusOf(update(attributes, { status: ['other', status] }));
    expect(webhook?.identity).toBe(statusIdentity('c1', status, T1));
    expect(statusTime(status, attributes, polled)).toBe(T1);
    expect(webhook?.occurredAt).toBe(T1);
  });

  it('is not taken from a snapshot that has moved on', () => {
    const candidate = statusOf(update({ status: 'done', open: { statusAt: T1 } }, { status: ['done', 'open'] }));
    expect(candidate?.identity).toBe('conversation:c1:status:open#7');
    expect(candidate?.occurredAt).toBe('2026-03-25T10:00:00.500Z');
  });

  it('is taken from the change itself even then', () => {
    const changed: Record<string, [unknown, unknown]> = {
      status: ['done', 'open'],
      modificationHistory: [{}, { statusAt: T1 }],
    };
    const event = update({ status: 'done', modificationHistory: { statusAt: T2 } }, changed);
    expect(statusOf(event)?.identity).toBe(statusIdentity('c1', 'open', T1));
  });

  it.each([{}, { open: {} }, { open: null }, { open: { statusAt: 'yesterday' } }, { open: { statusAt: 1 } }])(
    'falls back to the revision for %j, and to the event without one',
    (times) => {
      const attributes = { status: 'open', ...times };
      expect(statusOf(update(attributes, { status: ['done', 'open'] }))?.identity).toMatch(/:open#7$/);
      expect(statusOf(update(attributes, { status: ['done', 'open'] }, null))?.identity).toMatch(/:open#event-e1$/);
    },
  );
});

describe('a reopen', () => {
  const payloadOf = (event: KustomerEvent) => {
    const candidate = statusOf(event);
    if (candidate === undefined) throw new Error('no move of the status');
    const emission = { candidate, identity: candidate.identity, late: false, known: null };
    return envelopeRecord(emission, event, { via: 'webhook', machineUserId: null }, ATTRIBUTION).envelope
      .payload as unknown as Record<
      string,
      { readonly reopened: boolean | null; readonly reopen_count: number | null }
    >;
  };
  const COUNTED: [unknown, unknown] = [2, 3];

  it.each([
    ['done → open', { status: ['done', 'open'] }, true],
    ['regression: snoozed → open, counted', { status: ['snoozed', 'open'], reopenCount: COUNTED }, true],
    ['snoozed → open, counted for the first time', { status: ['snoozed', 'open'], reopenCount: [null, 1] }, true],
    ['unknown → open, counted', { status: [undefined, 'open'], reopenCount: COUNTED }, true],
    ['snoozed → open, not counted', { status: ['snoozed', 'open'] }, false],
    ['snoozed → open, the count falling', { status: ['snoozed', 'open'], reopenCount: [3, 2] }, false],
    ['open → done, counted', { status: ['open', 'done'], reopenCount: COUNTED }, false],
    ['unknown → open, not counted', { status: [undefined, 'open'] }, null],
  ] as [string, Record<string, [unknown, unknown]>, boolean | null][])('%s', (_name, changed, reopened) => {
    const [payload] = Object.values(payloadOf(update({ status: 'open' }, changed)));
    expect(payload?.reopened).toBe(reopened);
  });

  it('regression: the count was that of a snapshot which had moved on, not that of the change', () => {
    const count = (changed: Record<string, [unknown, unknown]>) =>
      Object.values(payloadOf(update({ reopenCount: 9 }, { status: ['done', 'open'], ...changed })))[0]?.reopen_count;
    expect(count({ reopenCount: COUNTED })).toBe(3);
    expect(count({ reopenCount: [1, null] })).toBe(9);
    expect(count({})).toBe(9);
  });
});

describe('what is no change', () => {
  it.each([
    ['the same status again', { status: ['open', 'open'] }],
    ['a status that is no text', { status: ['open', null] }],
    ['a survey that was only sent', { satisfactionLevel: [{}, { status: 'offered' }] }],
    ['a survey nobody answered', { satisfactionLevel: [{ status: 'offered' }, { status: 'unresponded' }] }],
    ['no survey at all', { satisfactionLevel: [null, {}] }],
    ['the legacy default of satisfaction', { satisfaction: [null, 0] }],
  ] as [string, Record<string, [unknown, unknown]>][])('%s', (_name, changed) => {
    const derived = derive(update({ status: 'open' }, changed), { ...SETTINGS, extendedEvents: false });
    expect(derived?.candidates).toEqual([]);
  });

  it('an answer is told by its response, state, figures and time, alike for both paths', () => {
    const answer = { formResponse: 'r1', status: 'rated', score: 1, rating: 9, updatedAt: T1 };
    const derived = derive(update({}, { satisfactionLevel: [{ status: 'offered' }, answer] }), SETTINGS);
    expect(derived?.candidates[0]).toMatchObject({
      eventType: 'conversation.satisfaction.updated',
      identity: `conversation:c1:satisfaction:r1:rated:1:9@${T1}`,
      occurredAt: T1,
    });
    expect(satisfactionIdentity('c1', answer)).toBe(derived?.candidates[0]?.identity);
    expect(satisfactionIdentity('c1', { status: 'rated' })).toBe('conversation:c1:satisfaction:-:rated:-:-@-');
  });
});

describe('any body at all', () => {
  const NAMES = ['status', 'tags', 'custom', 'open', 'snooze', 'lastDone', 'satisfactionLevel', 'modificationHistory'];
  const TIMES = [
    'createdAt',
    'updatedAt',
    'modifiedAt',
    'emails',
    'phones',
    'assignedUsers',
    'rev',
    'priority',
    'name',
  ];
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom(T1, T2, 'open', 'done', '', '\ud800', 1e300, -0),
  );
  const object = fc.dictionary(fc.oneof(fc.constantFrom(...NAMES, ...TIMES), fc.string()), value);
  const change = fc.oneof(fc.record({ op: value, before: value, after: fc.oneof(value, object) }), value);
  const body = fc.record({
    id: fc.oneof(fc.string(), value),
    name: fc
      .tuple(
        fc.constantFrom('conversation', 'message', 'customer', 'user', 'team', 'tag', 'constructor'),
        fc.constantFrom('create', 'update', 'toString'),
      )
      .map(([type, verb]) => `kustomer.${type}.${verb}`),
    createdAt: value,
    client: value,
    data: fc.record({
      type: fc.constantFrom('conversation', 'customers', 'message', 'user', 'team', 'tag', '__proto__'),
      id: fc.string({ minLength: 1 }),
      attributes: fc.oneof(object, value),
      relationships: fc.oneof(
        fc.dictionary(
          fc.constantFrom('customer', 'conversation', 'createdBy', 'modifiedBy', 'queue'),
          fc.oneof(fc.record({ data: fc.oneof(fc.record({ type: value, id: value }), value) }), value),
        ),
        value,
      ),
    }),
    changes: fc.oneof(
      fc.record({ attributes: fc.dictionary(fc.constantFrom(...NAMES, ...TIMES), change), relationships: object }),
      value,
    ),
  });

  it('is derived without throwing, and every envelope fits its schema and survives the round trip', () => {
    let derivedCount = 0;
    fc.assert(
      fc.property(body, (raw) => {
        const parsed = parseEvent(Buffer.from(JSON.stringify(raw)));
        if (!parsed.ok) return;
        const derived = derive(parsed.event, SETTINGS);
        for (const candidate of derived?.candidates ?? []) {
          derivedCount++;
          const emission = { candidate, identity: candidate.identity, late: false, known: null };
          const observer = { via: 'webhook', machineUserId: 'u1' } as const;
          const { envelope, headers } = envelopeRecord(emission, parsed.event, observer, ATTRIBUTION);
          const decoded = envelopeType.fromBuffer(envelopeType.toBuffer(envelope));
          expect(JSON.parse(JSON.stringify(decoded))).toEqual(JSON.parse(JSON.stringify(envelope)));
          expect(headers.change_id).toBe(`kustomer:${candidate.identity}`);
        }
      }),
      { numRuns: 3000 },
    );
    expect(derivedCount).toBeGreaterThan(500);
  });
});
