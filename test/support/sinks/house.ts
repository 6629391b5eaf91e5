/**
 * Sink processes over a log, with the simulator as Kustomer: each has members, clients and a sink of its own, and can be
 * stopped, frozen out or killed. Times are short ones, so that what takes minutes takes moments.
 */
import { CodedError } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/base/secret.ts';
import { createCommandType, createReceiptType } from '../../../src/fibric/commands/avro.ts';
import type { WireCommand } from '../../../src/fibric/commands/command.ts';
import { type CommandInput, composeCommand } from '../../../src/fibric/commands/compose-command.ts';
import type { WireReceipt } from '../../../src/fibric/commands/receipt-fields.ts';
import { CONNECTION_SETTINGS, type Connection } from '../../../src/fibric/connection.ts';
import { WRITE_CAPABILITIES } from '../../../src/fibric/policy/capabilities.ts';
import { type CompiledPolicies, compilePolicies } from '../../../src/fibric/policy/compile.ts';
import { parsePolicy } from '../../../src/fibric/policy/parse.ts';
import { changePolicies, NO_POLICIES } from '../../../src/fibric/policy/versions.ts';
import { OwnerWorker } from '../../../src/kafka/owner-worker.ts';
import type { Append, Log, LogRecord } from '../../../src/kafka/port.ts';
import { fixedTopics, receiptsTopic, TOPIC_DEFAULTS, topicNames } from '../../../src/kafka/topics.ts';
import { WireDecoder, WireEncoder } from '../../../src/kafka/wire.ts';
import { createBudgetGate } from '../../../src/kustomer/client/budget-gate.ts';
import { createKustomerClient, type KustomerClient } from '../../../src/kustomer/client/client.ts';
import type { Timeouts } from '../../../src/kustomer/client/transport.ts';
import { createAnswerMac } from '../../../src/sinks/answers/mac.ts';
import { LIFECYCLE_DEFAULTS, type LifecycleConfig } from '../../../src/sinks/lifecycle/config.ts';
import { NO_QUOTA } from '../../../src/sinks/quota/port.ts';
import type { SinkDeps, SinkObserver, SinkSettings } from '../../../src/sinks/runner/ports.ts';
import { SINK_DEFAULTS, Sink } from '../../../src/sinks/runner/sink.ts';
import { type LimitOptions, type Limits, limitTopics, openLimits } from './limits.ts';

export const TENANT = 't_acme';
export const ANSWER_MAC = createAnswerMac([Buffer.alloc(32, 7)]);
const SCHEMA_ID = 7;
const WIRE_HEADER_BYTES = 5;
const STATE_MAX_BYTES = 2 ** 26;

export const QUICK = {
  ...LIFECYCLE_DEFAULTS,
  sendWindowMs: 400,
  requestTimeoutMs: 400,
  guardMs: 50,
  visibilityMs: 100,
  earlyReadsMs: [5, 30],
  readSpacingMs: 20,
  maxReads: 100,
  maxResends: 20,
  backoffMinMs: 10,
  backoffMaxMs: 100,
};

/** For processes of their own beside others on a busy machine: what is proved must have had its time. */
export const UNHURRIED: LifecycleConfig = {
  ...LIFECYCLE_DEFAULTS,
  sendWindowMs: 1500,
  requestTimeoutMs: 1500,
  guardMs: 500,
  visibilityMs: 1500,
  earlyReadsMs: [20, 200, 800],
  readSpacingMs: 150,
  maxReads: 60,
  maxAttempts: 100,
  maxConflicts: 30,
  maxResends: 30,
  backoffMinMs: 20,
  backoffMaxMs: 1000,
};

export const UNHURRIED_CALLS = { connectMs: 1000, headersMs: 1000, bodyMs: 1000, totalMs: 1500 };

const QUICK_CALLS = { connectMs: 300, headersMs: 300, totalMs: 2000 };

export const ALLOW_ALL = `policy: support-writes
rules:
  - allow: conversation.note.write
  - allow: conversation.status.write
  - allow: conversation.assignment.write
  - allow: call.status.write
default: deny
`;

export interface HouseOptions {
  /** A client of the log of its own for each process. */
  readonly connect: () => Log;
  readonly apiUrl: string;
  readonly apiKey: string;
  readonly machineUserId: string | null;
  readonly prefix?: string;
  readonly policy?: string | null;
  readonly sessionTimeoutMs?: number;
  readonly partitions?: number;
  /** Where short times would be in the way. */
  readonly lifecycle?: LifecycleConfig;
  readonly timeouts?: Partial<Timeouts>;
  /** Absent = no rule has one. */
  readonly limits?: LimitOptions;
  readonly approvalTtlMs?: number;
  /** Another tenant, with a connection of the same name to the same Kustomer. */
  readonly neighbour?: string;
  /** Puts something between a tenant's commands and its Kustomer. */
  readonly between?: (tenantId: string, client: KustomerClient) => KustomerClient;
  /** Other settings of the sink, and who else is told. */
  readonly sink?: Partial<SinkSettings>;
  readonly observer?: Partial<SinkObserver>;
  readonly newest?: SinkDeps['newest'];
  /** As the registry knows it, where the service reads it. */
  readonly commandSchemaId?: number;
  /** Told beside `crashes` and `failures`: by a house that is a process of its own. */
  readonly tell?: (line: string) => void;
}

export interface SinkProcess {
  readonly log: Log;
  readonly sink: Sink;
  readonly worker: OwnerWorker;
  readonly client: KustomerClient;
  readonly limits: Limits | null;
}

export class SinkHouse {
  readonly crashes: unknown[] = [];
  readonly failures: string[] = [];
  readonly receipts: WireReceipt[] = [];
  readonly dead: string[] = [];
  /** Answers that came to nothing. */
  readonly ignored: string[] = [];
  readonly connection: Connection;
  readonly names: ReturnType<typeof topicNames>;
  readonly #options: HouseOptions;
  #policies: CompiledPolicies;
  readonly #commandType = createCommandType();
  readonly #receiptType = createReceiptType();
  readonly #processes = new Set<SinkProcess>();
  readonly #own: Log;
  /** By tenant. */
  readonly #connections: Map<string, Connection>;
  readonly #tenants: Set<string>;
  /** Their receipts have nowhere to go. */
  readonly #mute = new Set<string>();
  #ids = 0;

  private constructor(options: HouseOptions) {
    this.#options = options;
    this.#own = options.connect();
    this.names = topicNames(options.prefix ?? '');
    this.#policies = policiesOf(options.policy === undefined ? ALLOW_ALL : options.policy);
    this.connection = {
      connectionId: 'cn_acme',
      tenantId: TENANT,
      resellerId: null,
      workspaceId: null,
      name: 'kustomer-prod',
      subdomain: 'acme',
      orgId: null,
      apiBaseUrl: options.apiUrl,
      hasApiKey: true,
      startedAtMs: 0,
      webhookId: null,
      previousWebhookId: null,
      settings: { ...CONNECTION_SETTINGS, machineUserId: options.machineUserId },
    };
    const tenants = [TENANT, ...(options.neighbour === undefined ? [] : [options.neighbour])];
    this.#connections = new Map(tenants.map((tenantId) => [tenantId, { ...this.connection, tenantId }]));
    this.#tenants = new Set(tenants);
  }

  /** In topics that are there already, and without looking at what comes out. */
  static join(options: HouseOptions): SinkHouse {
    return new SinkHouse(options);
  }

  static async build(options: HouseOptions): Promise<SinkHouse> {
    const house = new SinkHouse(options);
    const { names } = house;
    const topics = { ...TOPIC_DEFAULTS, prefix: options.prefix ?? '', commandPartitions: options.partitions ?? 2 };
    const wanted = [names.commands, names.ledger, names.dead];
    const tenants = [TENANT, ...(options.neighbour === undefined ? [] : [options.neighbour])];
    const specs = fixedTopics(topics).filter(({ name }) => wanted.includes(name));
    specs.push(...tenants.map((tenantId) => receiptsTopic(topics, tenantId)));
    if (options.limits !== undefined) specs.push(...limitTopics(topics, names));
    const { admin } = house.#own;
    await admin.createTopics(specs);
    const reader = await house.#own.reader({ clientId: 'check', topics: specs.map(({ name }) => name) });
    const follow = (topic: string, partitions: number, see: (record: LogRecord) => void) => {
      for (let partition = 0; partition < partitions; partition++) {
        reader.follow({
          topic,
          partition,
          fromOffset: 0,
          failed: (error) => house.crashes.push(error),
          records: ({ records }) => {
            for (const record of records) see(record);
          },
        });
      }
    };
    for (const tenantId of tenants) {
      follow(names.receipts(tenantId), topics.eventPartitions, ({ value }) =>
        house.receipts.push(house.#receiptType.fromBuffer((value as Buffer).subarray(WIRE_HEADER_BYTES))),
      );
    }
    follow(names.dead, topics.rawPartitions, ({ headers }) => house.dead.push(String(headers['error_code'])));
    return house;
  }

  /** What a producer appends; `more` overrides. */
  command(more: Partial<CommandInput> & Pick<CommandInput, 'capability' | 'args'>): Append {
    const id = ++this.#ids;
    const input: CommandInput = {
      commandId: `cmd-${id}`,
      tenantId: TENANT,
      connection: 'kustomer-prod',
      idempotencyKey: `key-${id}`,
      operator: 'op-support',
      correlationId: `corr-${id}`,
      mode: 'live',
      ...more,
    };
    const composed = composeCommand(input, this.#own.clock.nowMs());
    if ('problems' in composed) throw new Error(JSON.stringify(composed.problems));
    return { topic: this.names.commands, key: Buffer.from(composed.key), value: this.encode(composed.wire) };
  }

  encode(command: WireCommand): Buffer {
    return new WireEncoder({ schemaId: this.#options.commandSchemaId ?? SCHEMA_ID, type: this.#commandType }).encode(
      command,
    );
  }

  /** From now on; with the last of its connections a tenant without a record of its own is not known any more either. */
  disconnect(
    tenantId: string,
    { isKnown = true, isTold = true }: { readonly isKnown?: boolean; readonly isTold?: boolean } = {},
  ): void {
    this.#connections.delete(tenantId);
    if (!isKnown) this.#tenants.delete(tenantId);
    if (!isTold) this.#mute.add(tenantId);
  }

  connect(tenantId: string, connectionId: string = this.connection.connectionId): void {
    this.#connections.set(tenantId, { ...this.connection, tenantId, connectionId });
    this.#tenants.add(tenantId);
  }

  /** From now on. */
  apply(policy: string | null): void {
    this.#policies = policiesOf(policy);
  }

  async send(...appends: readonly Append[]): Promise<void> {
    const producer = await this.#own.producer({ clientId: `producer-${++this.#ids}` });
    try {
      await producer.append(appends);
    } finally {
      await producer.close();
    }
  }

  async start(): Promise<SinkProcess> {
    const {
      connect,
      apiKey,
      apiUrl,
      sessionTimeoutMs = 1000,
      lifecycle = QUICK,
      timeouts = QUICK_CALLS,
      approvalTtlMs,
    } = this.#options;
    const log = connect();
    const client = createKustomerClient({
      baseUrl: apiUrl,
      apiKey: new Secret(apiKey),
      gate: createBudgetGate(),
      timeouts,
    });
    const encoder = new WireEncoder({ schemaId: SCHEMA_ID, type: this.#receiptType });
    const grants = {
      exposed: new Set(WRITE_CAPABILITIES.map(({ name }) => name)),
      granted: new Map([['op-support', new Set(WRITE_CAPABILITIES.map(({ name }) => name))]]),
    };
    const limits = this.#options.limits === undefined ? null : await openLimits(log, this.names, this.#options.limits);
    const sink = new Sink({
      topics: this.names,
      connections: {
        knows: (tenantId) => this.#tenants.has(tenantId),
        canBeTold: (tenantId) => !this.#mute.has(tenantId),
        find: (tenantId, name) => {
          const connection = this.#connections.get(tenantId);
          return connection !== undefined && [connection.name, connection.connectionId].includes(name)
            ? connection
            : undefined;
        },
        client: ({ tenantId, connectionId }) => {
          if (this.#connections.get(tenantId)?.connectionId === connectionId)
            return this.#options.between?.(tenantId, client) ?? client;
          throw new CodedError('connection_unknown', 'the connection was removed');
        },
      },
      policies: { of: () => this.#policies, grants: () => grants },
      quota: limits ?? NO_QUOTA,
      answers: ANSWER_MAC,
      decoder: new WireDecoder({
        readerType: this.#commandType as never,
        fetchSchema: async () => JSON.stringify((this.#commandType as never as { schema(): unknown }).schema()),
      }),
      encodeReceipt: (receipt) => encoder.encode(receipt),
      ensureReceipts: () => undefined,
      ...(this.#options.newest === undefined ? {} : { newest: this.#options.newest }),
      observer: {
        disposed: () => undefined,
        buried: () => undefined,
        answerIgnored: (_, why) => this.ignored.push(why),
        ...this.#options.observer,
      },
      clock: log.clock,
      random: Math.random,
      settings: {
        ...SINK_DEFAULTS,
        lifecycle,
        drainMs: 1000,
        stateMaxBytes: STATE_MAX_BYTES,
        ...(approvalTtlMs === undefined ? {} : { approvalTtlMs }),
        ...this.#options.sink,
      },
    });
    const name = `sink-${process.pid}-${++this.#ids}`;
    const worker = await OwnerWorker.start({
      log,
      clientId: name,
      random: Math.random,
      uniqueId: () => `${name}-${++this.#ids}`,
      serve: (owned) => sink.serve(owned),
      settings: {
        groupId: `${this.#options.prefix ?? ''}cn-kustomer.sink`,
        topic: this.names.ledger,
        inputTopic: this.names.commands,
        sessionTimeoutMs,
        transactionTimeoutMs: 15_000,
        restoreStallMs: 10_000,
        stateMaxBytes: STATE_MAX_BYTES,
        retryMinMs: 20,
        retryMaxMs: 500,
        settleMs: 3000,
      },
      observer: {
        assigned: (_epoch, partitions) => this.#options.tell?.(`assigned ${partitions.join()}`),
        opened: () => undefined,
        committed: () => undefined,
        failed: (partition, error, next) => {
          const failure = `${name}/${partition} ${error.code} ${next}`;
          this.failures.push(failure);
          this.#options.tell?.(failure);
        },
        crashed: (error) => {
          this.crashes.push(error);
          this.#options.tell?.(`crashed: ${error instanceof Error ? error.stack : error}`);
        },
      },
    });
    const started = { log, sink, worker, client, limits };
    this.#processes.add(started);
    return started;
  }

  /** SIGTERM. */
  async stop(process: SinkProcess): Promise<void> {
    this.#processes.delete(process);
    await process.worker.close();
    await process.limits?.book.close();
    await process.client.close();
    await process.log.close();
  }

  /** What is left of a process whose log was killed: its connections break. */
  async bury(process: SinkProcess): Promise<void> {
    this.#processes.delete(process);
    await process.client.close();
  }

  async close(): Promise<void> {
    for (const process of [...this.#processes]) await this.stop(process);
    await this.#own.close();
  }

  outcomes(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { outcome, verdict } of this.receipts) {
      const name = `${verdict.decision} ${outcome}`;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }
}

function policiesOf(text: string | null): CompiledPolicies {
  if (text === null) return compilePolicies(TENANT, NO_POLICIES);
  const parsed = parsePolicy(text, WRITE_CAPABILITIES);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const { set } = changePolicies(NO_POLICIES, { do: 'apply', document: parsed.document, by: 'test', nowMs: 0 });
  return compilePolicies(TENANT, set);
}
