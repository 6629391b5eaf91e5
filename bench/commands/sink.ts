/**
 * The sink as a process: owner worker, ledger, policy and receipts as they are in the service, its defaults, one connection.
 *
 * env: KAFKA_BROKERS, PREFIX, STUB_URL, SESSION_TIMEOUT_MS
 */
import { randomBytes } from 'node:crypto';
import { Secret } from '../../src/base/secret.ts';
import { createCommandType, createReceiptType } from '../../src/fibric/commands/avro.ts';
import { CONNECTION_SETTINGS, type Connection } from '../../src/fibric/connection.ts';
import { WRITE_CAPABILITIES } from '../../src/fibric/policy/capabilities.ts';
import { compilePolicies } from '../../src/fibric/policy/compile.ts';
import { parsePolicy } from '../../src/fibric/policy/parse.ts';
import { changePolicies, NO_POLICIES } from '../../src/fibric/policy/versions.ts';
import { openKafkaLog } from '../../src/kafka/kafkajs/index.ts';
import { type CommitStats, OwnerWorker } from '../../src/kafka/owner-worker.ts';
import { topicNames } from '../../src/kafka/topics.ts';
import { WireDecoder, WireEncoder } from '../../src/kafka/wire.ts';
import { createBudgetGate } from '../../src/kustomer/client/budget-gate.ts';
import { createKustomerClient } from '../../src/kustomer/client/client.ts';
import { createAnswerMac } from '../../src/sinks/answers/mac.ts';
import { openQuotaBook } from '../../src/sinks/quota/book.ts';
import { SINK_DEFAULTS, Sink } from '../../src/sinks/runner/sink.ts';
import { CONNECTION, OPERATOR, TENANT } from './workload.ts';

const env = process.env as Record<'KAFKA_BROKERS' | 'PREFIX' | 'STUB_URL', string>;
const SCHEMA_ID = 1;
const POLICY = `policy: bench
rules:
  - allow: conversation.note.write
    limit: { per: hour, max: 100000 }
default: deny
`;

const say = (level: string) => (facts: object, message: string) =>
  void process.stderr.write(`${level} ${message} ${JSON.stringify(facts)}\n`);
const logger = { debug: () => undefined, info: () => undefined, warn: say('warn'), error: say('error') };
const log = openKafkaLog({ settings: { brokers: env.KAFKA_BROKERS.split(','), clientId: 'bench-sink' }, logger });
const topics = topicNames(env.PREFIX);
const connection: Connection = {
  connectionId: 'cn_bench',
  tenantId: TENANT,
  resellerId: null,
  workspaceId: null,
  name: CONNECTION,
  subdomain: 'acme',
  orgId: null,
  apiBaseUrl: env.STUB_URL,
  hasApiKey: true,
  startedAtMs: 0,
  webhookId: null,
  previousWebhookId: null,
  settings: CONNECTION_SETTINGS,
};
const client = createKustomerClient({
  baseUrl: env.STUB_URL,
  apiKey: new Secret('bench-key'),
  gate: createBudgetGate(),
});
const commandType = createCommandType();
const encoder = new WireEncoder({ schemaId: SCHEMA_ID, type: createReceiptType() });
const capabilities = new Set(WRITE_CAPABILITIES.map(({ name }) => name));
const grants = { exposed: capabilities, granted: new Map([[OPERATOR, capabilities]]) };

function policies() {
  const parsed = parsePolicy(POLICY, WRITE_CAPABILITIES);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const { set } = changePolicies(NO_POLICIES, { do: 'apply', document: parsed.document, by: 'bench', nowMs: 0 });
  return compilePolicies(TENANT, set);
}
const compiled = policies();

const quota = await openQuotaBook({
  log,
  topics,
  observer: { failed: (doing, error) => logger.warn({ doing, error: String(error) }, 'limits') },
});

const sink = new Sink({
  topics,
  connections: {
    knows: (tenantId) => tenantId === TENANT,
    find: (tenantId, name) => (tenantId === TENANT && name === CONNECTION ? connection : undefined),
    client: () => client,
  },
  policies: { of: () => compiled, grants: () => grants },
  quota,
  // Nobody answers here.
  answers: createAnswerMac([randomBytes(32)]),
  decoder: new WireDecoder({
    readerType: commandType as never,
    fetchSchema: async () => JSON.stringify((commandType as never as { schema(): unknown }).schema()),
  }),
  encodeReceipt: (receipt) => encoder.encode(receipt),
  ensureReceipts: () => undefined,
  observer: {
    disposed: () => undefined,
    buried: (code) => logger.warn({ code }, 'buried'),
    answerIgnored: () => undefined,
  },
  clock: log.clock,
  random: Math.random,
  settings: SINK_DEFAULTS,
});

function die(error: unknown): void {
  logger.error({ error: error instanceof Error ? error.stack : String(error) }, 'crashed');
  process.exit(1);
}

let [commits, changes, waitedMs] = [0, 0, 0];
const committed = (commit: CommitStats): void => {
  commits += 1;
  changes += commit.changes;
  waitedMs += commit.durationMs;
};

const worker = await OwnerWorker.start({
  log,
  clientId: 'bench-sink',
  random: Math.random,
  uniqueId: () => crypto.randomUUID(),
  serve: (owned) => sink.serve(owned),
  settings: {
    groupId: `${env.PREFIX}cn-kustomer.sink`,
    topic: topics.ledger,
    inputTopic: topics.commands,
    sessionTimeoutMs: Number(process.env['SESSION_TIMEOUT_MS'] ?? 15_000),
    transactionTimeoutMs: 15_000,
    restoreStallMs: 10_000,
    stateMaxBytes: SINK_DEFAULTS.stateMaxBytes,
    retryMinMs: 100,
    retryMaxMs: 5_000,
  },
  observer: {
    assigned: () => undefined,
    opened: () => undefined,
    committed: (_partition, commit) => committed(commit),
    failed: (partition, error, next) => logger.warn({ partition, error: error.message, next }, 'failed'),
    crashed: die,
  },
});

process.on('SIGTERM', async () => {
  logger.warn({ commits, changesEach: changes / commits, msEach: waitedMs / commits }, 'transactions');
  await worker.close();
  await quota.close();
  await client.close();
  await log.close();
  process.exit(0);
});
