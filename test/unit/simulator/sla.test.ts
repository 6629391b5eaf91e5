import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Organisation } from '../../../src/simulator/model/organisation.ts';
import { mergeConversations } from '../../../src/simulator/model/removals.ts';
import type { Resource } from '../../../src/simulator/model/resource.ts';
import { nextDeadlineMs, SLA_METRICS, type Sla, type SlaPolicy } from '../../../src/simulator/model/sla.ts';
import { MINUTE_MS, START_MS, simulated } from './simulated.ts';

const POLICY: SlaPolicy = {
  id: '5fadc1ba6647f1953ff94916',
  name: 'Gold',
  version: 3,
  targetsMs: {
    firstResponse: 10 * MINUTE_MS,
    nextReply: 20 * MINUTE_MS,
    longestUnrespondedMessage: 15 * MINUTE_MS,
    totalConversationOpenTime: [100, 90, 80, 70, 60].map((minutes) => minutes * MINUTE_MS),
  },
};

const step = fc.record({
  waitMs: fc.integer({ min: 0, max: 30 * MINUTE_MS }),
  what: fc.constantFrom('in', 'out', 'snooze', 'open', 'done', 'nothing'),
});

function setup() {
  const organisation = new Organisation({ orgId: '57bb00000000000000000001', name: 'acme', seed: 's', sla: POLICY });
  const revisions: Resource[] = [];
  organisation.revisions.observe((resource) => {
    if (resource.type === 'conversation') revisions.push(resource);
  });
  organisation.createConversation(START_MS, {});
  return { organisation, revisions, id: (revisions[0] as Resource).id };
}

const slaOf = (resource: Resource | undefined): Sla => resource?.attributes['sla'] as Sla;
const openDeadlines = (sla: Sla): readonly [string, number][] =>
  SLA_METRICS.flatMap((metric) => {
    const state = sla.metrics[metric];
    return state?.breachAt !== undefined && state.satisfiedAt === undefined
      ? [[metric, Date.parse(state.breachAt)] as [string, number]]
      : [];
  });

function act(organisation: Organisation, nowMs: number, id: string, what: string): void {
  if (what === 'in' || what === 'out') {
    organisation.createMessage(nowMs, id, { direction: what, channel: 'email', app: 'a', preview: 'x' });
  } else if (what === 'snooze') {
    const snooze = { time: new Date(nowMs + 1e9).toISOString() };
    organisation.editConversation(nowMs, id, { status: 'snoozed', snooze });
  } else if (what !== 'nothing') organisation.editConversation(nowMs, id, { status: what as 'open' | 'done' });
}

describe('an SLA clock', () => {
  it('tells breaches and nothing else, whatever happens to the conversation (S1–S6)', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (plan) => {
        const { organisation, revisions, id } = setup();
        let nowMs = START_MS;
        for (const { waitMs, what } of plan) {
          nowMs += waitMs;
          organisation.settle(nowMs, false);
          act(organisation, nowMs, id, what);
        }
        organisation.settle(nowMs, false);
        for (const [at, after] of revisions.entries()) {
          const sla = slaOf(after);
          const before = revisions[at - 1];
          const was = before === undefined ? null : slaOf(before);
          const open = openDeadlines(sla);
          if (was?.breached === true) expect(sla.breached).toBe(true); // S1
          const breached = sla.breached && sla.breach.at !== (was?.breached === true ? was.breach.at : undefined);
          if (breached && was !== null) {
            expect(was.status).toBe('pending'); // S2, S5
            const passed = openDeadlines(was).find(([metric]) => metric === sla.breach.metric); // S6
            expect(new Date(passed?.[1] as number).toISOString()).toBe(sla.breach.at);
            expect(Date.parse(sla.breach.at as string)).toBeLessThanOrEqual(after.updatedAtMs);
          }
          if (!sla.breached && open.length > 0) {
            const earliest = Math.min(...open.map(([, ms]) => ms)); // S3
            expect(sla.breach.at).toBe(new Date(earliest).toISOString());
            expect(sla.summary.firstBreachAt).toBe(sla.breach.at);
          }
          if (was?.status === 'paused' && sla.status === 'pending' && before !== undefined) {
            const { statusAt } = before.attributes['snooze'] as { statusAt: string };
            const pausedAtMs = Date.parse(statusAt);
            const heldMs = after.updatedAtMs - pausedAtMs; // S4
            const now = new Map(open);
            for (const [metric, ms] of openDeadlines(was)) {
              if (now.has(metric)) expect(now.get(metric)).toBe(ms > pausedAtMs ? ms + heldMs : ms);
            }
          }
        }
        // Nothing that should have been breached by now is still waiting.
        const deadlineMs = nextDeadlineMs(slaOf(revisions.at(-1)));
        if (deadlineMs !== null) expect(deadlineMs).toBeGreaterThan(nowMs);
      }),
      { numRuns: 500 },
    );
  });

  it('shows a deadline in the future before anything is breached', () => {
    const { revisions } = setup();
    const sla = slaOf(revisions[0]);
    expect(sla).toMatchObject({
      name: 'Gold',
      version: 3,
      status: 'pending',
      breached: false,
      breach: { metric: 'firstResponse', at: new Date(START_MS + 10 * MINUTE_MS).toISOString() },
    });
    expect(sla.metrics.totalConversationOpenTime?.breachAt).toBe(new Date(START_MS + 80 * MINUTE_MS).toISOString());
  });

  it('is satisfied by an answer', () => {
    const { organisation, id } = setup();
    act(organisation, START_MS + MINUTE_MS, id, 'out');
    organisation.settle(START_MS + 30 * MINUTE_MS, false);
    const sla = slaOf(organisation.conversations.get(id));
    expect(sla.breached).toBe(false);
    expect(sla.metrics.firstResponse?.satisfiedAt).toBe(new Date(START_MS + MINUTE_MS).toISOString());
    expect(sla.breach.metric).toBe('totalConversationOpenTime');
  });
});

describe('a merge', () => {
  it('answers nobody: the clock of the target runs on', () => {
    const { organisation, id } = setup();
    organisation.createConversation(START_MS, {});
    const source = [...organisation.conversations.values()].find((other) => other.id !== id) as Resource;
    act(organisation, START_MS + 1, source.id, 'out');
    const [from, into] = [source.id, id].map((one) => organisation.conversations.get(one) as Resource) as [
      Resource,
      Resource,
    ];
    mergeConversations(organisation, START_MS + MINUTE_MS, from, into, { userId: null, client: null });
    expect(slaOf(organisation.conversations.get(id))).toEqual(slaOf(into));
    organisation.settle(START_MS + 60 * MINUTE_MS, false);
    expect(slaOf(organisation.conversations.get(id)).breached).toBe(true);
    expect(slaOf(organisation.conversations.get(source.id)).breached).toBe(false);
  });
});

describe('the SLA clock of a simulator', () => {
  it('breaches at the deadline, silently, found by search', async () => {
    const { api, clock, org } = await simulated({ sla: POLICY, conversations: 1 });
    const published = org.published;
    const search = { and: [{ conversation_sla_breached: { equals: true } }], queryContext: 'conversation' };
    expect((await api('POST', '/v1/customers/search', search)).body.meta.total).toBe(0);
    clock.nowMs += 11 * MINUTE_MS;
    const { body } = await api('POST', '/v1/customers/search', search);
    expect(body.meta.total).toBe(1);
    expect(body.data[0].attributes).toMatchObject({
      rev: 2,
      updatedAt: new Date(START_MS + 10 * MINUTE_MS).toISOString(),
      sla: { breached: true, breach: { metric: 'firstResponse' } },
    });
    expect(org.published).toBe(published);
    const policy = await api('GET', body.data[0].relationships.sla.links.self);
    expect(policy.body.data.attributes.name).toBe('Gold');
  });

  it('sends conversation.update for a breach when told to', async () => {
    const { simulator, clock, org } = await simulated({
      sla: POLICY,
      conversations: 1,
      behaviour: { slaBreachEmits: true },
    });
    const published = org.published;
    clock.nowMs += 11 * MINUTE_MS;
    simulator.tick();
    expect(org.published).toBe(published + 1);
  });

  it('opens a snoozed conversation when its time comes, not before', async () => {
    const { api, clock } = await simulated({ conversations: 1 });
    const [{ id }] = (await api('GET', '/v1/conversations')).body.data;
    const snooze = { time: new Date(START_MS + MINUTE_MS).toISOString() };
    await api('PATCH', `/v1/conversations/${id}`, { status: 'snoozed', snooze });
    clock.nowMs += MINUTE_MS - 1;
    expect((await api('GET', `/v1/conversations/${id}`)).body.data.attributes.status).toBe('snoozed');
    clock.nowMs += 1;
    const { attributes } = (await api('GET', `/v1/conversations/${id}`)).body.data;
    expect(attributes).toMatchObject({ status: 'open', snooze: { status: 'elapsed' } });
    expect(attributes.reopenCount).toBeUndefined();
  });
});
