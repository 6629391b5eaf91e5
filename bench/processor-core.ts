/**
 * What one raw record costs in the processor's core, in microseconds and by stage, next to JSON.parse alone.
 *
 *   node bench/processor-core.ts [records] [duplicates]
 *
 * In memory, one thread: no Kafka, no compression, no state table (a Map stands for it), no transaction. Records are
 * 1.67 KB conversation updates, each with a status change, in the shape Kustomer sends. CPU time of the main thread, so
 * that neighbours on the machine count less; V8's helper threads (concurrent garbage collection) are not in it.
 */
import { createEnvelopeType } from '../src/fibric/avro.ts';
import { CONNECTION_SETTINGS, type Connection } from '../src/fibric/connection.ts';
import { changeIds } from '../src/fibric/envelope.ts';
import { HEADER } from '../src/kafka/headers.ts';
import type { LogRecord } from '../src/kafka/port.ts';
import type { StateView } from '../src/kafka/task.ts';
import { topicNames } from '../src/kafka/topics.ts';
import { parseEvent } from '../src/kustomer/parse.ts';
import { dedupe } from '../src/processors/dedupe.ts';
import { derive } from '../src/processors/derive.ts';
import { envelopeRecord } from '../src/processors/envelope.ts';
import { decodeState, EMPTY_STATE, encodeState } from '../src/processors/resource-state.ts';
import { createProcessorTask } from '../src/processors/task.ts';
import { conversationUpdate } from './lib/conversation-update.ts';

const COUNT = Number(process.argv[2] ?? 40_000);
const DUPLICATES = Number(process.argv[3] ?? 0.2);
const ROUNDS = 5;
const BATCH = 500;
const MIN_ITEMS = 200_000;
const UPDATES_PER_CONVERSATION = 8;

const CONNECTION: Connection = {
  connectionId: 'cn_bench',
  tenantId: 't_bench',
  resellerId: null,
  workspaceId: null,
  name: 'bench',
  subdomain: 'acme',
  orgId: null,
  apiBaseUrl: null,
  hasApiKey: false,
  startedAtMs: 0,
  webhookId: null,
  previousWebhookId: null,
  settings: { ...CONNECTION_SETTINGS, machineUserId: '5a8f1c2e9b1d4e0012ab34ff' },
};

/** mulberry32: the same records in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const next = random(1);
const hexId = (): string => Array.from({ length: 3 }, () => next().toString(16).padStart(8, '0')).join('');

function body(conversationId: string, rev: number): Buffer {
  const at = new Date(Date.UTC(2026, 10, 1) + rev * 60_000 + (next() % 1000)).toISOString();
  const status = rev % 2 === 0 ? (['done', 'open'] as const) : (['open', 'done'] as const);
  const org = '5a8f1c2e9b1d4e0012ab34cd';
  return Buffer.from(conversationUpdate({ conversationId, eventId: hexId(), org, rev, at, status, newId: hexId }));
}

function records(): LogRecord[] {
  const fixed = { [HEADER.tenant]: 't_bench', [HEADER.connection]: 'cn_bench', [HEADER.channel]: 'webhook' };
  const conversations = Array.from({ length: Math.ceil(COUNT / UPDATES_PER_CONVERSATION) }, hexId);
  const list: LogRecord[] = [];
  for (let i = 0; list.length < COUNT; i++) {
    const conversation = conversations[i % conversations.length] as string;
    const rev = Math.floor(i / conversations.length) + 1;
    const value = body(conversation, rev);
    const repeats = next() / 2 ** 32 < DUPLICATES / (1 - DUPLICATES) ? 2 : 1;
    for (let j = 0; j < repeats && list.length < COUNT; j++) {
      const headers = { ...fixed, [HEADER.rev]: String(rev), [HEADER.receivedAt]: '1793491200000' };
      list.push({
        topic: 'kustomer.raw',
        partition: 0,
        offset: list.length,
        key: Buffer.from(conversation),
        value,
        headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])),
        timestampMs: 0,
      });
    }
  }
  return list;
}

class MapState implements StateView {
  readonly map = new Map<string, Buffer>();
  get(key: string): Buffer | undefined {
    return this.map.get(key);
  }
  set(_partition: number, key: string, value: Buffer): void {
    this.map.set(key, value);
  }
  delete(_partition: number, key: string): void {
    this.map.delete(key);
  }
}

const input = records();
const type = createEnvelopeType();
const events = input.map(({ value }) => {
  const parsed = parseEvent(value as Buffer);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.event;
});
const derived = events.map((event) => derive(event, CONNECTION.settings)).filter((d) => d !== null);
const emissions = derived.map((d) => dedupe(EMPTY_STATE, { derived: d, rawOffset: 0 }).emit[0]);
const observer = { via: 'webhook', machineUserId: null } as const;
const made = emissions.map((emission, i) => {
  const event = events[i];
  if (emission === undefined || event === undefined) throw new Error('every record of this bench has a change');
  return envelopeRecord(emission, event, observer, CONNECTION);
});

function decideAll(): { emitted: number; state: MapState } {
  const state = new MapState();
  let emitted = 0;
  const task = createProcessorTask({
    topics: topicNames(''),
    connections: { get: () => CONNECTION },
    encode: (envelope) => type.toBuffer(envelope),
    ensureTenantTopic: () => undefined,
    onOutcome: (outcome) => {
      emitted += outcome.verdicts.emitted;
    },
  });
  for (let i = 0; i < input.length; i += BATCH) task.decide(input.slice(i, i + BATCH), state, 0);
  return { emitted, state };
}

const { emitted, state } = decideAll();
const states = [...state.map.values()];
const decoded = states.map(decodeState);
const scratch = Buffer.alloc(64 * 1024);

const WHOLE = 'decide (all of it)';
const STAGES: readonly (readonly [name: string, items: number, run: () => void])[] = [
  ['JSON.parse (baseline)', input.length, () => input.forEach((r) => void JSON.parse((r.value as Buffer).toString()))],
  ['parseEvent', input.length, () => input.forEach((r) => void parseEvent(r.value as Buffer))],
  ['derive', events.length, () => events.forEach((e) => void derive(e, CONNECTION.settings))],
  ['state decode', states.length, () => states.forEach((s) => void decodeState(s))],
  ['state encode', decoded.length, () => decoded.forEach((s) => void encodeState(s))],
  ['dedupe', derived.length, () => derived.forEach((d) => void dedupe(EMPTY_STATE, { derived: d, rawOffset: 0 }))],
  ['change ids', made.length, () => made.forEach((_, i) => void changeIds('t_bench', 'cn_bench', `conversation:${i}`))],
  [
    'envelope',
    made.length,
    () => emissions.forEach((e, i) => void (e && envelopeRecord(e, events[i] as never, observer, CONNECTION))),
  ],
  ['avro encode', made.length, () => made.forEach((m) => void type.encode(m.envelope, scratch, 5))],
  ['avro toBuffer', made.length, () => made.forEach((m) => void type.toBuffer(m.envelope))],
  [WHOLE, input.length, () => void decideAll()],
];

const meanBytes = input.reduce((sum, r) => sum + (r.value as Buffer).length, 0) / input.length;
const stateBytes = states.reduce((sum, s) => sum + s.length, 0) / states.length;
process.stdout.write(
  `${input.length} records of ${meanBytes.toFixed(0)} bytes, ${emitted} envelopes of ` +
    `${type.toBuffer((made[0] as (typeof made)[0]).envelope).length} bytes, state ${stateBytes.toFixed(1)} bytes a resource\n` +
    `best and median of ${ROUNDS} rounds, µs of this thread's CPU per item\n`,
);
for (const [name, items, run] of STAGES) {
  run();
  // The CPU clock is coarse: a round lasts long enough for it.
  const repeats = name !== WHOLE && items < MIN_ITEMS ? Math.ceil(MIN_ITEMS / items) : 1;
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.threadCpuUsage();
    for (let repeat = 0; repeat < repeats; repeat++) run();
    const { user, system } = process.threadCpuUsage(start);
    times.push((user + system) / (items * repeats));
  }
  times.sort((a, b) => a - b);
  const [best, median] = [times[0] ?? 0, times[Math.floor(ROUNDS / 2)] ?? 0];
  process.stdout.write(`${name.padEnd(24)} ${best.toFixed(2).padStart(8)} ${median.toFixed(2).padStart(8)}\n`);
}
