import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENT_NAMES } from '../../../src/kustomer/event-names.ts';
import type { ModelEvent } from '../../../src/simulator/model/event.ts';
import { Organisation, SYSTEM } from '../../../src/simulator/model/organisation.ts';
import { createIds, createRandom } from '../../../src/simulator/model/random.ts';
import { mutate, type Resource } from '../../../src/simulator/model/resource.ts';
import { openConversation, staffOrganisation, trafficStep } from '../../../src/simulator/model/traffic.ts';

const START_MS = Date.parse('2026-03-25T10:00:00.000Z');
const ORG_ID = '57bb00000000000000000001';
const AGENT = { userId: '57bb00000000000000000099', client: 'api-gw' };

function organisation(seed = 's', customerActivity = false): Organisation {
  return new Organisation({ orgId: ORG_ID, name: 'acme', seed, customerActivity });
}

/** A busy organisation's events; `stepMs` 0 lets the clock stand still. */
function traffic(seed: string, steps: number, stepMs: number, customerActivity = false): ModelEvent[] {
  const org = organisation(seed, customerActivity);
  const random = createRandom(seed);
  const events = [...staffOrganisation(org, START_MS)];
  for (let step = 0; step < steps; step += 1) {
    const nowMs = START_MS + step * stepMs;
    const opening = org.conversations.size < 3 || random.chance(0.1);
    events.push(...(opening ? openConversation(org, nowMs, random) : trafficStep(org, nowMs, random)));
  }
  // As it arrives at a receiver: JSON, not our objects.
  return events.map((event) => ({ ...event, body: JSON.parse(JSON.stringify(event.body)) }));
}

function byObject(events: readonly ModelEvent[]): ModelEvent[][] {
  const groups = Map.groupBy(events, (event) => event.id);
  return [...groups.values()];
}

function oneConversation(): { org: Organisation; id: string } {
  const org = organisation();
  const events = org.createConversation(START_MS, { name: 'Where is my order', channel: 'email' });
  return { org, id: (events.at(-1) as ModelEvent).id };
}

function attributes(event: ModelEvent | undefined): Readonly<Record<string, unknown>> {
  return (event as ModelEvent).body.data.attributes;
}

function changes(event: ModelEvent | undefined): Readonly<Record<string, { before: unknown; after: unknown }>> {
  return event?.body.changes?.attributes ?? {};
}

describe('every object of a busy organisation', () => {
  const anyTraffic = fc.tuple(
    fc.string(),
    fc.integer({ min: 1, max: 120 }),
    fc.constantFrom(0, 1, 7_000),
    fc.boolean(),
  );

  it('gains exactly one revision per event, starting at 1 (R1)', () => {
    fc.assert(
      fc.property(anyTraffic, (args) => {
        for (const events of byObject(traffic(...args))) {
          expect(events.map((event) => event.rev)).toEqual(events.map((_, index) => index + 1));
          expect(events.map((event) => attributes(event)['rev'])).toEqual(events.map((event) => event.rev));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('has an updatedAt that moves strictly forward, even when the clock stands still (R2)', () => {
    fc.assert(
      fc.property(anyTraffic, (args) => {
        for (const events of byObject(traffic(...args))) {
          const times = events.map((event) => Date.parse(attributes(event)['updatedAt'] as string));
          for (let at = 1; at < times.length; at += 1) expect(times[at]).toBeGreaterThan(times[at - 1] as number);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('lists in changes exactly what differs between consecutive snapshots (R3)', () => {
    fc.assert(
      fc.property(anyTraffic, (args) => {
        for (const events of byObject(traffic(...args))) {
          for (let at = 1; at < events.length; at += 1) {
            const [before, after] = [events[at - 1] as ModelEvent, events[at] as ModelEvent];
            for (const part of ['attributes', 'relationships'] as const) {
              const expected = differences(before.body.data[part], after.body.data[part]);
              expect(after.body.changes?.[part]).toEqual(expected);
            }
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it('is told of in bodies shaped as the vendor sends them', () => {
    const events = traffic('shape', 2000, 1000, true);
    expect(new Set(events.map((event) => event.name))).toEqual(new Set(EVENT_NAMES));
    expect(new Set(events.map((event) => event.body.id)).size).toBe(events.length);
    for (const { body, rev } of events) {
      expect(body).toMatchObject({
        org: ORG_ID,
        partition: ORG_ID,
        orgName: 'acme',
        persist: true,
        dataId: body.data.id,
      });
      expect(body.id).toMatch(/^[0-9a-f]{24}$/);
      if (rev === 1) expect(body.changes ?? null).toBeNull();
      else expect(Object.keys(body.changes?.attributes ?? {})).toEqual(expect.arrayContaining(['rev', 'updatedAt']));
      if ('client' in body) expect(body.client).toBeTypeOf('string');
    }
    expect(events.some(({ body, rev }) => rev === 1 && body.changes === null)).toBe(true);
    expect(events.some(({ body, rev }) => rev === 1 && !('changes' in body))).toBe(true);
    expect(events.some(({ body }) => !('client' in body))).toBe(true);
    const sizes = events.filter(({ type }) => type === 'conversation').map(({ body }) => JSON.stringify(body).length);
    const meanBytes = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
    expect(meanBytes).toBeGreaterThan(1500);
    expect(meanBytes).toBeLessThan(3000);
  });

  it('comes out the same for the same seed and differently for another', () => {
    const first = JSON.stringify(traffic('one', 300, 10));
    expect(JSON.stringify(traffic('one', 300, 10))).toBe(first);
    const ids = new Set(traffic('one', 300, 10).map((event) => event.id));
    expect(traffic('two', 300, 10).filter((event) => ids.has(event.id))).toEqual([]);
  });
});

function differences(before: Readonly<Record<string, unknown>>, after: Readonly<Record<string, unknown>>): unknown {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  const changed = [...keys].filter((key) => JSON.stringify(before[key] ?? null) !== JSON.stringify(after[key] ?? null));
  return Object.fromEntries(
    changed.map((key) => [key, { op: 'replace', before: before[key] ?? null, after: after[key] ?? null }]),
  );
}

describe('a conversation', () => {
  it('starts with the traps of the vendor: empty objects, no reopenCount, satisfaction 0', () => {
    const org = organisation();
    const [customer, conversation] = org.createConversation(START_MS, {});
    expect(customer?.name).toBe('kustomer.customer.create');
    expect(attributes(conversation)).toMatchObject({
      status: 'open',
      open: { statusAt: '2026-03-25T10:00:00.000Z' },
      snooze: {},
      lastDone: {},
      satisfaction: 0,
      satisfactionLevel: { sentByTeams: [], answers: [] },
      rev: 1,
    });
    expect(attributes(conversation)).not.toHaveProperty('reopenCount');
  });

  it('is reopened by an inbound message, counting from null', () => {
    const { org, id } = oneConversation();
    org.editConversation(START_MS + 1000, id, { status: 'done' }, AGENT);
    const inbound = { direction: 'in', channel: 'email', app: 'postmark', preview: 'Still waiting' } as const;
    const [message, update, ...rest] = org.createMessage(START_MS + 2000, id, inbound);
    expect(rest).toEqual([]);
    expect(message?.name).toBe('kustomer.message.create');
    expect(message?.body.data.relationships['customer']).toMatchObject({ data: { type: 'customers' } });
    expect(changes(update)['status']).toMatchObject({ before: 'done', after: 'open' });
    expect(changes(update)['reopenCount']).toMatchObject({ before: null, after: 1 });
    expect(changes(update)['messageCount']).toMatchObject({ before: 0, after: 1 });
    expect(changes(update)).not.toHaveProperty('modifiedAt');
    org.editConversation(START_MS + 3000, id, { status: 'done' }, AGENT);
    const [again] = org.editConversation(START_MS + 4000, id, { status: 'open' }, AGENT);
    expect(changes(again)['reopenCount']).toMatchObject({ before: 1, after: 2 });
  });

  it('is not reopened by an outbound message, nor counted as reopened from a snooze', () => {
    const { org, id } = oneConversation();
    org.editConversation(START_MS + 1000, id, { status: 'done' }, AGENT);
    const outbound = { direction: 'out', channel: 'email', app: 'postmark', preview: 'On its way' } as const;
    const [, update] = org.createMessage(START_MS + 2000, id, outbound, AGENT);
    expect(changes(update)).not.toHaveProperty('status');
    expect(attributes(update)['firstResponse']).not.toEqual({});
    const other = oneConversation();
    other.org.editConversation(START_MS + 1000, other.id, { status: 'snoozed' }, AGENT);
    const [opened] = other.org.editConversation(START_MS + 2000, other.id, { status: 'open' }, SYSTEM);
    expect(changes(opened)['status']).toMatchObject({ before: 'snoozed', after: 'open' });
    expect(attributes(opened)).not.toHaveProperty('reopenCount');
  });

  it('keeps who and when of a user edit, and of no other', () => {
    const { org, id } = oneConversation();
    const [byRouting] = org.editConversation(
      START_MS + 1000,
      id,
      { assignedUsers: [AGENT.userId] },
      { userId: null, client: 'routing-api' },
    );
    expect(byRouting?.body.client).toBe('routing-api');
    expect(changes(byRouting)['assignedUsers']).toMatchObject({ before: [], after: [AGENT.userId] });
    expect(changes(byRouting)).not.toHaveProperty('modifiedAt');
    const [byAgent] = org.editConversation(START_MS + 2000, id, { tags: ['5f0000000000000000000001'] }, AGENT);
    expect(changes(byAgent)).toHaveProperty('modifiedAt');
    expect(byAgent?.body.data.relationships['modifiedBy']).toEqual({ data: { type: 'user', id: AGENT.userId } });
    expect(attributes(byAgent)['modificationHistory']).toEqual({
      assignedUsersAt: '2026-03-25T10:00:01.000Z',
      tagsAt: '2026-03-25T10:00:02.000Z',
    });
  });

  it('makes no revision of an edit that changes nothing, of an unknown id or a survey out of turn (R4)', () => {
    const { org, id } = oneConversation();
    expect(org.editConversation(START_MS + 1, id, { status: 'open', tags: [] }, AGENT)).toEqual([]);
    expect(org.editConversation(START_MS + 1, 'f'.repeat(24), { status: 'done' }, AGENT)).toEqual([]);
    expect(org.rateSurvey(START_MS + 1, id, { rating: 9, score: 1 })).toEqual([]);
    expect(org.commentSurvey(START_MS + 1, id, 'fine')).toEqual([]);
    expect(org.conversations.get(id)?.rev).toBe(1);
  });

  it('goes through a survey in whole objects', () => {
    const { org, id } = oneConversation();
    org.offerSurvey(START_MS + 1, id, { formId: 'f', channel: 'email', sentBy: null, sentByTeams: [] });
    org.rateSurvey(START_MS + 2, id, { rating: 9, score: 1 });
    const [commented] = org.commentSurvey(START_MS + 3, id, 'Quick');
    expect(changes(commented)['satisfactionLevel']).toMatchObject({
      before: { status: 'rated', rating: 9, answers: [] },
      after: { status: 'commented', rating: 9, score: 1, answers: [{ name: 'comment', value: 'Quick' }] },
    });
    expect(attributes(commented)['satisfaction']).toBe(0);
  });

  it('shows a move to another customer as a change of the relationship', () => {
    const { org, id } = oneConversation();
    const [other] = org.createCustomer(START_MS, { name: 'Ines Silva' });
    const [moved] = org.moveConversation(START_MS + 1, id, (other as ModelEvent).id, AGENT);
    expect(moved?.body.changes?.relationships['customer']?.after).toMatchObject({ data: { id: other?.id } });
    expect(Object.keys(changes(moved)).sort()).toEqual(['modifiedAt', 'rev', 'updatedAt']);
  });

  it('stamps its customer when activity is simulated', () => {
    const org = organisation('s', true);
    const events = org.createConversation(START_MS, {});
    expect(events.map((event) => event.name)).toEqual([
      'kustomer.customer.create',
      'kustomer.conversation.create',
      'kustomer.customer.update',
    ]);
    expect(attributes(events[2])['conversationCounts']).toEqual({ done: 0, open: 1, snoozed: 0, all: 1 });
  });
});

describe('mutate', () => {
  it('leaves the old object as it was (R5)', () => {
    const { org, id } = oneConversation();
    const before = org.conversations.get(id) as Resource;
    const kept = structuredClone(before);
    expect(mutate(before, { attributes: { priority: 1 } }, {}, START_MS + 5)?.resource.attributes['priority']).toBe(1);
    expect(before).toEqual(kept);
  });

  it('does not count stamps as a change (R4)', () => {
    const { org, id } = oneConversation();
    const before = org.conversations.get(id) as Resource;
    expect(mutate(before, {}, { attributes: { modifiedAt: 'later' } }, START_MS + 5)).toBeNull();
  });
});

describe('ids', () => {
  it('never meet across seeds and never repeat within one', () => {
    const [a, b] = [createIds('a'), createIds('b')];
    const ids = Array.from({ length: 5000 }, (_, at) => [a(START_MS + at), b(START_MS + at)]).flat();
    expect(new Set(ids).size).toBe(10_000);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{24}$/);
  });
});
