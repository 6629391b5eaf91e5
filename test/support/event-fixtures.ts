/** test/fixtures/events: raw bodies in, envelopes out, as plain JSON that any team can run against. */
import { readdirSync, readFileSync } from 'node:fs';
import { createEnvelopeType } from '../../src/fibric/avro.ts';
import { CONNECTION_SETTINGS, type Connection } from '../../src/fibric/connection.ts';
import { HEADER } from '../../src/kafka/headers.ts';
import type { Append, LogRecord } from '../../src/kafka/port.ts';
import type { StateView } from '../../src/kafka/task.ts';
import { topicNames } from '../../src/kafka/topics.ts';
import { createProcessorTask, type ProcessorDeps, type ProcessorOutcome } from '../../src/processors/task.ts';

export interface EventFixture {
  readonly description: string;
  readonly connection: {
    readonly connection_id: string;
    readonly tenant_id: string;
    readonly reseller_id: string | null;
    readonly workspace_id: string | null;
    readonly extended_events: boolean;
    readonly machine_user_id: string | null;
  };
  readonly deliveries: readonly { readonly channel: string; readonly body: unknown }[];
  readonly expected: readonly ExpectedRecord[];
}

export interface ExpectedRecord {
  readonly key: string;
  readonly change_id: string;
  /** The payload stands by itself here, without the name of its union branch. */
  readonly payload_record: string;
  readonly envelope: Readonly<Record<string, unknown>>;
}

const folder = new URL('../fixtures/events/', import.meta.url);

export function eventFixtures(): readonly (readonly [name: string, fixture: EventFixture])[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => [file, JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as EventFixture]);
}

/** State in a Map; deep copies, so that a test would notice bytes changed in place. */
export class MapState implements StateView {
  readonly map = new Map<string, Buffer>();
  get(key: string): Buffer | undefined {
    return this.map.get(key);
  }
  set(_partition: number, key: string, value: Buffer): void {
    this.map.set(key, Buffer.from(value));
  }
  delete(_partition: number, key: string): void {
    this.map.delete(key);
  }
}

export function connectionOf({ connection }: EventFixture): Connection {
  return {
    connectionId: connection.connection_id,
    tenantId: connection.tenant_id,
    resellerId: connection.reseller_id,
    workspaceId: connection.workspace_id,
    name: 'fixture',
    subdomain: 'acme',
    orgId: null,
    apiBaseUrl: null,
    hasApiKey: false,
    startedAtMs: 0,
    webhookId: null,
    previousWebhookId: null,
    settings: {
      ...CONNECTION_SETTINGS,
      extendedEvents: connection.extended_events,
      machineUserId: connection.machine_user_id,
    },
  };
}

export function rawRecord(
  offset: number,
  value: Buffer | null,
  headers: Readonly<Record<string, string>>,
  partition = 0,
): LogRecord {
  return {
    topic: 'kustomer.raw',
    partition,
    offset,
    key: Buffer.from('a-resource'),
    value,
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])),
    timestampMs: 0,
  };
}

export function rawRecordsOf(fixture: EventFixture): readonly LogRecord[] {
  return fixture.deliveries.map(({ channel, body }, offset) =>
    rawRecord(offset, Buffer.from(JSON.stringify(body)), {
      [HEADER.tenant]: fixture.connection.tenant_id,
      [HEADER.connection]: fixture.connection.connection_id,
      [HEADER.channel]: channel,
    }),
  );
}

export const envelopeType = createEnvelopeType();

/** A task over these connections, and the outcomes it reported. */
export function processorTask(connections: readonly Connection[], overrides: Partial<ProcessorDeps> = {}) {
  const outcomes: ProcessorOutcome[] = [];
  const task = createProcessorTask({
    topics: topicNames(''),
    connections: { get: (id) => connections.find(({ connectionId }) => connectionId === id) },
    encode: (envelope) => envelopeType.toBuffer(envelope),
    ensureTenantTopic: () => undefined,
    onOutcome: (outcome) => void outcomes.push(outcome),
    ...overrides,
  });
  return { task, outcomes };
}

/** An appended envelope in the form the fixtures have. */
export function expectedForm(append: Append): ExpectedRecord {
  const { payload, ...rest } = envelopeType.fromBuffer(append.value as Buffer);
  const [branch, value] = Object.entries(payload)[0] as [string, unknown];
  const envelope: Record<string, unknown> = {};
  for (const name of ENVELOPE_FIELDS) envelope[name] = name === 'payload' ? value : rest[name as keyof typeof rest];
  return {
    key: String(append.key),
    change_id: String(append.headers?.[HEADER.changeId]),
    payload_record: branch,
    envelope: JSON.parse(JSON.stringify(envelope)) as Record<string, unknown>,
  };
}

export const ENVELOPE_FIELDS = [
  'event_id',
  'reseller_id',
  'tenant_id',
  'workspace_id',
  'source',
  'event_type',
  'correlation_id',
  'payload',
  'agent_id',
  'session_id',
] as const;
