/**
 * The processor against the truth in memory: webhooks dropped, doubled and held back, polls with a late index in between, in
 * virtual time. What the convergence test does on a real broker, without everything but the decisions, so many seeds are cheap.
 */
import { describe, expect, it } from 'vitest';
import { HEADER } from '../../../src/kafka/headers.ts';
import type { LogRecord } from '../../../src/kafka/port.ts';
import { type ModelEvent, snapshotOf } from '../../../src/simulator/model/event.ts';
import { Organisation } from '../../../src/simulator/model/organisation.ts';
import { createRandom, type Random } from '../../../src/simulator/model/random.ts';
import type { Resource } from '../../../src/simulator/model/resource.ts';
import { openConversation, staffOrganisation, trafficStep } from '../../../src/simulator/model/traffic.ts';
import { compareWithTruth, formatComparison, type Published } from '../../../src/simulator/truth/compare.ts';
import { type History, recordHistory } from '../../../src/simulator/truth/history.ts';
import { envelopeType, MapState, processorTask, rawRecord } from '../../support/event-fixtures.ts';

const START_MS = Date.UTC(2026, 2, 25, 10);
const STEPS = 400;
const POLL_EVERY_MS = 60_000;
const SLA = {
  id: '51a000000000000000000001',
  name: 'Gold',
  version: 1,
  targetsMs: { firstResponse: 180_000, nextReply: 300_000, longestUnrespondedMessage: 400_000 },
};
const STREAMS = { conversation: 'conversations', message: 'messages', customer: 'customers' } as const;

type Polled = keyof typeof STREAMS;

interface Arrival {
  readonly atMs: number;
  readonly value: Buffer;
  readonly channel: 'webhook' | 'poll';
}

/** What arrives, in order, and what can be known from it. */
class Wire {
  readonly arrivals: Arrival[] = [];
  readonly delivered = new Set<string>();
  readonly sighted = new Map<string, number[]>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  webhook(event: ModelEvent, nowMs: number): void {
    const deliveries = this.#random.chance(0.3) ? 0 : this.#random.chance(0.3) ? 2 : 1;
    const value = Buffer.from(JSON.stringify(event.body));
    for (let made = 0; made < deliveries; made += 1) {
      this.delivered.add(`${event.type} ${event.id} ${event.rev}`);
      const heldMs = this.#random.chance(0.1) ? 600_000 : 20_000;
      this.arrivals.push({ atMs: nowMs + this.#random.int(heldMs), value, channel: 'webhook' });
    }
  }

  /** The copy of every object that the index shows, in order of update. Its records are processed some time later. */
  poll(history: History, nowMs: number, lagMs: number): void {
    const shown = [...history.objects()].flatMap((copies) => {
      const copy = copies.findLast(({ updatedAtMs }) => updatedAtMs <= nowMs - lagMs);
      return copy !== undefined && Object.hasOwn(STREAMS, copy.type) ? [copy] : [];
    });
    const inOrder = shown.sort((a, b) => a.updatedAtMs - b.updatedAtMs);
    const atMs = nowMs + this.#random.int(5_000);
    for (const copy of inOrder) {
      const key = `${copy.type} ${copy.id}`;
      const revs = this.sighted.get(key) ?? [];
      if (revs.includes(copy.rev)) continue;
      this.sighted.set(key, [...revs, copy.rev]);
      this.arrivals.push({ atMs, value: polledBody(copy, nowMs), channel: 'poll' });
    }
  }
}

function polledBody(copy: Resource, nowMs: number): Buffer {
  const poll = {
    stream: STREAMS[copy.type as Polled],
    observed_at: new Date(nowMs).toISOString(),
    since: new Date(START_MS).toISOString(),
  };
  return Buffer.from(JSON.stringify({ poll, data: snapshotOf(copy) }));
}

function run(seed: string) {
  const random = createRandom(`polled:${seed}`);
  const organisation = new Organisation({
    orgId: '57bb00000000000000000001',
    name: 'acme',
    seed,
    sla: SLA,
    customerActivity: true,
    snoozesElapse: true,
  });
  staffOrganisation(organisation, START_MS - POLL_EVERY_MS);
  for (let made = 0; made < 10; made += 1) openConversation(organisation, START_MS - 30_000 + made, random);
  const history = recordHistory(organisation);
  const wire = new Wire(random);
  let nowMs = START_MS;
  let polledMs = START_MS;
  const live = (events: readonly ModelEvent[]) => {
    for (const event of events) if (Object.hasOwn(STREAMS, event.type)) wire.webhook(event, nowMs);
  };
  for (let step = 0; step < STEPS; step += 1) {
    nowMs += random.int(12_000);
    live(organisation.settle(nowMs, false));
    live(
      random.chance(0.08) ? openConversation(organisation, nowMs, random) : trafficStep(organisation, nowMs, random),
    );
    if (nowMs - polledMs < POLL_EVERY_MS || random.chance(0.3)) continue;
    polledMs = nowMs;
    wire.poll(history, nowMs, random.int(10_000));
  }
  const endMs = nowMs;
  // Long enough for every webhook still held back, and for the index.
  nowMs += 660_000;
  live(organisation.settle(nowMs, false));
  wire.poll(history, nowMs, 0);
  return { history, wire, endMs };
}

function publishedOf(wire: Wire): readonly Published[] {
  const { task } = processorTask([], {
    encode: (envelope) => Buffer.from(JSON.stringify(envelopeType.fromBuffer(envelopeType.toBuffer(envelope)))),
  });
  const inOrder = [...wire.arrivals].sort((a, b) => a.atMs - b.atMs);
  const records = inOrder.map(({ value, channel }, offset): LogRecord => {
    const headers = { [HEADER.tenant]: 't_a', [HEADER.connection]: 'cn_a', [HEADER.channel]: channel };
    return rawRecord(offset, value, headers);
  });
  const appends = task.decide(records, new MapState(), 0);
  return appends.map(({ topic, value }, offset) => {
    expect(topic).toBe('fibric.events.t_a');
    const { event_id, event_type, payload } = JSON.parse(String(value));
    const [branch] = Object.values(payload);
    const fields = payload.resource_id === undefined ? branch : payload;
    return { eventId: event_id, eventType: event_type, payload: fields, partition: 0, offset };
  });
}

describe('what the processor publishes of webhooks and polls', () => {
  const seeds = Array.from({ length: 40 }, (_, index) => String(index + 1));

  it.each(seeds)('is the truth but for what nobody could know, seed %s', (seed) => {
    const { history, wire, endMs } = run(seed);
    const visibility = {
      delivered: (type: string, id: string, rev: number) => wire.delivered.has(`${type} ${id} ${rev}`),
      sighted: (type: string, id: string, from: number, until: number | null) =>
        (wire.sighted.get(`${type} ${id}`) ?? []).some((rev) => rev >= from && (until === null || rev < until)),
    };
    const options = { sinceMs: START_MS, settledMs: endMs };
    const comparison = compareWithTruth(publishedOf(wire), history, visibility, options);
    if (comparison.defects.length > 0) expect.fail(formatComparison(comparison));
    const { counts } = comparison;
    expect(counts['conversation.sla.breached']?.published).toBeGreaterThan(0);
    expect(counts['customer.updated']?.collapsed).toBeGreaterThan(0);
    expect(counts['conversation.created']?.collapsed).toBe(0);
    expect(counts['conversation.message.created']?.collapsed).toBe(0);
  });
});
