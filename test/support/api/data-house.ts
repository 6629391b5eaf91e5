/**
 * The API's part on events, receipts and actions over a log in memory: tenants' topics filled by hand, a sink that answers
 * what a test tells it to, and people's decisions in a list.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { type DataOptions, openData } from '../../../src/api/data/index.ts';
import type { DataPorts, ReadPort, WaitingCommand } from '../../../src/api/data/ports.ts';
import { createEnvelopeType } from '../../../src/fibric/avro.ts';
import { createReceiptType } from '../../../src/fibric/commands/avro.ts';
import type { WireCommand } from '../../../src/fibric/commands/command.ts';
import { type Disposed, makeReceipt } from '../../../src/fibric/commands/receipt.ts';
import type { WireReceipt } from '../../../src/fibric/commands/receipt-fields.ts';
import type { Envelope } from '../../../src/fibric/envelope.ts';
import { BatchingProducer } from '../../../src/kafka/batching-producer.ts';
import { HEADER } from '../../../src/kafka/headers.ts';
import { createMemoryLog } from '../../../src/kafka/memory/index.ts';
import { topicNames } from '../../../src/kafka/topics.ts';
import { WireDecoder, WireEncoder } from '../../../src/kafka/wire.ts';
import { eventFixtures } from '../event-fixtures.ts';
import { type HarnessOptions, startApi } from './harness.ts';

const PARTITIONS = 3;
const [ENVELOPES, RECEIPTS] = [1, 2];
const schemas = {
  [ENVELOPES]: createEnvelopeType(),
  [RECEIPTS]: createReceiptType(),
};

export const ALLOWED: Disposed = {
  outcome: 'applied',
  verdict: { decision: 'ALLOW', rule: 'allow', tier: 1 },
  unchanged: false,
  vendor: { type: 'note', id: 'n1' },
};

/** One envelope of each kind there is a fixture of. */
const KINDS = eventFixtures().flatMap(([, { expected }]) => expected);

export async function openDataHouse(options: Omit<HarnessOptions, 'further'> & { readonly data?: DataOptions } = {}) {
  const log = createMemoryLog();
  const names = topicNames('');
  const producer = new BatchingProducer({ producers: [await log.producer({ clientId: 'house' })], clock: log.clock });
  const encoders = {
    envelope: new WireEncoder({ schemaId: ENVELOPES, type: schemas[ENVELOPES] as never }),
    receipt: new WireEncoder<WireReceipt>({ schemaId: RECEIPTS, type: schemas[RECEIPTS] as never }),
  };
  const fetchSchema = async (id: number) =>
    JSON.stringify((schemas[id as 1] as unknown as { schema(): unknown }).schema());
  const envelopes = new WireDecoder<never>({ fetchSchema });
  const receipts = new WireDecoder<never>({ readerType: schemas[RECEIPTS] as never, fetchSchema });

  const waits = new Map<string, WaitingCommand & { readonly tenantId: string }>();
  const listeners = new Set<(tenantId: string) => void>();
  const published: { readonly command: WireCommand; readonly key: string }[] = [];
  const answers: { readonly tenantId: string; readonly id: string; readonly answer: string; readonly by: string }[] =
    [];
  const undecodable: unknown[] = [];
  const revoked = new Set<string>();
  const house = {
    /** What the sink does with a command; by default it is allowed. */
    sink: async (command: WireCommand): Promise<void> => house.receipt(command.tenant_id, { command }),
    /** What an answer of a person comes to; by default it takes effect. */
    answered: async (tenantId: string, id: string): Promise<void> => house.settle(tenantId, id),
    reads: {
      conversation: async () => ({
        ok: false,
        refusal: { code: 'kustomer_refused', status: 404, message: 'none', retryAtMs: null },
      }),
      customer: async () => ({
        ok: false,
        refusal: { code: 'kustomer_refused', status: 404, message: 'none', retryAtMs: null },
      }),
    } as ReadPort,

    async topics(...tenants: readonly string[]): Promise<void> {
      const specs = tenants.flatMap((tenant) => [names.events(tenant), names.receipts(tenant)]);
      await log.admin.createTopics(specs.map((name) => ({ name, partitions: PARTITIONS, config: {} })));
    },

    /** Of a kind with this event type, under an id of its own unless one is given. */
    async event(tenantId: string, given: { type?: string; partition?: number; atMs?: number; eventId?: string } = {}) {
      const { type = 'conversation.created', partition = 0, atMs, eventId = randomUUID() } = given;
      const kind = KINDS.find(({ envelope }) => envelope['event_type'] === type);
      if (kind === undefined) throw new Error(`no fixture of ${type}`);
      const payload = { [kind.payload_record]: kind.envelope['payload'] };
      const envelope = { ...kind.envelope, tenant_id: tenantId, event_id: eventId, payload } as unknown as Envelope;
      await producer.append({
        topic: names.events(tenantId),
        partition,
        key: Buffer.from(kind.key),
        value: encoders.envelope.encode(envelope as never),
        headers: { [HEADER.eventType]: type },
        ...(atMs !== undefined && { timestampMs: atMs }),
      });
      return eventId;
    },

    async receipt(tenantId: string, given: ReceiptGiven = {}): Promise<void> {
      const { command, disposed = ALLOWED, partition = 0, atMs, ...rest } = given;
      const receiptId = rest.receiptId ?? `rc_${randomBytes(16).toString('hex')}`;
      const text = (value: string | undefined, none: string) => value ?? none;
      const receipt = makeReceipt({
        receiptId,
        position: '0:1',
        facts: {
          commandId: text(command?.command_id, `cmd_${receiptId}`),
          tenantId,
          connection: text(command?.connection ?? rest.connection, 'kustomer-prod'),
          capability: text(command?.capability ?? rest.capability, 'conversation.note.write'),
          entityKey: text(command?.entity_key, 'conversation:c1'),
          idempotencyKey: text(command?.idempotency_key ?? rest.idempotencyKey, 'k1'),
          operator: text(command?.operator ?? rest.operator, 'triage'),
          agentId: null,
          planId: null,
          actionId: null,
          eventId: null,
          correlationId: text(command?.correlation_id, 'co_1'),
          requestedAtMs: null,
          mode: command?.mode === 'live' ? 'live' : 'dry_run',
        },
        connection: { connectionId: rest.connectionId ?? null, resellerId: null, workspaceId: null },
        disposed,
        timings: { receivedAtMs: 1, startedAtMs: null, firstSentAtMs: null, lastSentAtMs: null, disposedAtMs: 2 },
      });
      await producer.append({
        topic: names.receipts(tenantId),
        partition,
        key: Buffer.from(receipt.entity_key ?? 'none'),
        value: encoders.receipt.encode(receipt),
        headers: { [HEADER.commandId]: receipt.command_id },
        ...(atMs !== undefined && { timestampMs: atMs }),
      });
    },

    /** A command that waits. */
    hold(
      tenantId: string,
      command: Pick<WireCommand, 'command_id' | 'capability'>,
      more: Partial<WaitingCommand> = {},
    ) {
      const kind = more.kind ?? 'held';
      const digits = randomBytes(16).toString('hex');
      const one: WaitingCommand = {
        id: `${kind === 'held' ? 'apr' : 'prk'}_${digits}`,
        kind,
        receiptId: `rc_${digits}`,
        commandId: command.command_id,
        connectionId: 'cn_000001',
        capability: command.capability,
        entityKey: 'conversation:c1',
        idempotencyKey: 'k1',
        policy: { name: 'guard', version: 2, rule: 'ask', tier: 2 },
        sinceMs: Date.now(),
        expiresAtMs: kind === 'held' ? Date.now() + 3_600_000 : null,
        command: {
          args: { conversation_id: 'c1', body: 'hello' },
          operator: 'triage',
          connection: 'kustomer-prod',
          mode: 'live',
          requestedAt: new Date().toISOString(),
          correlationId: 'co_1',
          eventId: null,
        },
        ...more,
      };
      waits.set(one.id, { ...one, tenantId });
      for (const listener of listeners) listener(tenantId);
      return one;
    },

    settle(tenantId: string, id: string): void {
      waits.delete(id);
      for (const listener of listeners) listener(tenantId);
    },

    revoke: (keyId: string) => revoked.add(keyId),
  };

  const part: { value?: ReturnType<typeof openData> } = {};
  const api = await startApi({
    ...options,
    further: (memory) => {
      const ports: DataPorts = {
        log,
        random: randomBytes,
        events: { topic: names.events, decode: (value) => envelopes.read(value) },
        receipts: { topic: names.receipts, decode: (value) => receipts.read(value) },
        commands: {
          ensureReceipts: (tenantId) => house.topics(tenantId),
          publish: async (command, key) => {
            published.push({ command, key });
            void house.sink(command);
          },
        },
        waiting: {
          list: (tenantId) => [...waits.values()].filter((one) => one.tenantId === tenantId),
          get: (tenantId, id) => {
            const one = waits.get(id);
            return one?.tenantId === tenantId ? one : undefined;
          },
          onChange: (listener) => {
            listeners.add(listener);
            return () => void listeners.delete(listener);
          },
          answer: async (tenantId, id, { answer, by }) => {
            answers.push({ tenantId, id, answer, by });
            void house.answered(tenantId, id);
          },
        },
        read: {
          conversation: (...asked) => house.reads.conversation(...asked),
          customer: (...asked) => house.reads.customer(...asked),
        },
        connections: {
          list: (tenantId) => memory.connectors.list(tenantId).map(({ connection }) => connection),
          find: (tenantId, ref) => memory.connectors.find(tenantId, ref)?.connection,
        },
        grants: memory.grants,
        isLive: ({ keyId }) => !revoked.has(keyId),
        observer: { undecodable: (facts) => void undecodable.push(facts), followFailed: () => undefined },
      };
      part.value = openData(ports, options.data);
      return part.value.routes;
    },
  });
  return {
    ...house,
    house,
    api,
    log,
    names,
    producer,
    published,
    answers,
    waits,
    undecodable,
    async close(): Promise<void> {
      await api.server.close();
      await part.value?.close();
      await producer.close();
      await log.close();
    },
  };
}

interface ReceiptGiven {
  readonly command?: WireCommand;
  readonly disposed?: Disposed;
  readonly partition?: number;
  readonly atMs?: number;
  readonly receiptId?: string;
  readonly capability?: string;
  readonly operator?: string;
  readonly connection?: string;
  readonly connectionId?: string;
  readonly idempotencyKey?: string;
}

export type DataHouse = Awaited<ReturnType<typeof openDataHouse>>;
