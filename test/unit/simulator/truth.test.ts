/** The oracle of convergence: the processor's envelopes pass it, and every way to be wrong is found. */
import { beforeAll, describe, expect, it } from 'vitest';
import { HEADER } from '../../../src/kafka/headers.ts';
import type { ModelEvent } from '../../../src/simulator/model/event.ts';
import { Organisation } from '../../../src/simulator/model/organisation.ts';
import { createRandom } from '../../../src/simulator/model/random.ts';
import { openConversation, staffOrganisation, trafficStep } from '../../../src/simulator/model/traffic.ts';
import { compareWithTruth, formatComparison, type Published } from '../../../src/simulator/truth/compare.ts';
import { type History, recordHistory } from '../../../src/simulator/truth/history.ts';
import { envelopeType, MapState, processorTask, rawRecord } from '../../support/event-fixtures.ts';

const START_MS = Date.UTC(2026, 2, 25, 10);
const MINUTE_MS = 60_000;
const SLA = {
  id: '51a000000000000000000001',
  name: 'Gold',
  version: 1,
  targetsMs: { firstResponse: 3 * MINUTE_MS, nextReply: 5 * MINUTE_MS, totalConversationOpenTime: 20 * MINUTE_MS },
};

interface Run {
  readonly history: History;
  readonly events: readonly ModelEvent[];
  readonly nowMs: number;
}

/** A day of a small organisation. Before `START_MS` there was something too. */
function run(seed: string): Run {
  const random = createRandom(`truth:${seed}`);
  const organisation = new Organisation({ orgId: '57bb00000000000000000001', name: 'acme', seed, sla: SLA });
  staffOrganisation(organisation, START_MS - MINUTE_MS);
  for (let made = 0; made < 5; made += 1) openConversation(organisation, START_MS - MINUTE_MS, random);
  const history = recordHistory(organisation);
  const events: ModelEvent[] = [];
  let nowMs = START_MS;
  for (let step = 0; step < 600; step += 1) {
    nowMs += random.int(20_000);
    events.push(...organisation.settle(nowMs, false));
    events.push(
      ...(random.chance(0.05)
        ? openConversation(organisation, nowMs, random)
        : trafficStep(organisation, nowMs, random)),
    );
  }
  return { history, events, nowMs };
}

function publishedOf(events: readonly ModelEvent[]): readonly Published[] {
  const { task } = processorTask([], {
    encode: (envelope) => Buffer.from(JSON.stringify(envelopeType.fromBuffer(envelopeType.toBuffer(envelope)))),
  });
  const headers = { [HEADER.tenant]: 't_a', [HEADER.connection]: 'cn_a', [HEADER.channel]: 'webhook' };
  const records = events.map((event, offset) => rawRecord(offset, Buffer.from(JSON.stringify(event.body)), headers));
  return task.decide(records, new MapState(), 0).map((append, offset) => {
    const { event_id, event_type, payload } = JSON.parse(String(append.value));
    const [branch] = Object.values(payload);
    const fields = payload.resource_id === undefined ? branch : payload;
    return { eventId: event_id, eventType: event_type, payload: fields, partition: 0, offset };
  });
}

const ALL = { delivered: () => true, sighted: () => false };

describe('the truth', () => {
  let day: Run;
  let published: readonly Published[];
  let settings: { readonly sinceMs: number; readonly settledMs: number };

  beforeAll(() => {
    day = run('1');
    published = publishedOf(day.events);
    settings = { sinceMs: START_MS, settledMs: day.nowMs };
  });

  const compare = (envelopes: readonly Published[], visibility = ALL) =>
    compareWithTruth(envelopes, day.history, visibility, settings);
  const kinds = (envelopes: readonly Published[]) => compare(envelopes).defects.map(({ kind }) => kind);
  /** An envelope of this type that is followed by others, and those without it. */
  const without = (wanted: (envelope: Published) => boolean) => {
    const one = published.find(wanted) as Published;
    expect(one).toBeDefined();
    return { one, rest: published.filter((envelope) => envelope !== one) };
  };

  it.each(['1', '2', '3', '4', '5'])('is what the processor makes of every webhook, seed %s', (seed) => {
    const { history, events, nowMs } = run(seed);
    const { defects, counts } = compareWithTruth(publishedOf(events), history, ALL, {
      sinceMs: START_MS,
      settledMs: nowMs,
    });
    // No webhook tells of the time that passes.
    expect(defects.filter(({ eventType }) => eventType !== 'conversation.sla.breached')).toEqual([]);
    const { 'conversation.sla.breached': breaches, ...others } = counts;
    expect(breaches?.changes).toBeGreaterThan(5);
    expect(breaches?.published).toBe(0);
    for (const type of ['conversation.created', 'conversation.message.created', 'conversation.status.changed']) {
      expect(others[type]?.changes).toBeGreaterThan(10);
    }
    expect(others['conversation.satisfaction.updated']?.changes).toBeGreaterThan(5);
    for (const { changes, published: made, collapsed } of Object.values(others)) {
      expect({ made, collapsed }).toEqual({ made: changes, collapsed: 0 });
    }
  });

  it('misses what was delivered', () => {
    const baseline = kinds(published);
    const { one, rest } = without(({ eventType }) => eventType === 'conversation.status.changed');
    expect(kinds(rest)).toEqual([...baseline, 'missing']);
    expect(formatComparison(compare(rest))).toContain(`${one.payload['resource_id']}`);
  });

  it('misses what a poll was shown, and what still stands, but not what nobody could know', () => {
    const { one, rest } = without(({ eventType, payload }) => {
      if (eventType !== 'conversation.status.changed') return false;
      const moves = published.filter(
        (other) => other.eventType === eventType && other.payload['resource_id'] === payload['resource_id'],
      );
      return moves.at(-1)?.payload['revision'] !== payload['revision'];
    });
    const id = one.payload['resource_id'];
    const rev = Number(one.payload['revision']);
    const delivered = (_type: string, other: string, otherRev: number) => other !== id || otherRev !== rev;
    const missing = (visibility: typeof ALL) =>
      compare(rest, visibility).defects.filter(
        ({ kind, resource }) => kind === 'missing' && resource.endsWith(`${id}`),
      );
    const none = compare(rest).defects.length;
    expect(compare(rest, { delivered, sighted: () => false } as typeof ALL).defects).toHaveLength(none - 1);
    const sighted = (_type: string, other: string, from: number) => other === id && from === rev;
    expect(missing({ delivered, sighted } as unknown as typeof ALL).map(({ eventType }) => eventType)).toContain(
      'conversation.status.changed',
    );
    const last = without(({ eventType, payload }) => {
      const later = published.filter(
        (p) => p.eventType === eventType && p.payload['resource_id'] === payload['resource_id'],
      );
      return eventType === 'conversation.status.changed' && later.at(-1)?.payload === payload;
    });
    const nothing = { delivered: () => false, sighted: () => false };
    const stands = compare(last.rest, nothing).defects.filter(({ eventType }) => eventType === last.one.eventType);
    expect(stands).toMatchObject([{ kind: 'missing', text: expect.stringContaining('it still stands') }]);
  });

  it('finds what is there twice, what never was, and what was before its time', () => {
    const baseline = kinds(published);
    const one = published.at(-1) as Published;
    expect(kinds([...published, { ...one, offset: 99_999 }])).toEqual(['doubled', ...baseline]);
    const moved = published.find(({ eventType }) => eventType === 'conversation.status.changed') as Published;
    const payload = { ...moved.payload, occurred_at: new Date(START_MS).toISOString() };
    expect(kinds([...published, { ...moved, eventId: 'another', payload, offset: 99_999 }])).toContain('invented');
    expect(
      compareWithTruth(published, day.history, ALL, { ...settings, sinceMs: day.nowMs }).defects.every(
        ({ kind }) => kind === 'invented',
      ),
    ).toBe(true);
  });

  it('finds wrong content: facts, transitions, revisions, a reused event id', () => {
    const baseline = kinds(published).length;
    const one = published.find(({ eventType }) => eventType === 'conversation.status.changed') as Published;
    const spoiled = (payload: Readonly<Record<string, unknown>>) => {
      const all = published.map((other) =>
        other === one ? { ...one, payload: { ...one.payload, ...payload } } : other,
      );
      const { defects } = compare(all);
      return defects.length - baseline === 1 && defects.some(({ kind }) => kind === 'wrong_content');
    };
    expect(spoiled({ priority: 77 })).toBe(true);
    expect(spoiled({ previous_status: null })).toBe(true);
    expect(spoiled({ reopened: null })).toBe(true);
    // A poll does not know it.
    expect(spoiled({ previous_status: null, reopened: null, observed_via: 'poll' })).toBe(false);
    expect(spoiled({ previous_status: 'parked', observed_via: 'poll' })).toBe(true);
    const other = published.find(({ payload }) => payload['resource_id'] !== one.payload['resource_id']) as Published;
    const reused = published.map((each) => (each === other ? { ...other, eventId: one.eventId } : each));
    expect(compare(reused).defects.filter(({ kind }) => kind === 'wrong_content')).toHaveLength(1);
  });

  it('finds a revision that goes back, unless it says that it is late', () => {
    const last = published.at(-1) as Published;
    const earlier = published.find(
      ({ payload, eventType }) =>
        !eventType.endsWith('.created') &&
        published.some((other) => other.payload['resource_id'] === payload['resource_id'] && other.offset > 0) &&
        published.findLast((other) => other.payload['resource_id'] === payload['resource_id'])?.payload !== payload,
    ) as Published;
    const moved = (late: boolean) =>
      published.map((other) =>
        other === earlier ? { ...earlier, offset: last.offset + 1, payload: { ...earlier.payload, late } } : other,
      );
    expect(kinds(moved(false))).toContain('out_of_order');
    expect(kinds(moved(true))).not.toContain('out_of_order');
  });

  it('knows a real breach from a deadline', () => {
    const { counts } = compare(published);
    const breaches = counts['conversation.sla.breached']?.changes ?? 0;
    const deadlines = new Set<string>();
    for (const copies of day.history.objects()) {
      for (const { id, attributes } of copies) {
        const sla = attributes['sla'] as { metrics: Record<string, { breachAt?: string }> } | undefined;
        for (const [metric, { breachAt }] of Object.entries(sla?.metrics ?? {}))
          deadlines.add(`${id} ${metric} ${breachAt}`);
      }
    }
    expect(breaches).toBeGreaterThan(5);
    expect(breaches).toBeLessThan(deadlines.size);
  });
});
