/**
 * Webhooks and polls of one story through the processor, held against the story itself: every change that some delivery
 * could show lands exactly once, and nothing else does. The story is the simulator's, the truth is told here from its
 * consecutive copies, without the processor's code.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEADER } from '../../../src/kafka/headers.ts';
import type { ModelEvent } from '../../../src/simulator/model/event.ts';
import { Organisation, SYSTEM } from '../../../src/simulator/model/organisation.ts';
import { markDeleted } from '../../../src/simulator/model/removals.ts';
import { isoTime, type Resource } from '../../../src/simulator/model/resource.ts';
import type { Sla, SlaPolicy } from '../../../src/simulator/model/sla.ts';
import {
  connectionOf,
  eventFixtures,
  expectedForm,
  MapState,
  processorTask,
  rawRecord,
} from '../../support/event-fixtures.ts';
import { polledBody } from '../../support/polls.ts';

const START_MS = Date.UTC(2026, 2, 1, 9);
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const POLICY: SlaPolicy = {
  id: '5fadc1ba6647f1953ff94916',
  name: 'Gold',
  version: 3,
  targetsMs: {
    firstResponse: 10 * MINUTE_MS,
    nextReply: 20 * MINUTE_MS,
    longestUnrespondedMessage: 15 * MINUTE_MS,
    totalConversationOpenTime: 100 * MINUTE_MS,
  },
};
/** Less than the settling time of an SLA, and at most two steps. */
const MAX_LAG_MS = 30 * SECOND_MS;
const MIN_STEP_MS = 16 * SECOND_MS;

const ACTIONS = [
  'in',
  'out',
  'snoozed',
  'open',
  'done',
  'tag',
  'offer',
  'rate',
  'comment',
  'customer',
  'delete',
  'nothing',
] as const;
const step = fc.record({
  waitMs: fc.integer({ min: MIN_STEP_MS, max: 40 * MINUTE_MS }),
  what: fc.constantFrom(...ACTIONS),
  /** What becomes of the webhooks of this step; the delay is in steps, so that any order comes about. */
  fate: fc.record({
    isDropped: fc.boolean(),
    delay: fc.oneof(fc.constant(0), fc.nat({ max: 6 })),
    again: fc.option(fc.nat({ max: 8 })),
    isSnapshotNewer: fc.boolean(),
  }),
  poll: fc.option(fc.record({ lagMs: fc.nat({ max: MAX_LAG_MS }), channel: fc.constantFrom('poll', 'backfill') })),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
const story = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 30 }),
  slaBreachEmits: fc.boolean(),
  extendedEvents: fc.boolean(),
  /** Which step the connection begins at; 0 = before the conversation. */
  sinceStep: fc.oneof(fc.constant(0), fc.nat({ max: 8 })),
});

type Story = typeof story extends fc.Arbitrary<infer T> ? T : never;

interface Delivery {
  readonly channel: string;
  readonly body: Buffer;
}

/** A change by its identity, and who may tell of it. */
class Truth {
  readonly must = new Set<string>();
  readonly copies = new Map<string, Resource[]>();

  of(id: string): readonly Resource[] {
    return this.copies.get(id) ?? [];
  }
}

const [, fixture] = eventFixtures()[0] as ReturnType<typeof eventFixtures>[number];
const setting = connectionOf(fixture);
const FIXED = { [HEADER.tenant]: setting.tenantId, [HEADER.connection]: setting.connectionId };

function play({ steps, slaBreachEmits, extendedEvents, sinceStep }: Story) {
  const organisation = new Organisation({ orgId: '57bb00000000000000000001', name: 'acme', seed: 's', sla: POLICY });
  const truth = new Truth();
  organisation.revisions.observe((resource) => {
    truth.copies.set(resource.id, [...truth.of(resource.id), resource]);
  });
  const inFlight: { readonly due: number; readonly event: ModelEvent; readonly isSnapshotNewer: boolean }[] = [];
  const deliveries: Delivery[] = [];
  const send = (at: number, { fate }: Step, events: readonly ModelEvent[]): void => {
    for (const event of events) {
      if (fate.isDropped) continue;
      tellWebhook(truth, event, extendedEvents);
      inFlight.push({ due: at + fate.delay, event, isSnapshotNewer: fate.isSnapshotNewer });
      if (fate.again !== null) inFlight.push({ due: at + fate.again, event, isSnapshotNewer: false });
    }
  };
  let clockMs = START_MS;
  const times = steps.map(({ waitMs }) => (clockMs += waitMs));
  const sinceMs = sinceStep === 0 ? START_MS : (times[Math.min(sinceStep, times.length) - 1] as number);
  const first = steps[0] as Step;
  send(0, first, organisation.createConversation(START_MS, { customer: { name: 'Jane' } }));
  const conversationId = [...organisation.conversations.values()][0]?.id as string;
  const customerId = [...organisation.customers.values()][0]?.id as string;
  for (const [index, one] of steps.entries()) {
    const nowMs = times[index] as number;
    send(index, one, organisation.settle(nowMs, slaBreachEmits));
    send(index, one, act(organisation, nowMs, conversationId, customerId, one.what));
    for (const { event, isSnapshotNewer } of inFlight.filter(({ due }) => due === index)) {
      deliveries.push({
        channel: 'webhook',
        body: webhookBody(event, isSnapshotNewer ? truth.of(event.id).at(-1) : undefined),
      });
    }
    if (one.poll === null) continue;
    for (const copies of truth.copies.values()) {
      const shown = copies.findLast(({ updatedAtMs }) => updatedAtMs <= nowMs - (one.poll?.lagMs ?? 0));
      if (shown === undefined || shown.type === 'user') continue;
      tellPoll(truth, shown, nowMs, sinceMs, extendedEvents);
      deliveries.push({ channel: one.poll.channel, body: polledBody(shown, { observedAtMs: nowMs, sinceMs }) });
    }
  }
  for (const { event } of inFlight.filter(({ due }) => due >= steps.length).sort((a, b) => a.due - b.due)) {
    deliveries.push({ channel: 'webhook', body: webhookBody(event, undefined) });
  }
  return { truth, deliveries };
}

function act(
  organisation: Organisation,
  nowMs: number,
  id: string,
  customerId: string,
  what: string,
): readonly ModelEvent[] {
  switch (what) {
    case 'in':
    case 'out':
      return organisation.createMessage(nowMs, id, { direction: what, channel: 'email', app: 'a', preview: 'x' });
    case 'snoozed':
      return organisation.editConversation(nowMs, id, { status: what, snooze: { time: isoTime(nowMs + 1e9) } });
    case 'open':
    case 'done':
      return organisation.editConversation(nowMs, id, { status: what });
    case 'tag':
      return organisation.editConversation(nowMs, id, { tags: [String(nowMs)] });
    case 'offer':
      return organisation.offerSurvey(nowMs, id, { formId: 'f', channel: 'email', sentBy: null, sentByTeams: [] });
    case 'rate':
      return organisation.rateSurvey(nowMs, id, { score: 1, rating: 9 });
    case 'comment':
      return organisation.commentSurvey(nowMs, id, 'fine');
    case 'customer':
      return organisation.edit('customer', nowMs, customerId, { name: `Jane ${nowMs}` });
    case 'delete':
      // Silent: no webhook tells of it, and the status stays what it was.
      markDeleted(
        organisation,
        organisation.customers,
        nowMs,
        organisation.customers.get(customerId) as Resource,
        SYSTEM,
      );
      return [];
    default:
      return [];
  }
}

function webhookBody(event: ModelEvent, newer: Resource | undefined): Buffer {
  const data = newer === undefined ? event.body.data : { ...event.body.data, attributes: newer.attributes };
  return Buffer.from(JSON.stringify({ ...event.body, data }));
}

const text = (value: unknown): string => (value === undefined || value === null ? '-' : String(value));

function statusOf({ id, attributes }: Resource): string {
  return `conversation:${id}:status:${attributes['status']}@${attributes['updatedAt']}`;
}

function answerOf({ id, attributes }: Resource): string | null {
  const level = attributes['satisfactionLevel'] as Record<string, unknown>;
  if (level['status'] !== 'rated' && level['status'] !== 'commented') return null;
  const state = ['formResponse', 'status', 'score', 'rating'].map((name) => text(level[name])).join(':');
  return `conversation:${id}:satisfaction:${state}@${level['updatedAt']}`;
}

function breachOf({ id, attributes }: Resource): string | null {
  const sla = attributes['sla'] as Sla;
  return sla.breached ? `conversation:${id}:sla:${sla.breach.metric}@${sla.breach.at}` : null;
}

/** What one webhook tells: the difference its revision made. */
function tellWebhook(truth: Truth, { id, type, rev }: ModelEvent, extendedEvents: boolean): void {
  const copies = truth.of(id);
  const copy = copies.find((one) => one.rev === rev) as Resource;
  const before = copies.find((one) => one.rev === rev - 1);
  if (before === undefined) {
    if (type !== 'customer' || extendedEvents) truth.must.add(`${type}:${id}:created`);
    return;
  }
  if (type === 'customer' || extendedEvents) truth.must.add(`${type}:${id}:updated#${rev}`);
  if (type !== 'conversation') return;
  if (before.attributes['status'] !== copy.attributes['status']) truth.must.add(statusOf(copy));
  const answer = answerOf(copy);
  if (answer !== null && answer !== answerOf(before)) truth.must.add(answer);
  const breach = breachOf(copy);
  if (breach !== null && breach !== breachOf(before)) truth.must.add(breach);
}

/** What one poll shows: how things stand, as far as it happened since. */
function tellPoll(truth: Truth, copy: Resource, nowMs: number, sinceMs: number, extendedEvents: boolean): void {
  const { id, type, rev, updatedAtMs, attributes } = copy;
  const copies = truth.of(id).filter((one) => one.rev <= rev);
  const first = copies[0] as Resource;
  const isRecent = (at: unknown): boolean => Date.parse(String(at)) >= sinceMs;
  if (isRecent(first.attributes['createdAt']) && (type !== 'customer' || extendedEvents)) {
    truth.must.add(`${type}:${id}:created`);
  }
  if (rev > 1 && updatedAtMs >= sinceMs && (type === 'customer' || extendedEvents)) {
    truth.must.add(`${type}:${id}:updated#${rev}`);
  }
  if (type !== 'conversation') return;
  const moved = copies.findLast(
    (one, at) => at > 0 && one.attributes['status'] !== copies[at - 1]?.attributes['status'],
  );
  if (moved !== undefined && moved.updatedAtMs >= sinceMs) truth.must.add(statusOf(moved));
  const level = attributes['satisfactionLevel'] as Record<string, unknown>;
  const answer = answerOf(copy);
  if (answer !== null && isRecent(level['updatedAt'])) truth.must.add(answer);
  const sla = attributes['sla'] as Sla;
  const breach = breachOf(copy);
  if (breach !== null && isRecent(sla.breach.at)) truth.must.add(breach);
  if (sla.status !== 'pending') return;
  for (const [metric, { breachAt, satisfiedAt }] of Object.entries(sla.metrics)) {
    if (breachAt === undefined || satisfiedAt !== undefined || !isRecent(breachAt)) continue;
    if (sla.breached && sla.breach.metric === metric) continue;
    if (Date.parse(breachAt) + MINUTE_MS <= nowMs) truth.must.add(`conversation:${id}:sla:${metric}@${breachAt}`);
  }
}

/** Whether the deadline really passed: it falls between two copies, the first of which shows it running. */
function isRealBreach(copies: readonly Resource[], metric: string, at: string, endMs: number): boolean {
  return copies.some((copy, index) => {
    const { status, metrics } = copy.attributes['sla'] as Sla;
    const state = metrics[metric as keyof typeof metrics];
    if (status !== 'pending' || state?.breachAt !== at || state.satisfiedAt !== undefined) return false;
    return Date.parse(at) <= (copies[index + 1]?.updatedAtMs ?? endMs);
  });
}

describe('webhooks dropped, doubled, delayed and reordered, with polls in between', () => {
  it('every change that some delivery shows is published once, nothing else is, and nothing untrue is said of it', () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(story, (plan) => {
        const { truth, deliveries } = play(plan);
        const { settings } = setting;
        const { task, outcomes } = processorTask([
          { ...setting, settings: { ...settings, extendedEvents: plan.extendedEvents } },
        ]);
        const state = new MapState();
        const records = deliveries.map(({ channel, body }, offset) =>
          rawRecord(offset, body, { ...FIXED, [HEADER.channel]: channel }),
        );
        const published = records.flatMap((record) => task.decide([record], state, 0)).map(expectedForm);
        expect(outcomes.every(({ dead }) => Object.keys(dead).length === 0)).toBe(true);

        const ids = published.map(({ change_id: changeId }) => changeId.slice('kustomer:'.length));
        expect([...ids].sort()).toEqual([...truth.must].sort());

        const endMs = START_MS + plan.steps.reduce((sum, { waitMs }) => sum + waitMs, 0);
        const highest = new Map<string, number>();
        for (const { envelope } of published) {
          const payload = envelope['payload'] as Record<string, unknown>;
          const type = `${envelope['event_type']} ${payload['observed_via']}`;
          seen.set(type, (seen.get(type) ?? 0) + 1);
          const id = payload['resource_id'] as string;
          const copies = truth.of(id);
          if (envelope['event_type'] === 'conversation.status.changed') judgeMove(payload, copies);
          if (envelope['event_type'] === 'conversation.sla.breached') {
            const [metric, at] = [String(payload['metric']), String(payload['breach_at'])];
            expect(isRealBreach(copies, metric, at, endMs), `${metric} at ${at}`).toBe(true);
          }
          if (String(envelope['event_type']).endsWith('.created')) continue;
          const revision = payload['revision'] as number;
          if (revision < (highest.get(id) ?? 0)) expect(payload['late']).toBe(true);
          highest.set(id, Math.max(revision, highest.get(id) ?? 0));
        }

        // I6: the group is rewound, and nothing comes of it.
        const before = new Map([...state.map].map(([key, bytes]) => [key, bytes.toString('hex')]));
        expect(task.decide(records, state, 0)).toEqual([]);
        expect(new Map([...state.map].map(([key, bytes]) => [key, bytes.toString('hex')]))).toEqual(before);
      }),
      { numRuns: 600 },
    );
    for (const type of ['created', 'status.changed', 'satisfaction.updated', 'sla.breached']) {
      for (const via of ['webhook', 'poll', 'backfill']) {
        expect(seen.get(`conversation.${type} ${via}`) ?? 0, `${type} by ${via}`).toBeGreaterThan(5);
      }
    }
  });
});

/** A webhook is exact; a poll says what was known, and how sure that is. */
function judgeMove(payload: Record<string, unknown>, copies: readonly Resource[]): void {
  const at = copies.findIndex(({ attributes }) => attributes['updatedAt'] === payload['occurred_at']);
  const [before, after] = [copies[at - 1] as Resource, copies[at] as Resource];
  const exact = before.attributes['status'];
  const { status, previous_status: previous, missed_revisions: missed, reopened } = payload;
  expect(status).toBe(after.attributes['status']);
  if (payload['observed_via'] === 'webhook') {
    expect([previous, reopened, missed]).toEqual([exact, exact === 'done' && status === 'open', null]);
    return;
  }
  expect(previous).not.toBe(status);
  if (previous !== null) expect(copies.slice(0, at).map(({ attributes }) => attributes['status'])).toContain(previous);
  if (missed === 0 && previous !== null) {
    expect([previous, reopened]).toEqual([exact, exact === 'done' && status === 'open']);
  }
  if (reopened === true) {
    expect(status).toBe('open');
    expect(after.attributes['reopenCount']).toBeGreaterThan(0);
  }
}
