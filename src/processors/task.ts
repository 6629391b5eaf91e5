/**
 * The processor as a stream task: raw records in; envelopes, dead letters and resource states out.
 *
 * parse → derive → dedupe → encode, record by record; a customer's body whose orders are to be had is sent for them first. What the partition session gets back is one transaction's worth.
 */
import { CodedError, type ErrorCode } from '../base/errors.ts';
import { CONNECTION_SETTINGS, type Connection } from '../fibric/connection.ts';
import type { Envelope } from '../fibric/envelope.ts';
import type { EventType } from '../fibric/events/index.ts';
import { type Channel, HEADER } from '../kafka/headers.ts';
import type { Append, Headers, LogRecord } from '../kafka/port.ts';
import type { StateView, StreamTask } from '../kafka/task.ts';
import { TENANT_ID, type TopicNames } from '../kafka/topics.ts';
import type { KustomerEvent } from '../kustomer/event.ts';
import { parseEvent } from '../kustomer/parse.ts';
import type { Candidate, Derived } from './change.ts';
import {
  DEAD_LETTER_LIMIT,
  type DeadLetterLimit,
  decodeTally,
  encodeTally,
  isLimitReached,
  isTallied,
  type Tally,
  tallied,
  tallyKey,
} from './dead-letters.ts';
import { dedupe, type Verdict } from './dedupe.ts';
import { derive } from './derive.ts';
import { type EnvelopeRecord, envelopeRecord } from './envelope.ts';
import { decodeState, EMPTY_STATE, encodeState } from './resource-state.ts';

export interface ProcessorDeps {
  readonly topics: TopicNames;
  readonly connections: { get(connectionId: string): Connection | undefined };
  /** The bytes of an envelope record (Confluent wire format). Throws when the envelope does not fit its schema. */
  encode(envelope: Envelope): Buffer;
  /** Undefined when the topic is known to exist. */
  ensureTenantTopic(tenantId: string): Promise<void> | undefined;
  /** Why the tenant has no topic and will get none for now: its records are set aside, so that they hold up nobody else. */
  topicRefusal?(tenantId: string): string | undefined;
  /** Undefined when the connection is known here, or known to be gone. Absent = connections are never behind. */
  awaitConnection?(connectionId: string): Promise<void> | undefined;
  /** Told once per decided batch. A batch whose transaction fails is decided, and counted, again. */
  onOutcome(outcome: ProcessorOutcome): void;
  readonly deadLetterLimit?: DeadLetterLimit;
}

/** What became of a batch. Each record is counted under one verdict or as dead. */
export interface ProcessorOutcome {
  readonly records: number;
  readonly verdicts: Readonly<Record<TaskVerdict, number>>;
  readonly dead: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Envelopes by event type. */
  readonly envelopes: Readonly<Partial<Record<EventType, number>>>;
  /** Envelopes flagged late. */
  readonly late: number;
  /** Changes dropped because the other path, webhook or poll, had brought them. */
  readonly collapsed: number;
}

/** `deferred`: sent to have a customer's orders fetched, to be decided when it returns. */
export type TaskVerdict = Verdict | 'deferred';

const CHANNELS: ReadonlySet<string> = new Set(['webhook', 'poll', 'backfill', 'replay'] satisfies Channel[]);
/** Headers that go on with the envelope, as they are. */
const PASSED_ON = [HEADER.connection, HEADER.receivedAt, HEADER.traceparent] as const;
const MAX_ERROR_MESSAGE_CHARS = 500;
/**
 * With key and headers, below the `max.message.bytes` of envelope topics, which the broker would insist on for ever. Ids
 * stand in an envelope several times, and bytes that are no UTF-8 triple, so that a body within its limit may exceed it.
 */
const MAX_ENVELOPE_BYTES = 2_000_000;

export function createProcessorTask(deps: ProcessorDeps): StreamTask {
  const limit = deps.deadLetterLimit ?? DEAD_LETTER_LIMIT;
  return {
    prepare: (records) => prepare(deps, records),
    decide(records, state) {
      const batch = new Batch(deps, limit, state);
      for (const record of records) batch.take(record);
      deps.onOutcome(batch.finish());
      return batch.appends;
    },
  };
}

function prepare(deps: ProcessorDeps, records: readonly LogRecord[]): Promise<void> | undefined {
  const tenants = new Set<string>();
  const connections = new Set<string>();
  for (const { headers } of records) {
    const tenantId = headers[HEADER.tenant]?.toString();
    if (tenantId !== undefined && TENANT_ID.test(tenantId)) tenants.add(tenantId);
    const connectionId = headers[HEADER.connection]?.toString();
    if (connectionId !== undefined && connectionId !== '') connections.add(connectionId);
  }
  const waits: Promise<void>[] = [];
  for (const connectionId of connections) {
    const wait = deps.awaitConnection?.(connectionId);
    if (wait !== undefined) waits.push(wait);
  }
  for (const tenantId of tenants) {
    const wait = deps.ensureTenantTopic(tenantId);
    if (wait !== undefined) waits.push(wait);
  }
  return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
}

/** One call of `decide`. */
class Batch {
  readonly appends: Append[] = [];
  readonly #deps: ProcessorDeps;
  readonly #limit: DeadLetterLimit;
  readonly #state: StateView;
  readonly #tallies = new Map<number, { readonly before: Tally | null; now: Tally | null }>();
  readonly #verdicts: Record<TaskVerdict, number> = {
    emitted: 0,
    duplicate: 0,
    reprocessed: 0,
    nothing: 0,
    deferred: 0,
  };
  readonly #dead: Partial<Record<ErrorCode, number>> = {};
  readonly #envelopes: Partial<Record<EventType, number>> = {};
  #records = 0;
  #late = 0;
  #collapsed = 0;

  constructor(deps: ProcessorDeps, limit: DeadLetterLimit, state: StateView) {
    this.#deps = deps;
    this.#limit = limit;
    this.#state = state;
  }

  take(record: LogRecord): void {
    this.#records++;
    const failure = this.#process(record);
    if (failure !== null) this.#bury(record, failure);
    if (isTallied(failure?.code ?? null)) this.#tally(record, failure !== null);
  }

  finish(): ProcessorOutcome {
    for (const [partition, { before, now }] of this.#tallies) {
      if (now !== null) this.#state.set(partition, tallyKey(partition), encodeTally(now));
      else if (before !== null) this.#state.delete(partition, tallyKey(partition));
    }
    return {
      records: this.#records,
      verdicts: this.#verdicts,
      dead: this.#dead,
      envelopes: this.#envelopes,
      late: this.#late,
      collapsed: this.#collapsed,
    };
  }

  /** Returns why the record cannot be processed, or null. Nothing of a failed record is kept. */
  #process(record: LogRecord): Failure | null {
    const tenantId = record.headers[HEADER.tenant]?.toString();
    const connectionId = record.headers[HEADER.connection]?.toString();
    if (tenantId === undefined || connectionId === undefined || connectionId === '' || !TENANT_ID.test(tenantId)) {
      return { code: 'record_unattributed', message: 'the raw record names no tenant or no connection' };
    }
    if (record.value === null) return { code: 'body_malformed', message: 'the raw record has no value' };
    const parsed = parseEvent(record.value);
    if (!parsed.ok) return parsed;

    const known = this.#deps.connections.get(connectionId);
    const connection = known?.tenantId === tenantId ? known : undefined;
    // The records of a connection that is no longer known are still the tenant's.
    const settings = connection?.settings ?? CONNECTION_SETTINGS;
    const { event } = parsed;
    const derived = derive(event, settings);
    if (derived === null) {
      this.#verdicts.nothing++;
      return null;
    }
    const key = `${tenantId}/${connectionId}/${derived.resourceType}:${derived.resourceId}`;
    const bytes = this.#state.get(key);
    const before = bytes === undefined ? EMPTY_STATE : decodeState(bytes);
    const via = channelOf(record.headers);
    const whole = dedupe(before, { derived, rawOffset: record.offset });
    const defers = isForOrders(connection, event) && whole.emit.some(isOfOrders);
    const decision = defers ? dedupe(before, { derived: withoutOrders(derived), rawOffset: record.offset }) : whole;

    // Only for what would be published: the rest is the same with or without a topic.
    const refusal = decision.emit.length > 0 ? this.#deps.topicRefusal?.(tenantId) : undefined;
    if (refusal !== undefined) return { code: 'topic_invalid', message: refusal };

    const observer = { via, machineUserId: settings.machineUserId };
    const attribution = {
      tenantId,
      connectionId,
      resellerId: connection?.resellerId ?? null,
      workspaceId: connection?.workspaceId ?? null,
    };
    const appends: Append[] = [];
    for (const emission of decision.emit) {
      const made = envelopeRecord(emission, event, observer, attribution);
      const value = this.#encode(made);
      if (!Buffer.isBuffer(value)) return value;
      const append = {
        topic: this.#deps.topics.events(tenantId),
        key: Buffer.from(made.key),
        value,
        headers: passOn(record.headers, made.headers),
      };
      if (bytesOf(append) > MAX_ENVELOPE_BYTES) {
        return { code: 'envelope_unencodable', message: `an envelope exceeds ${MAX_ENVELOPE_BYTES} bytes` };
      }
      appends.push(append);
    }

    this.appends.push(...appends);
    if (defers) this.appends.push(this.#deferred(record));
    for (const { candidate, late } of decision.emit) {
      this.#envelopes[candidate.eventType] = (this.#envelopes[candidate.eventType] ?? 0) + 1;
      if (late) this.#late++;
    }
    const isUntouched = decision.next === before || (defers && decision.emit.length === 0);
    if (!isUntouched) this.#state.set(record.partition, key, encodeState(decision.next));
    this.#verdicts[defers ? 'deferred' : decision.verdict]++;
    this.#collapsed += decision.collapsed;
    return null;
  }

  /** As it came, to be taken up again with the orders; in the partition of the same number, so that its order is kept. */
  #deferred({ partition, key, value, headers }: LogRecord): Append {
    return { topic: this.#deps.topics.enrich, partition, key, value, headers };
  }

  /** What the schema refuses is a matter of this record; an encoder that is not ready at all is not. */
  #encode({ envelope }: EnvelopeRecord): Buffer | Failure {
    try {
      return this.#deps.encode(envelope);
    } catch (error) {
      if (error instanceof CodedError) throw error;
      return { code: 'envelope_unencodable', message: error instanceof Error ? error.message : String(error) };
    }
  }

  #bury(record: LogRecord, { code, message }: Failure): void {
    this.#dead[code] = (this.#dead[code] ?? 0) + 1;
    this.appends.push({
      topic: this.#deps.topics.dead,
      // As many partitions as the raw topic, so that the order of the raw partition is kept, with or without a key.
      partition: record.partition,
      key: record.key,
      value: record.value,
      headers: {
        ...record.headers,
        [HEADER.errorCode]: code,
        [HEADER.errorMessage]: message.slice(0, MAX_ERROR_MESSAGE_CHARS),
        [HEADER.sourceTopic]: record.topic,
        [HEADER.sourcePartition]: String(record.partition),
        [HEADER.sourceOffset]: String(record.offset),
      },
    });
  }

  /** D3: throws before the batch that reaches the limit can be committed. */
  #tally({ topic, partition, offset }: LogRecord, isDead: boolean): void {
    let tally = this.#tallies.get(partition);
    if (tally === undefined) {
      const bytes = this.#state.get(tallyKey(partition));
      const before = bytes === undefined ? null : decodeTally(bytes);
      tally = { before, now: before };
      this.#tallies.set(partition, tally);
    }
    tally.now = tallied(tally.now, isDead, this.#limit);
    if (!isDead || tally.now === null || !isLimitReached(tally.now, this.#limit)) return;
    const { consecutive, seen, dead } = tally.now;
    throw new CodedError(
      'dead_letter_limit',
      `${dead} of the last ${seen} records cannot be processed, ${consecutive} of them in a row`,
      { topic, partition, offset, consecutive, seen, dead },
    );
  }
}

/**
 * Customers of a connection that can be asked for orders make a detour: their body goes to those who may call Kustomer
 * and comes back with the orders in it, as a record like any other. Until then nothing of the change is remembered, so
 * that its return is news; that it may have been sent round twice is then nothing but a second fetch.
 */
function isForOrders(connection: Connection | undefined, { enrichment }: KustomerEvent): boolean {
  return connection?.hasApiKey === true && connection.settings.orderKlass !== null && enrichment === null;
}

function isOfOrders({ candidate }: { readonly candidate: Candidate }): boolean {
  return candidate.eventType === 'customer.updated';
}

/** All that need not wait. Without the revision, which would make what returns look late or even seen. */
function withoutOrders(derived: Derived): Derived {
  const candidates = derived.candidates.filter((candidate) => !isOfOrders({ candidate }));
  return { ...derived, polled: true, revision: null, token: null, candidates };
}

interface Failure {
  readonly code: 'record_unattributed' | 'body_malformed' | 'event_invalid' | 'envelope_unencodable' | 'topic_invalid';
  readonly message: string;
}

/** What the envelope says of it. The body's shape decides how it is judged, not this. */
function channelOf(headers: Headers): Channel {
  const channel = headers[HEADER.channel]?.toString();
  return channel !== undefined && CHANNELS.has(channel) ? (channel as Channel) : 'webhook';
}

function passOn(from: Headers, own: EnvelopeRecord['headers']): Record<string, Buffer | string> {
  const headers: Record<string, Buffer | string> = { ...own };
  for (const name of PASSED_ON) {
    const value = from[name];
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}

function bytesOf({ key, value, headers }: { key: Buffer; value: Buffer; headers: Record<string, Buffer | string> }) {
  let bytes = key.length + value.length;
  for (const name in headers) bytes += Buffer.byteLength(headers[name] as Buffer | string);
  return bytes;
}
